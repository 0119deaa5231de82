/* What the container's new namespaces get before anything is mounted. */
#ifndef POD_SPACES_H
#define POD_SPACES_H

#include "plan.h"

/* Host and domain name, lo brought up, sysctls. PROC: the host's /proc. */
int pod_spaces_settle(const struct pod_plan *plan, int proc, struct pod_err *err);

#endif
