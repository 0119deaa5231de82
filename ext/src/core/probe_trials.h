/* The trials that probe.c runs, as tables: probe_mounts.c and probe_calls.c (with that of probe_emulation.c). */
#ifndef POD_PROBE_TRIALS_H
#define POD_PROBE_TRIALS_H

#include "err.h"

/* What is done for a trial before its function runs: all in the child, in this order. */
enum pod_world {
    OUTSIDE, /* nothing: the caller's own namespaces */
    INSIDE, /* a user namespace with the caller's id as 0 */
    MOUNTING, /* and a mount namespace with private propagation */
};

struct pod_trial {
    const char *name;
    int (*run)(const char *scratch, struct pod_err *err); /* the working directory is SCRATCH */
    enum pod_world world;
    int namespaces; /* CLONE_NEW…, unshared last */
};

/* Both end with a row without a name. */
extern const struct pod_trial pod_mount_trials[]; /* file systems: mounts, overlay, attributes */
extern const struct pod_trial pod_call_trials[]; /* namespaces, system calls, devices */

/* getpgid(2) of this process is ANSWERed so from now on; 0, or the listener where FLAGS ask for one. */
int pod_probe_filter(unsigned int answer, unsigned long flags, struct pod_err *err);
int pod_try_emulation(const char *scratch, struct pod_err *err); /* probe_emulation.c */
/* probe_network.c */
int pod_try_bridge(const char *scratch, struct pod_err *err);
int pod_try_gateway(const char *scratch, struct pod_err *err);
int pod_try_ipv6(const char *scratch, struct pod_err *err);
int pod_try_loopback(const char *scratch, struct pod_err *err); /* probe_calls.c */
int pod_try_landlock(const char *scratch, struct pod_err *err); /* probe_sandbox.c */
int pod_try_sandbox(const char *scratch, struct pod_err *err);

#endif
