/* restart.c under a clock of the test's: CLOCK_MONOTONIC is what the test says, the clock of the wall jumps at every look.
 *
 *   restart_harness FOLDER POLICY, then lines on stdin:
 *     began           the process runs
 *     pass MS         time goes by
 *     ended CODE      says the pause, or -1
 *     stopped         says whether the user stopped it */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <time.h>

#include "restart.h"

static int64_t monotonic_ms = 1000000;
static time_t wall = 2000000000;

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock == CLOCK_MONOTONIC) {
        now->tv_sec = (time_t)(monotonic_ms / 1000);
        now->tv_nsec = (long)(monotonic_ms % 1000) * 1000000;
        return 0;
    }
    wall = wall > 1000000000 ? 5 : 2000000000; /* years to and fro */
    now->tv_sec = wall;
    now->tv_nsec = 0;
    return 0;
}

static const char *policy;

const char *pod_plan_str(const struct pod_plan *plan, enum pod_plan_key key)
{
    (void)plan;
    return key == POD_KEY_RESTART ? policy : NULL;
}

uint64_t pod_plan_u64(const struct pod_plan *plan, enum pod_plan_key key)
{
    (void)plan;
    (void)key;
    return 0;
}

int main(int argc, char **argv)
{
    struct pod_restart restart;
    char word[32];
    long number;

    if (argc != 3)
        return 2;
    int folder = open(argv[1], O_RDONLY | O_DIRECTORY);
    policy = strcmp(argv[2], "-") ? argv[2] : NULL;
    pod_restart_init(&restart, NULL);
    while (scanf("%31s %ld", word, &number) == 2) {
        if (!strcmp(word, "began"))
            pod_restart_began(&restart);
        else if (!strcmp(word, "pass"))
            monotonic_ms += number;
        else if (!strcmp(word, "ended"))
            printf("%lld\n", (long long)pod_restart_pause(&restart, folder, (int)number));
        else
            printf("%d\n", pod_restart_stopped(folder));
    }
    return 0;
}
