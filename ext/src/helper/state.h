/* state.json: what is true of a container now, and its exit record. Written by the live supervisor alone (else by whoever
 * holds the container's lock). Its members cross versions of pod:
 *
 *   version 1 · status created|running|exited · pid pidStart (the first process) · supervisor supervisorStart · startedAt
 *   finishedAt (RFC 3339) · exitCode · restartCount · oomKilled · with status running: paused, restarting (between two runs: no pid)
 *   · rootEmulation · network (what netd said: Networks, Ports) · limits (what
 *   enforces which) · error (step, errno, path of a failed start) · and the members of HOST: which machine, which boot */
#ifndef POD_STATE_H
#define POD_STATE_H

#include <sys/types.h>

#include "plan.h"

struct pod_state {
    const char *status;
    pid_t pid;
    uint64_t pid_start;
    char started[40], finished[40];
    int exit_code;
    uint32_t restarts; /* by the policy, since the user's start */
    int oom_killed, paused, restarting;
    const char *emulation; /* "full", "basic" instead of it, or NULL: the record says it */
    const char *network; /* JSON, or NULL */
    const char *limits; /* in the place of the plan's LIMITS, or NULL */
    int failed; /* `failure` says what */
    struct pod_err failure;
};

/* Replaces state.json in the folder DIRFD; not synced: after a crash of the machine the boot id tells the truth. */
int pod_state_write(int dirfd, const struct pod_plan *plan, const struct pod_state *state,
                    struct pod_err *err);

#endif
