/* Entering a running container's namespaces, for exec (setns(2)). */
#ifndef POD_JOIN_H
#define POD_JOIN_H

#include "plan.h"

/* Joins NAMESPACES of the process PID (checked against PID_START): its mount namespace's own user namespace first, which is the
 * container's even where PID itself went into an inner one. The process stops being dumpable before that: nobody in there can trace it
 * or its children before they exec (CVE-2016-9962). INNER is set to the socket of inner.h where such a namespace may be needed. */
int pod_join(const struct pod_plan *plan, int host_proc, int *inner, struct pod_err *err);

#endif
