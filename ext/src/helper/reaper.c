/* Process 1 of a container with --init: one child, signals passed on to it, every orphan reaped. */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch.h"

_Noreturn void pod_reaper_main(pid_t child, int sync)
{
    sigset_t all, wait_for;
    siginfo_t info;
    int status;

    /* The child holds its own copy: only then is the end of file its exec. */
    close(sync);
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
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
