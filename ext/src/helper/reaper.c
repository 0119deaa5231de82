/* Process 1 of a container with --init: one child, signals passed on to it, every orphan reaped. */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "ended.h"
#include "launch.h"

#define KILL_ONLY (1ull << CAP_KILL)

/* Afresh, with nothing of the caller's in memory: neither its environment nor the plan. What is executed here belongs to
 * the container's user namespace: not dumpable it is still hidden from the container, yet whoever owns that namespace can
 * join it (exec), which a copy of the caller's program refuses. Returns where that fails: then it goes on as it is. */
static void start_afresh(pid_t child)
{
    char number[16];
    char *argv[] = {(char *)(uintptr_t)"docker-init", (char *)(uintptr_t)"reap", number, NULL};
    char *nothing[] = {NULL};

    snprintf(number, sizeof number, "%ld", (long)child);
    execve("/proc/self/exe", argv, nothing);
}

_Noreturn void pod_reaper_main(pid_t child, struct pod_launch *launch)
{
    struct pod_err ignored;
    sigset_t all;
    uint64_t caps = pod_plan_u64(launch->plan, POD_KEY_CAPS) & KILL_ONLY;

    /* The sync socket too: the child holds its own copy, and the end of file is its exec. */
    pod_close_from(3);
    if (pod_confine_bounding(caps, &ignored) || pod_confine_seccomp(launch->plan, &ignored) ||
        pod_confine_caps(caps, &ignored)) {
        kill(child, SIGKILL);
        _exit(125);
    }
    /* Blocked, and thus kept pending, from before the exec on. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    start_afresh(child);
    pod_reaper_loop(child);
}

_Noreturn void pod_reaper_loop(pid_t child)
{
    sigset_t all;
    siginfo_t info;
    int status;

    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_NAME, "docker-init", 0, 0, 0);
    sigfillset(&all);
    for (;;) {
        pid_t pid;
        while ((pid = pod_next_ended(&status)) > 0)
            if (pid == child)
                _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
        int number = sigwaitinfo(&all, &info);
        /* To the child alone, as tini does; signals that the terminal made reached it already. */
        if (number > 0 && number != SIGCHLD)
            kill(child, number);
    }
}
