/* The user namespace of its own that a USER other than 0 gets where one id is mapped and root emulation is basic.
 *
 * Who writes its own id maps is dumpable meanwhile, for /proc files of others are the host root's; and once it is in there, the
 * container's root, which owns the namespace, may trace it. So a process that joins namespaces of a running container does not do it itself: a
 * child of the monitor that is in the container's user and mount namespaces, but not in its pid namespace, makes the namespace
 * where nobody in there can name it, and hands it over. */
#ifndef POD_INNER_H
#define POD_INNER_H

#include "passwd.h"
#include "plan.h"

/* Whether a process of the plan may need one. */
int pod_inner_needed(const struct pod_plan *plan);
/* Forks that child, before the pid namespace is joined. HOST_PROC: the host's /proc. MOUNTS: the mount namespace that it is to
 * enter first, -1: the caller did. Returns a socket, or -1. */
int pod_inner_offer(int host_proc, int mounts, struct pod_err *err);
/* Enters a new one as USER: made by the child behind SOCKET, or, without any (-1), by the caller itself. */
int pod_inner_enter(int host_proc, int sock, const struct pod_user *user, struct pod_err *err);

#endif
