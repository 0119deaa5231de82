/* What Python becomes once everything is decided: the caller's side of one container or exec. */
#ifndef POD_CLIENT_H
#define POD_CLIENT_H

#include "plan.h"

/* Forks the supervisor, relays until the end. Returns the exit status; does not return where a failure is to be worded by Python. */
int pod_client_run(const struct pod_plan *plan);

/* Attaches to the supervisor of a running container behind CONTROL, already connected; the plan tells about terminal, streams and
 * keys. Returns the container's exit status, or 0 after the detach keys. */
int pod_client_join(const struct pod_plan *plan, int control);

/* Replaces the process by EXPLAIN with step, errno and path. Returns only where that cannot be run; then it printed a plain line. */
void pod_client_explain(const struct pod_plan *plan, const struct pod_err *err);

#endif
