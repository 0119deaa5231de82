/* Children that have ended. */
#ifndef POD_ENDED_H
#define POD_ENDED_H

#include <errno.h>
#include <sys/types.h>
#include <sys/wait.h>

/* The next of all children that has ended, and how; 0 or less where none has. Whoever waits for a signal next must not
 * miss one here because the call was interrupted. */
static inline pid_t pod_next_ended(int *status)
{
    pid_t pid;

    do
        pid = waitpid(-1, status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    return pid;
}

#endif
