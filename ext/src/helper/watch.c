#include "watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "health.h"
#include "pause.h"
#include "userns.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

#define SOONEST_MS 5
#define LATEST_MS 200
#define ALL_MS 2000
#define FILES_MS 500
/* Bytes that a process may fill in a millisecond: what decides how soon we look again. */
#define PACE (2u << 20)
#define PROCESSES_MAX 4096

struct found {
    pid_t pid[PROCESSES_MAX];
    int count;
};

void pod_watch_init(struct pod_watch *watch, const struct pod_plan *plan, int dirfd)
{
    watch->limit = pod_plan_u64(plan, POD_KEY_MEMORY);
    watch->kind = pod_plan_u64(plan, POD_KEY_NAMESPACES) & CLONE_NEWPID ? "pid" : "mnt";
    watch->dirfd = dirfd;
    if (watch->limit && dirfd >= 0) /* an earlier run's: the plan has the newest */
        unlinkat(dirfd, POD_WATCH_RECORD, 0);
}

void pod_watch_begin(struct pod_watch *watch, pid_t child)
{
    watch->child = child;
    watch->other_count = watch->holder_count = 0;
    watch->mounted = watch->unmapped = 0;
    watch->files_at = 0;
    watch->at = child > 0 && watch->limit ? pod_now_ms() + SOONEST_MS : 0;
    watch->all_at = watch->at ? pod_now_ms() + ALL_MS : 0;
}

/* --- which processes ------------------------------------------------------------------------------------------- */

static int knows(const struct found *found, pid_t pid)
{
    for (int i = 0; i < found->count; i++)
        if (found->pid[i] == pid)
            return 1;
    return 0;
}

/* PID and all that descends from it. */
static void collect(struct found *found, pid_t pid)
{
    int at = found->count;

    if (found->count == PROCESSES_MAX || knows(found, pid))
        return;
    found->pid[found->count++] = pid;
    for (; at < found->count; at++)
        found->count += pod_process_children(found->pid[at], found->pid + found->count,
                                             PROCESSES_MAX - found->count);
}

struct search {
    struct pod_watch *watch;
    const struct found *found;
};

static int is_other(void *what, pid_t pid)
{
    struct search *search = what;
    struct pod_watch *watch = search->watch;

    if (pid != getpid() && watch->other_count < POD_WATCH_OTHERS && !knows(search->found, pid)) {
        watch->starts[watch->other_count] = pod_process_start(pid);
        watch->others[watch->other_count++] = pid;
    }
    return 0;
}

static void collect_all(struct pod_watch *watch, struct found *found, int64_t now)
{
    found->count = 0;
    collect(found, watch->child);
    if (now >= watch->all_at) {
        struct search search = {watch, found};
        watch->other_count = 0;
        pod_pause_each(watch->child, watch->kind, is_other, &search);
        watch->all_at = now + ALL_MS;
    }
    for (int i = 0; i < watch->other_count; i++)
        if (pod_process_start(watch->others[i]) == watch->starts[i])
            collect(found, watch->others[i]);
}

/* --- how much -------------------------------------------------------------------------------------------------- */

static ssize_t read_text(pid_t pid, const char *file, char *text, size_t size)
{
    char path[48];

    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, file);
    POD_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    text[got > 0 ? got : 0] = '\0';
    return got;
}

/* -1: BEFORE is not in there. */
static long number_after(const char *text, const char *before)
{
    const char *at = strstr(text, before);
    return at ? strtol(at + strlen(before), NULL, 10) : -1;
}

static long read_number(pid_t pid, const char *file, const char *before)
{
    char text[256];
    long found = read_text(pid, file, text, sizeof text) > 0 ? number_after(text, before) : 0;

    return found < 0 && *before == ' ' ? 0 : found;
}

/* An upper bound that costs little: the kernel keeps the sum. */
static uint64_t resident(pid_t pid)
{
    return (uint64_t)read_number(pid, "statm", " ") * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Of what it maps its share: memory of its own, and memory that others have too. Pages of files are not in it, the kernel
 * takes them back where it wants some. Before Linux 5.3 all that it maps counts as its own. */
static void share(pid_t pid, uint64_t *own, uint64_t *shared)
{
    char text[2048];
    long anonymous = -1, memory = 0;

    if (read_text(pid, "smaps_rollup", text, sizeof text) > 0) {
        anonymous = number_after(text, "\nPss_Anon:");
        memory = anonymous < 0 ? 0 : number_after(text, "\nPss_Shmem:");
        anonymous = anonymous < 0 ? number_after(text, "\nPss:") : anonymous;
    }
    *own = anonymous < 0 ? resident(pid) : (uint64_t)anonymous * 1024;
    *shared = memory > 0 ? (uint64_t)memory * 1024 : 0;
}

/* --- what follows ---------------------------------------------------------------------------------------------- */

/* The number could be another's by now: it is sent to who had it when it was measured, and is in the container. */
static int kill_same(const struct pod_watch *watch, pid_t pid, uint64_t start)
{
    POD_AUTO_FD int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (pod_process_start(pid) != start || !pod_pause_has(watch->child, watch->kind, pid))
        return -1;
    return fd >= 0 ? (int)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) : kill(pid, SIGKILL);
}

