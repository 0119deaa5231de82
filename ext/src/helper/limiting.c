#include "limiting.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "pause.h"

#define ROUNDS 200
#define LATE_MS 2000

void pod_limits_init(struct pod_limits *limits, const struct pod_plan *plan, int dirfd)
{
    limits->groups.events = -1;
    limits->plan = plan;
    pod_watch_init(&limits->watch, plan, dirfd);
}

uint64_t pod_limits_namespaces(const struct pod_plan *plan)
{
    uint64_t later = pod_plan_has(plan, POD_KEY_GROUPS_IN) ? CLONE_NEWCGROUP : 0;

    return pod_plan_u64(plan, POD_KEY_NAMESPACES) & ~later;
}

/* --- processors ------------------------------------------------------------------------------------------------ */

/* What update made of AFFINITY, also for the probes that this process forks: the kernel's own form, a bit for each processor. */
static unsigned char changed_mask[POD_MASK_MAX];
static size_t changed_size;

long pod_limits_affinity(pid_t pid, unsigned char *mask)
{
    memset(mask, 0, POD_MASK_MAX);
    return syscall(SYS_sched_getaffinity, pid, POD_MASK_MAX, mask);
}

/* Those of MASK that are ours: never more than we have ourselves. How many bytes; 0: none of them. */
static long ours_of(const void *mask, size_t length, unsigned char *wanted)
{
    unsigned char own[POD_MASK_MAX];
    long size = pod_limits_affinity(0, own);
    int any = 0;

    memset(wanted, 0, POD_MASK_MAX);
    for (long i = 0; i < size && i < (long)length; i++)
        any |= wanted[i] = own[i] & ((const unsigned char *)mask)[i];
    return any ? size : 0;
}

static const void *held_mask(const struct pod_plan *plan, uint32_t *length)
{
    *length = (uint32_t)changed_size;
    return changed_size ? changed_mask : pod_plan_blob(plan, POD_KEY_AFFINITY, length);
}

/* PID 0: this process. Where none of them is ours it has those that are. */
static int set_affinity(const struct pod_plan *plan, pid_t pid, struct pod_err *err)
{
    uint32_t length;
    const void *mask = held_mask(plan, &length);
    unsigned char wanted[POD_MASK_MAX];
    long size = mask ? ours_of(mask, length, wanted) : 0;

    if (size && syscall(SYS_sched_setaffinity, pid, (size_t)size, wanted) < 0)
        return pod_fail(err, POD_LIMIT, "sched_setaffinity");
    return 0;
}

struct shift {
    const unsigned char *before;
    unsigned char now[POD_MASK_MAX];
    long size;
    int moved, failed;
};

/* As the kernel does it to those in a cpuset: who had all of them has all again, who chose some keeps what is left of these. */
static void shift_thread(struct shift *job, pid_t thread)
{
    unsigned char has[POD_MASK_MAX], next[POD_MASK_MAX];
    long size = pod_limits_affinity(thread, has);
    int any = 0;

    if (size <= 0)
        return;
    for (long i = 0; i < POD_MASK_MAX; i++)
        any |= next[i] = has[i] & job->now[i];
    if (!any || !memcmp(has, job->before, sizeof has))
        memcpy(next, job->now, sizeof next);
    if (!memcmp(has, next, sizeof has))
        return;
    if (syscall(SYS_sched_setaffinity, thread, (size_t)job->size, next) == 0)
        job->moved++;
    else if (errno != ESRCH)
        job->failed = errno;
}

static int shift_process(void *what, pid_t pid)
{
    char path[40];

    snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
    DIR *threads = pid == getpid() ? NULL : opendir(path);
    if (!threads)
        return 0;
    for (struct dirent *entry; (entry = readdir(threads));) {
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
        if (thread > 0)
            shift_thread(what, thread);
    }
    closedir(threads);
    return 0;
}

/* What is born meanwhile has the processors of its parent: again, until nobody had to be moved. */
static int shift_all(struct pod_limits *limits, pid_t child)
{
    struct shift job = {.before = limits->before, .moved = 1};

    job.size = ours_of(changed_mask, changed_size, job.now);
    for (int round = 0; round < ROUNDS && job.moved && !job.failed; round++) {
        job.moved = 0;
        if (pod_pause_each(child, limits->watch.kind, shift_process, &job))
            return EPERM;
    }
    return job.failed;
}

int pod_limits_change(struct pod_limits *limits, pid_t child, const void *mask, size_t size,
                      const char *words)
{
    unsigned char now[POD_MASK_MAX];
    uint32_t length;
    char *kept = strdup(words);

    if (!kept || !size || size > POD_MASK_MAX || !ours_of(mask, size, now)) {
        free(kept);
        return kept ? EINVAL : ENOMEM;
    }
    const void *held = held_mask(limits->plan, &length);
    if (!held || !ours_of(held, length, limits->before))
        pod_limits_affinity(0, limits->before);
    memcpy(changed_mask, mask, size);
    changed_size = size;
    free(limits->words);
    limits->words = kept;
    limits->changed(limits->owner); /* before: who joins from now on reads that */
    if (child <= 0)
        return 0;
    limits->again_at = pod_now_ms() + LATE_MS;
    return shift_all(limits, child);
}

/* --- the rest -------------------------------------------------------------------------------------------------- */

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
    limits->again_at = 0;
    limits->child = child;
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
    if (limits->again_at && limits->child > 0 && pod_now_ms() >= limits->again_at) {
        limits->again_at = 0;
        shift_all(limits, limits->child);
    }
    within = pod_watch_look(&limits->watch, within, &killed);
    if (limits->again_at && (within < 0 || within > LATE_MS))
        within = LATE_MS;
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
    pod_limits_begin(limits, 0);
    if (limits->groups.count && pod_groups_killed(&limits->groups))
        limits->killed(limits->owner);
}
