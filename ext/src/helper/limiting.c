#include "limiting.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void pod_limits_init(struct pod_limits *limits, const struct pod_plan *plan, int dirfd)
{
    limits->groups.events = -1;
    pod_watch_init(&limits->watch, plan, dirfd);
}

uint64_t pod_limits_namespaces(const struct pod_plan *plan)
{
    uint64_t later = pod_plan_has(plan, POD_KEY_GROUPS_IN) ? CLONE_NEWCGROUP : 0;

    return pod_plan_u64(plan, POD_KEY_NAMESPACES) & ~later;
}

/* PID 0: this process. AFFINITY is the kernel's own form: a bit for each processor, in longs. */
static int set_affinity(const struct pod_plan *plan, pid_t pid, struct pod_err *err)
{
    uint32_t length;
    const void *mask = pod_plan_blob(plan, POD_KEY_AFFINITY, &length);

    if (!mask)
        return 0;
    /* Never more than we have ourselves; where none of them is ours, those that are. */
    unsigned char wanted[1024] = {0}, own[sizeof wanted];
    long size = syscall(SYS_sched_getaffinity, 0, sizeof own, own);
    int any = 0;
    for (long i = 0; i < size && i < (long)length; i++)
        any |= wanted[i] = own[i] & ((const unsigned char *)mask)[i];
    if (any && syscall(SYS_sched_setaffinity, pid, (size_t)size, wanted) < 0)
        return pod_fail(err, POD_LIMIT, "sched_setaffinity");
    return 0;
}

static int set_score(const struct pod_plan *plan, pid_t pid, struct pod_err *err)
{
    const char *score = pod_plan_str(plan, POD_KEY_OOM_SCORE);
    char path[48] = "/proc/self/oom_score_adj";

    if (!score)
        return 0;
    if (pid)
        snprintf(path, sizeof path, "/proc/%ld/oom_score_adj", (long)pid);
    POD_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, score, strlen(score)) != (ssize_t)strlen(score))
        return pod_fail(err, POD_LIMIT, "oom_score_adj");
    return 0;
}

int pod_limits_hold(struct pod_limits *limits, const struct pod_plan *plan, pid_t child,
                    struct pod_err *err)
{
    if (pod_groups_add(&limits->groups, child, err) || set_affinity(plan, child, err))
        return -1;
    return set_score(plan, child, err);
}

int pod_limits_join(const struct pod_plan *plan, struct pod_err *err)
{
    if (pod_groups_enter(plan, err) || set_affinity(plan, 0, err))
        return -1;
    return set_score(plan, 0, err);
}

void pod_limits_begin(struct pod_limits *limits, pid_t child)
{
    pod_watch_begin(&limits->watch, child);
}

int pod_limits_fill(struct pod_limits *limits, struct pollfd *slot, int within)
{
    uint64_t killed = 0;

    *slot = (struct pollfd){.fd = -1};
    if (!limits)
        return within;
    *slot = (struct pollfd){.fd = limits->groups.events,
                            .events = limits->groups.told ? POLLIN : POLLPRI};
    within = pod_watch_look(&limits->watch, within, &killed);
    if (killed)
        limits->killed(limits->owner);
    return within;
}

void pod_limits_tick(struct pod_limits *limits, int revents)
{
    if (limits && revents && pod_groups_killed(&limits->groups))
        limits->killed(limits->owner);
}

void pod_limits_ended(struct pod_limits *limits)
{
    pod_watch_begin(&limits->watch, 0);
    if (limits->groups.count && pod_groups_killed(&limits->groups))
        limits->killed(limits->owner);
}
