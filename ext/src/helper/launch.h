/* From clone to exec: the container's first process, or one that joins a running container.
 *
 *   supervisor                                   child (new namespaces, or joined ones)
 *     id maps, then one byte GO  ------------->   waits
 *     <-------------------- 'N', mask + sockets   of its network namespace, where netd is to give it interfaces (network.h)
 *     <-------------------- 'T' + descriptor      the terminal's master (SCM_RIGHTS), if there is one
 *     <-------------------- struct pod_handover   with the listener of its calls, where root is emulated; of kind 'U' it
 *     one byte K  ------------------------------> waits until its ids are known
 *     <-------------------- 'B', errno            instead: there can be no listener, and emulation is basic
 *     one byte N  ------------------------------> waits, just before its filter and exec, until its interfaces are there
 *     <-------------------- struct pod_err        a step failed; the child is gone
 *     <-------------------- end of file           exec worked (the socket is close-on-exec)
 *
 * All of it is async-signal-safe: the vectors are laid out by pod_launch_prepare before the clone. */
#ifndef POD_LAUNCH_H
#define POD_LAUNCH_H

#include <sys/types.h>

#include "emulator.h"
#include "network.h"
#include "plan.h"
#include "preload.h"

#define POD_HOME_SIZE 300

struct pod_launch {
    const struct pod_plan *plan;
    char **argv, **env, **groups; /* env has three free slots at its end */
    int sync[2];                  /* [0] the supervisor's, [1] the child's */
    int stdio[3];                 /* the child's ends; -1 where a terminal takes their place */
    int host_proc; /* the host's /proc, O_PATH: the container's own may be read-only */
    int inner;     /* of a process that joins, the socket of inner.h; -1 */
    char home[POD_HOME_SIZE];
    char preload[POD_PRELOAD_VARIABLE];
    struct pod_emulator *emulator; /* the parent's side */
    int has_devices; /* real ids: some were made in an earlier run, stat is to show them */
    int basic;                     /* errno: why there is no listener */
    struct pod_network *network; /* the parent's side; NULL: no network of netd's */
    int heard; /* the child's: bits of what the parent said (launch.c) */
    int shm; /* --ipc container:X: a copy of X's mount on SHARE_SHM; 0: none */
};

int pod_launch_prepare(struct pod_launch *launch, const struct pod_plan *plan, struct pod_err *err);

/* In the new process of a container: waits for GO, mounts, pivots, becomes the user, runs ARGV. */
_Noreturn void pod_launch_container(struct pod_launch *launch);

/* In a process that joined a container's namespaces already: becomes the user, runs ARGV. */
_Noreturn void pod_launch_joined(struct pod_launch *launch);

/* In the supervisor: takes the terminal's master if there is one (else -1) and waits for exec or the failure. */
int pod_launch_await(struct pod_launch *launch, pid_t child, int *terminal, struct pod_err *err);

/* Process 1 with --init: forwards signals to CHILD, reaps, ends with its status. Of the container's powers it keeps CAP_KILL
 * alone, and it runs under the same filter as the program. */
_Noreturn void pod_reaper_main(pid_t child, struct pod_launch *launch);
/* The same after it has executed itself anew; every signal is blocked. */
_Noreturn void pod_reaper_loop(pid_t child);

#endif
