/* Walls around a process that reads what strangers wrote (archives): whatever a bug lets it do, it reaches one directory and
 * the descriptors that it holds, no network, no other process, no program. For a process of its own: there is no way back.
 *
 * Three walls, each as far as the host has it, for none alone is everywhere: a root of its own (chroot in a user namespace),
 * landlock(7) (Linux 5.19; before that it forbids links between directories) and a list of system calls (seccomp(2)). */
#ifndef POD_SANDBOX_H
#define POD_SANDBOX_H

#include "err.h"

enum pod_wall {
    POD_WALL_ROOT = 1, /* nothing outside of the directory has a name */
    POD_WALL_LANDLOCK = 2,
    POD_WALL_CALLS = 4,
};

struct pod_sandbox {
    int dirfd; /* the directory, which may be changed below */
    int mapped; /* keeps what root of a user namespace needs for other owners' files */
    int userns; /* may make a user namespace to get its own root */
};

/* 0, and in *WALLS those that stand. Fails only where the process would be neither inside nor outside. Before the first
 * thread. Afterwards clone3 is ENOSYS, so that threads are made by clone, and every other call that is not for files, memory or
 * threads EPERM. */
int pod_sandbox_enter(const struct pod_sandbox *sandbox, unsigned *walls, struct pod_err *err);

/* The version of landlock, 0 where there is none (then errno says why). */
int pod_landlock_version(void);

/* Closes every descriptor but those of KEPT (-1: none), with /dev/null at 0, 1 and 2. Those of KEPT must be above 2. */
void pod_sandbox_close(const int *kept, int count);

#endif
