/* What the stages of an extraction share: threads, and waiting that can be interrupted. */
#ifndef POD_THREADS_H
#define POD_THREADS_H

#include <pthread.h>

#include "input.h"

/* How long anybody waits before he asks whether all shall end. */
#define POD_WAIT_MS 100

/* Asks a callback, but not before POD_WAIT_MS have passed since it was asked last: the one of an
 * extraction takes Python's lock. Of the calling thread only. */
struct pod_patience {
    pod_interrupted interrupted; /* or NULL */
    void *context;
    int64_t next; /* ms, CLOCK_MONOTONIC */
};

/* A pod_interrupted; the context is a struct pod_patience. */
int pod_patience_ended(void *patience);

/* Processors that this process may use, at least 1. */
int pod_processors(void);
/* With all signals blocked, so that the caller's threads get them. 0 or an errno: EAGAIN where the
 * user has too many processes. */
int pod_thread_begin(pthread_t *thread, void *(*work)(void *), void *argument);
/* A condition on CLOCK_MONOTONIC, for pod_wait. */
int pod_condition_open(pthread_cond_t *condition);
/* Until the condition is signalled, POD_WAIT_MS at most. */
void pod_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);

#endif
