#define _GNU_SOURCE 1

#include "threads.h"

#include <sched.h>
#include <signal.h>
#include <time.h>

int pod_patience_ended(void *context)
{
    struct pod_patience *patience = context;
    struct timespec now;
    int64_t ms;

    if (!patience->interrupted)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (ms < patience->next)
        return 0;
    patience->next = ms + POD_WAIT_MS;
    return patience->interrupted(patience->context);
}

int pod_processors(void)
{
    cpu_set_t set;

    /* EINVAL where the host has more than 1024 */
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 2;
    return CPU_COUNT(&set);
}

int pod_thread_begin(pthread_t *thread, void *(*work)(void *), void *argument)
{
    sigset_t all;
    sigset_t before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(thread, NULL, work, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

int pod_condition_open(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    int failed = pthread_condattr_init(&attributes);

    if (failed)
        return failed;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    failed = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return failed;
}

void pod_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += POD_WAIT_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_cond_timedwait(condition, mutex, &until);
}
