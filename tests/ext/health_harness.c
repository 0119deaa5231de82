/* helper/health.c and health_probe.c on their own: a probe is what `pod_supervise` below says, the wall clock jumps at each
 * look by a day or two, forwards and backwards (test_health_clock.py).
 *
 *   health_harness FOLDER PLAN SECONDS WORD…     each WORD is what one probe does: an exit code, or "hang"; "stop" is the end */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "event.h"
#include "frame.h"
#include "health.h"
#include "supervisor.h"

static char **words;
static int count, turn;
static struct pod_health *health;

/* Instead of the C library's: only CLOCK_MONOTONIC tells the truth. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    static const long jumps[] = {0, 172800, -86400, 900000, -900000};
    static int look;
    int failed = (int)syscall(SYS_clock_gettime, clock, now);

    if (clock != CLOCK_MONOTONIC)
        now->tv_sec += jumps[look++ % 5];
    return failed;
}

void pod_log_now(char text[40])
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(text, 40, "%ld", (long)now.tv_sec);
}

void pod_event(const struct pod_plan *plan, const char *action, const char *more)
{
    if (!more && pod_plan_str(plan, POD_KEY_DIR))
        printf("%s\n", action);
}

uint64_t pod_process_start(pid_t pid)
{
    return (uint64_t)pid;
}

_Noreturn void pod_supervise(const struct pod_plan *plan, int control, int netd, const struct pod_err *failed)
{
    (void)netd;
    (void)failed;
    const char *word = turn < count ? words[turn] : "0";

    if (pod_plan_u64(plan, POD_KEY_PID) == 0 || pod_plan_str(plan, POD_KEY_DIR))
        abort(); /* no plan of a probe */
    if (!strcmp(word, "hang"))
        pause();
    pod_frame_send(control, POD_FRAME_OUTPUT, 1, 0, word, strlen(word));
    pod_frame_send(control, POD_FRAME_EXIT, 0, (uint32_t)atoi(word), NULL, 0);
    _exit(0);
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The supervisor's loop; counts the probes by the ends of their monitors. */
static void run(long until)
{
    struct pollfd slot;
    pid_t pid;

    while (now_ms() < until && (turn >= count || strcmp(words[turn], "stop"))) {
        int timeout = pod_health_fill(health, &slot, 50);
        poll(&slot, 1, timeout > 20 ? 20 : timeout);
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
            turn++;
            pod_health_reaped(health, pid);
        }
        pod_health_tick(health, slot.revents);
    }
}

int main(int argc, char **argv)
{
    struct pod_plan plan;
    struct pod_err err;

    if (argc < 4)
        return 2;
    int folder = open(argv[1], O_RDONLY | O_DIRECTORY);
    if (pod_plan_open(open(argv[2], O_RDONLY), &plan, &err))
        return 3;
    words = argv + 4;
    count = argc - 4;
    health = pod_health_new(&plan, folder);
    pod_health_begin(health, getpid());
    run(now_ms() + (long)(atof(argv[3]) * 1000));
    pod_health_hold(health, 1);
    printf("%d probes\n", turn);
    int before = turn;
    count = 0;
    run(now_ms() + 300);
    printf("%d held\n", turn - before);
    return 0;
}