struct victim {
    uint64_t start, bytes;
    int64_t points; /* as the kernel gives them; -1: not to be killed */
};

/* Whether it was not told of before: who has much memory ends slowly, and is the worst until then. */
static int is_news(struct pod_watch *watch, pid_t pid, uint64_t start)
{
    for (int i = 0; i < POD_WATCH_KILLED; i++)
        if (watch->killed[i] == pid && watch->killed_starts[i] == start)
            return 0;
    watch->killed[watch->killed_count % POD_WATCH_KILLED] = pid;
    watch->killed_starts[watch->killed_count++ % POD_WATCH_KILLED] = start;
    return 1;
}

/* The worst first, until what is left is within the limit. */
static void kill_some(struct pod_watch *watch, const struct found *found, struct victim *victims,
                      uint64_t used, uint64_t *killed)
{
    while (used > watch->limit) {
        int worst = -1;
        for (int i = 0; i < found->count; i++)
            if (victims[i].points >= 0 && (worst < 0 || victims[i].points > victims[worst].points))
                worst = i;
        if (worst < 0)
            return;
        victims[worst].points = -1;
        if (kill_same(watch, found->pid[worst], victims[worst].start))
            continue;
        used -= victims[worst].bytes < used ? victims[worst].bytes : used;
        *killed += (uint64_t)is_news(watch, found->pid[worst], victims[worst].start);
    }
}

/* Bytes in use; where they are more than LIMIT, those who have most of them are killed. */
static uint64_t measure(struct pod_watch *watch, struct found *found, uint64_t *killed)
{
    static struct victim victims[PROCESSES_MAX];
    uint64_t files = watch->mounted + watch->unmapped;
    uint64_t used = files, all_shared = 0;

    for (int i = 0; i < found->count; i++)
        used += resident(found->pid[i]);
    if (used <= watch->limit)
        return used;
    used = 0;
    for (int i = 0; i < found->count; i++) {
        struct victim *one = &victims[i];
        uint64_t own, shared;
        one->start = pod_process_start(found->pid[i]);
        share(found->pid[i], &own, &shared);
        long adjusted = read_number(found->pid[i], "oom_score_adj", "");
        one->bytes = own + shared;
        one->points = (int64_t)(one->bytes + pod_watch_unmapped_of(watch, found->pid[i])) +
                      (int64_t)(watch->limit / 1000) * adjusted;
        one->points = adjusted <= -1000 || !one->bytes ? -1 : one->points < 0 ? 0 : one->points;
        used += own;
        all_shared += shared;
    }
    used += all_shared > files ? all_shared : files; /* most of the one is in the other */
    kill_some(watch, found, victims, used, killed);
    return used;
}

static void read_limit(struct pod_watch *watch)
{
    char text[32];
    POD_AUTO_FD int fd = openat(watch->dirfd, POD_WATCH_RECORD, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (got <= 0)
        return;
    text[got] = '\0';
    unsigned long long limit = strtoull(text, NULL, 10);
    watch->limit =
        limit ? limit : UINT64_MAX; /* 0: no limit any more, but there may be one again */
}

int pod_watch_look(struct pod_watch *watch, int within, uint64_t *killed)
{
    static struct found found;

    if (!watch->at)
        return within;
    int64_t now = pod_now_ms();
    if (now >= watch->at) {
        read_limit(watch);
        collect_all(watch, &found, now);
        watch->mounted = pod_watch_mounted(watch->child);
        if (watch->unmapped || now >= watch->files_at) {
            watch->files_at = now + FILES_MS;
            pod_watch_unmapped(watch, found.pid, found.count);
        }
        uint64_t used = measure(watch, &found, killed);
        int64_t room = used < watch->limit ? (int64_t)((watch->limit - used) / PACE) : 0;
        int64_t pause = room < SOONEST_MS ? SOONEST_MS : room > LATEST_MS ? LATEST_MS : room;
        watch->at = pod_now_ms() + pause;
    }
    int64_t left = watch->at - pod_now_ms();
    left = left < 0 ? 0 : left;
    return within < 0 || left < within ? (int)left : within;
}
