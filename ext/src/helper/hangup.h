/* What exec runs ends with its client, as a program does with its terminal, unless the client detached; what a build runs with
 * the build. */
#ifndef POD_HANGUP_H
#define POD_HANGUP_H

#include "relay.h"

/* Milliseconds between SIGHUP and SIGKILL. */
#define POD_HANGUP_GRACE 10000

/* To be called before each wait, with its TIMEOUT (ms, -1: none): once the client of a bound process is gone its process group
 * gets SIGHUP and SIGCONT, and SIGKILL where it is still there after the relay's grace (none: SIGKILL alone). Returns the timeout to wait with. */
int pod_hangup_look(struct pod_relay *relay, int timeout);

#endif
