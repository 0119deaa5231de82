/* The control groups of a container (cgroups(7)): one folder "pod-ID" in each folder of GROUPS_IN, which core/cgroups.py
 * found to be the user's own. One such folder with version 2; with version 1 one for each kind of limit.
 *
 *   the supervisor     makes them, writes the limits of GROUP_FILES, and removes them at the end
 *   the container      its first process is cloned into them, or goes in first; its cgroup namespace is made after that, so they are its root
 *   exec, a probe      the monitor goes in by itself before it joins the container, and its program with it
 *
 * DIR/groups has their paths, a line each, from before they are made until they are gone: who finds it after the supervisor
 * was killed removes them (core/container/settling.py). */
#ifndef POD_GROUPS_H
#define POD_GROUPS_H

#include <poll.h>
#include <sys/types.h>

#include "plan.h"

#define POD_CGROUPS_MAX 12
#define POD_GROUPS_RECORD "groups"

struct pod_groups {
    int count;
    int above[POD_CGROUPS_MAX], folder[POD_CGROUPS_MAX]; /* O_PATH */
    char name[40];
    int unified; /* the one folder is of version 2 */
    int inside; /* the process that was cloned last is in there, or goes by itself */
    int events; /* readable, or with POLLPRI, when memory ran out; -1: nobody tells */
    int told; /* an eventfd of version 1, to be emptied */
    uint64_t kills; /* how many the kernel had killed for want of memory when we looked last */
};

/* Nothing without GROUPS_IN, or where they are made already. What was made stays for pod_groups_end, also after a failure. */
int pod_groups_make(struct pod_groups *groups, const struct pod_plan *plan, int dirfd,
                    struct pod_err *err);
/* clone(2), into the group where the kernel can do that at once: moving a process later waits for all processors (RCU), 10 to
 * 20 ms. With version 1 the child goes in by itself, which is as quick; what fails is sent to SYNC, and the child ends. */
pid_t pod_groups_clone(struct pod_groups *groups, uint64_t namespaces, int sync);
/* The child of another way. */
int pod_groups_add(const struct pod_groups *groups, pid_t pid, struct pod_err *err);
/* In a process that joins: into the groups of the plan's container. */
int pod_groups_enter(const struct pod_plan *plan, struct pod_err *err);
/* How many more the kernel has killed for want of memory since the last look. */
uint64_t pod_groups_killed(struct pod_groups *groups);
/* Ends what is still in there, and removes them, then their record; how many could not be. */
int pod_groups_end(struct pod_groups *groups, int dirfd);

#endif
