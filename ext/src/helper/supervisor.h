/* The process that owns a container: see ARCHITECTURE.md "Processes". Also owns a process that `exec` started. */
#ifndef POD_SUPERVISOR_H
#define POD_SUPERVISOR_H

#include "plan.h"

/* Runs in a process forked for it; CONTROL is its end of the pair that it shares with the client, NETD its connection to the
 * network process (-1: none), NO_NETD why there is none though there should be (step NONE: all is well). Never returns. */
_Noreturn void pod_supervise(const struct pod_plan *plan, int control, int netd,
                             const struct pod_err *no_netd);

#endif
