/* Process 1 of a container with --init: one child, signals passed on to it, every orphan reaped. */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "launch.h"

#define KILL_ONLY (1ull << CAP_KILL)

_Noreturn void pod_reaper_main(pid_t child, struct pod_launch *launch)
{
    struct pod_err ignored;
    sigset_t all, wait_for;
    siginfo_t info;
    int status;

    uint64_t caps = pod_plan_u64(launch->plan, POD_KEY_CAPS) & KILL_ONLY;

    /* The sync socket too: the child holds its own copy, and the end of file is its exec. */
    pod_close_from(3);
    if (pod_confine_bounding(caps, &ignored) || pod_confine_seccomp(launch->plan, &ignored) ||
        pod_confine_caps(caps, &ignored)) {
        kill(child, SIGKILL);
        _exit(125);
    }
    prctl(PR_SET_NAME, "docker-init", 0, 0, 0);
    sigfillset(&all);
    wait_for = all;
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (;;) {
        int number = sigwaitinfo(&wait_for, &info);
        if (number < 0)
            continue;
        if (number != SIGCHLD) {
            /* To the child alone, as tini does; signals that the terminal made reached it already. */
            kill(child, number);
            continue;
        }
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            if (pid == child)
                _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    }
}
