/* Time that no change of the wall clock moves. */
#ifndef POD_CLOCK_H
#define POD_CLOCK_H

#include <stdint.h>
#include <time.h>

/* ms of CLOCK_MONOTONIC. */
static inline int64_t pod_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
