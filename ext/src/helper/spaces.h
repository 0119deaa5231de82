/* What a container gets before anything is mounted: streams, id map, and what is set in its new namespaces. */
#ifndef POD_SPACES_H
#define POD_SPACES_H

#include "plan.h"
#include "userns.h"

/* Host and domain name, lo brought up, sysctls. PROC: the host's /proc. */
int pod_spaces_settle(const struct pod_plan *plan, int proc, struct pod_err *err);
/* The id map of the plan; 0: it has none. */
int pod_spaces_map(const struct pod_plan *plan, struct pod_idmap *map);
/* The container's ends of its streams, and ours; a terminal is made later. */
int pod_spaces_stdio(uint64_t flags, int theirs[3], int ours[3], struct pod_err *err);

#endif
