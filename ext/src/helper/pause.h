/* Pausing a container: none of its processes runs until it goes on.
 *
 *   freezer   a cgroup of the container's own below the one that its first process is in, where this user may make one
 *             (cgroup v2, cgroup.freeze). What is in it notices nothing. Version 1 is left alone: what is frozen there cannot be killed.
 *   signals   else SIGSTOP to every process of the container's pid namespace, until all are seen to be stopped. What this
 *             cannot hide: docs/commands.md. Without a pid namespace of its own there is no telling whom to stop: refused.
 *
 * The supervisor does it, and waits for it some seconds at most. */
#ifndef POD_PAUSE_H
#define POD_PAUSE_H

#include <sys/types.h>

#include "plan.h"

enum pod_pause_way { POD_PAUSE_NOT, POD_PAUSE_FREEZER, POD_PAUSE_SIGNALS };

struct pod_pause {
    enum pod_pause_way way; /* how it was paused */
    int cgroup; /* the freezer's folder, and the one above it; -1 */
    int above;
    char name[32]; /* of the folder */
};

/* CHILD is the container's first process, not reaped. 0: nothing of it runs now; -1: it runs on. EOPNOTSUPP: no way is open here. */
int pod_pause(struct pod_pause *pause, const struct pod_plan *plan, pid_t child,
              struct pod_err *err);
int pod_pause_end(struct pod_pause *pause, pid_t child, struct pod_err *err);
/* All its processes are gone: takes the cgroup away. */
void pod_pause_forget(struct pod_pause *pause);

/* freezer.c; 1: there is no freezer for us. */
int pod_freezer_open(struct pod_pause *pause, const struct pod_plan *plan, pid_t child);
int pod_freezer_stop(struct pod_pause *pause, pid_t child, const char *kind, struct pod_err *err);
int pod_freezer_go_on(struct pod_pause *pause, struct pod_err *err);

/* Whether PID is in CHILD's namespace NAME or one below it. */
int pod_pause_has(pid_t child, const char *name, pid_t pid);
/* Each process that is in CHILD's namespace NAME ("pid", "user", "mnt") or one below it, as /proc has them: calls EACH until that
 * returns other than 0, and returns it. */
int pod_pause_each(pid_t child, const char *name, int (*each)(void *what, pid_t pid), void *what);

#endif
