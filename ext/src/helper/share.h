/* --pid, --ipc and --network container:X: a container in namespaces of another one.
 *
 * X's namespaces belong to X's user namespace, and only who is privileged in there may enter them or mount their /proc. So
 * the container shares the user namespace too, and has no other: a process forked for it (the supervisor stays where it
 * is) joins X's, makes the rest of the namespaces, and clones the first process as a child of the supervisor. None of it
 * is dumpable while it is in there, so X's processes cannot trace it. */
#ifndef POD_SHARE_H
#define POD_SHARE_H

#include "launch.h"

/* In the supervisor, in place of clone(2) with NAMESPACES and of the id maps. MOUNTS: which mount namespace it became. */
int pod_share_start(struct pod_launch *launch, uint64_t namespaces, pid_t *child, uint64_t *mounts,
                    struct pod_err *err);
/* In the container: X's /dev/shm on its own. */
int pod_share_attach(struct pod_launch *launch, int rootfd, struct pod_err *err);

/* Which mount namespace a process is in; 0 where that cannot be seen. */
uint64_t pod_share_mounts(pid_t pid);
/* Ends whatever is in that mount namespace: where the first process is no process 1 the kernel does not. */
void pod_share_end(uint64_t mounts);

#endif
