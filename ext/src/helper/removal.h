/* What a container leaves when it ends: its sockets, and with --rm all of it. */
#ifndef POD_REMOVAL_H
#define POD_REMOVAL_H

#include "plan.h"

/* --rm: one rename each makes the container's names disappear; the bytes follow when nobody waits any more. DIRFD: its folder. */
void pod_removal_names(const struct pod_plan *plan, int dirfd);
void pod_removal_bytes(const struct pod_plan *plan);
/* The sockets. The folder itself, which has the lock, stays as long as the container does: WHOLE takes it, too. */
void pod_removal_socket(const struct pod_plan *plan, int whole);

#endif
