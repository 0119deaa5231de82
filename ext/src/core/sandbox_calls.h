/* The system calls of a process behind the walls of sandbox.h. */
#ifndef POD_SANDBOX_CALLS_H
#define POD_SANDBOX_CALLS_H

/* 1 if the filter is attached. Needs no_new_privs. */
int pod_sandbox_calls(void);

#endif
