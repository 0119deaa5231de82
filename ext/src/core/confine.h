/* What takes power away from a process before it runs a stranger's program: limits, keyring, seccomp, capabilities.
 * Runs between clone and exec: async-signal-safe, no allocation. */
#ifndef POD_CONFINE_H
#define POD_CONFINE_H

#include <stdint.h>
#include <sys/types.h>

#include "plan.h"

/* Applies RLIMITS; a hard limit above the caller's own is EPERM. */
int pod_confine_rlimits(const struct pod_plan *plan, struct pod_err *err);

/* A session keyring of its own (keyctl(2)), so that the caller's keys stay out of the container. Where the user's quota of
 * keyrings is used up the shared one below is kept; a kernel without keyrings is fine. */
int pod_confine_keyring(struct pod_err *err);
/* In what will supervise, before it enters any namespace (names of keyrings are those of a user namespace): leaves the
 * caller's session keyring for one that all supervisors of the user share. What was made while there was room is there for
 * those who come when there is none. */
void pod_confine_share_keyring(void);

/* Drops from the bounding set what CAPS lacks, then empties inheritable and ambient sets. */
int pod_confine_bounding(uint64_t caps, struct pod_err *err);

/* Attaches SECCOMP. Needs CAP_SYS_ADMIN in the user namespace, or no_new_privs. */
int pod_confine_seccomp(const struct pod_plan *plan, struct pod_err *err);

/* Attaches NOTIFY (FEWER: that one) and returns its listener. Where the kernel has none to give (EBUSY: an outer one is there already) BASIC
 * is attached and *REASON is the errno; returns -2 then. -1 on failure. */
int pod_confine_notify(const struct pod_plan *plan, int fewer, int *reason, struct pod_err *err);

/* For a process with root's one id that is to pass for somebody else: exec gives it no capabilities (SECBIT_NOROOT). */
int pod_confine_noroot(struct pod_err *err);

/* Becomes UID, GID with exactly GROUPS. Not for single-id containers: they have one id and cannot set groups. */
int pod_confine_ids(uid_t uid, gid_t gid, const gid_t *groups, size_t count, struct pod_err *err);

/* Permitted and effective become CAPS (root) or nothing (else); inheritable and ambient are empty. */
int pod_confine_caps(uint64_t caps, struct pod_err *err);

/* Closes every descriptor from FIRST on (close_range(2), or one by one up to the limit). */
void pod_close_from(unsigned first);

#endif
