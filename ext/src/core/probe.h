/* What this host allows a plain user, found by doing it: each probe in a forked child of its own,
 * so that no namespace, mount or filter outlives it. Versions are never asked. */
#ifndef POD_PROBE_H
#define POD_PROBE_H

#include "err.h"
#include "userns.h"

/* Seconds after which a probe that hangs is ended (ETIMEDOUT). */
#define POD_PROBE_SECONDS 10

/* Tries NAME (see the tables of probe_*.c). SCRATCH is an empty folder of the caller's on the file
 * system that matters; what the probe leaves in it is the caller's to remove. 0, or -1 with the
 * step that failed; EINVAL for an unknown name. */
int pod_probe(const char *name, const char *scratch, struct pod_err *err);

/* Tries to make and join a user namespace with a range map, by newuidmap and newgidmap. */
int pod_probe_range(const struct pod_idmap *map, struct pod_err *err);

#endif
