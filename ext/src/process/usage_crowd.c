#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../layer/threads.h"
#include "dents.h"
#include "usage.h"

#define UNKNOWN (-1)
#define NOBODYS (-2)
#define SUPERVISOR (-3) /* of one of them: of none itself */
#define KTHREADD 2
#define ENOUGH 2048
#define WORTH_IT 64 /* what a thread more is to have, each some microseconds */

/* ---- by two processors ------------------------------------------------------- */

struct slice {
    void (*work)(void *context, size_t from, size_t to);
    void *context;
    size_t from, to;
};

static void *run_slice(void *argument)
{
    struct slice *slice = argument;

    slice->work(slice->context, slice->from, slice->to);
    return NULL;
}

void pod_crowd_share(void (*work)(void *context, size_t from, size_t to), void *context,
                     size_t count)
{
    struct slice other = {work, context, count / 2, count};
    pthread_t thread;

    if (count < 2 * WORTH_IT || pod_processors() < 2 ||
        pod_thread_begin(&thread, run_slice, &other)) {
        work(context, 0, count);
        return;
    }
    work(context, 0, count / 2);
    pthread_join(thread, NULL);
}

/* ---- files ------------------------------------------------------- */

size_t pod_crowd_read(int proc, const char *path, char *text, size_t size)
{
    size_t length = 0;
    ssize_t got;
    POD_AUTO_FD int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    while (length < size - 1 && (got = read(fd, text + length, size - 1 - length)) > 0) {
        length += (size_t)got;
        if (got < ENOUGH) /* of the kernel's own files, which come by the page, that was all */
            break;
    }
    text[length] = '\0';
    return length;
}

uint64_t pod_crowd_space(int proc, int32_t pid, const char *kind)
{
    char path[48], link[48];

    if (pid)
        snprintf(path, sizeof path, "%d/ns/%s", (int)pid, kind);
    else
        snprintf(path, sizeof path, "self/ns/%s", kind);
    ssize_t length = readlinkat(proc, path, link, sizeof link - 1);
    if (length <= 0)
        return 0;
    link[length] = '\0';
    const char *number = strchr(link, '[');
    return number ? strtoull(number + 1, NULL, 10) : 0;
}

int pod_crowd_numbers(int fd, int (*visit)(void *context, const char *name), void *context)
{
    char buffer[32768] __attribute__((aligned(8)));
    long got;

    while ((got = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0)
        for (long at = 0; at < got;) {
            const struct pod_dent *entry = (const void *)(buffer + at);
            at += entry->reclen;
            if (entry->name[0] >= '0' && entry->name[0] <= '9' && visit(context, entry->name))
                return -1;
        }
    return got < 0 ? -1 : 0;
}

/* ---- everybody ------------------------------------------------------- */

/* proc(5): what follows the name, which may have any bytes, begins behind the last ")". 0: it is none. */
static int parse(const char *text, struct pod_process *process)
{
    const char *at = strrchr(text, ')');
    unsigned long long fields[20] = {0};
    char *end;

    if (!at || at[1] != ' ' || !at[2])
        return 0;
    process->state = at[2];
    at += 3;
    for (int i = 1; i < 20; i++, at = end) {
        fields[i] = (unsigned long long)strtoll(at, &end, 10);
        if (end == at)
            return 0;
    }
    process->pid = atoi(text);
    process->parent = (int32_t)fields[1];
    process->own = fields[11] + fields[12];
    process->ended = fields[13] + fields[14];
    process->threads = (uint32_t)fields[17];
    process->start = fields[19];
    process->world = UNKNOWN;
    return 1;
}

static int note(void *context, const char *name)
{
    struct pod_crowd *crowd = context;

    if (crowd->count == crowd->room) {
        size_t room = crowd->room ? 2 * crowd->room : 1024;
        struct pod_process *all = realloc(crowd->all, room * sizeof *all);
        if (!all)
            return -1;
        crowd->all = all;
        crowd->room = room;
    }
    crowd->all[crowd->count++] = (struct pod_process){.pid = atoi(name)};
    return 0;
}

static void look_at(void *context, size_t from, size_t to)
{
    struct pod_crowd *crowd = context;
    char path[32], text[1024];

    for (size_t i = from; i < to; i++) {
        struct pod_process *process = &crowd->all[i];
        snprintf(path, sizeof path, "%d/stat", (int)process->pid);
        if (!pod_crowd_read(crowd->proc, path, text, sizeof text) || !parse(text, process))
            process->pid = 0; /* it is gone */
    }
}

static int by_pid(const void *one, const void *other)
{
    const struct pod_process *a = one, *b = other;

    return (a->pid > b->pid) - (a->pid < b->pid);
}

int pod_crowd_look(struct pod_crowd *crowd, struct pod_err *err)
{
    memset(crowd, 0, sizeof *crowd);
    crowd->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (crowd->proc < 0 || pod_crowd_numbers(crowd->proc, note, crowd))
        return pod_fail(err, POD_OPEN, "/proc");
    pod_crowd_share(look_at, crowd, crowd->count);
    size_t kept = 0;
    for (size_t i = 0; i < crowd->count; i++)
        if (crowd->all[i].pid)
            crowd->all[kept++] = crowd->all[i];
    crowd->count = kept;
    if (crowd->count)
        qsort(crowd->all, crowd->count, sizeof *crowd->all, by_pid);
    return 0;
}

void pod_crowd_end(struct pod_crowd *crowd)
{
    pod_cleanup_fd(&crowd->proc);
    free(crowd->all);
}

/* ---- whose ------------------------------------------------------- */

static struct pod_process *find(const struct pod_crowd *crowd, int32_t pid)
{
    struct pod_process wanted = {.pid = pid};

    return crowd->count ? bsearch(&wanted, crowd->all, crowd->count, sizeof wanted, by_pid) : NULL;
}

/* The world of the nearest ancestor that has one is that of all on the way. Two looks at different moments may make a ring. */
static void inherit(const struct pod_crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        struct pod_process *process = &crowd->all[i];
        size_t steps = 0;
        while (process && process->world == UNKNOWN && steps++ <= crowd->count)
            process = find(crowd, process->parent);
        int32_t world = process && process->world >= 0 ? process->world : NOBODYS;
        for (process = &crowd->all[i]; process && process->world == UNKNOWN;
             process = find(crowd, process->parent))
            process->world = world;
    }
}

/* A world by its namespace. */
struct space {
    uint64_t number;
    int32_t is_mount, world;
};

static int by_number(const void *one, const void *other)
{
    const struct space *a = one, *b = other;

    if (a->is_mount != b->is_mount)
        return a->is_mount - b->is_mount;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return 0;
}

/* The monitor of an exec and the emulator share the container's mounts, and are not of it. */
static int is_ours(int proc, int32_t pid)
{
    static const char helper[] = "/memfd:pod-helper";
    char path[32], link[sizeof helper];

    snprintf(path, sizeof path, "%d/exe", (int)pid);
    return readlinkat(proc, path, link, sizeof link) >= (ssize_t)sizeof helper - 1 &&
           !memcmp(link, helper, sizeof helper - 1);
}

static int32_t world_by(const struct space *spaces, size_t count, uint64_t number, int is_mount)
{
    struct space wanted = {number, is_mount, 0};
    const struct space *found =
        number ? bsearch(&wanted, spaces, count, sizeof wanted, by_number) : NULL;

    return found ? found->world : NOBODYS;
}

/* Who came in otherwise than as a child: exec's. Returns how many. */
static size_t ask_others(const struct pod_crowd *crowd, const struct space *spaces, size_t count)
{
    int pids = 0, mounts = 0;
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        *(spaces[i].is_mount ? &mounts : &pids) = 1;
    for (size_t i = 0; i < crowd->count; i++) {
        struct pod_process *process = &crowd->all[i];
        if (process->world != NOBODYS || process->pid == KTHREADD || process->parent == KTHREADD)
            continue;
        if (pids)
            process->world =
                world_by(spaces, count, pod_crowd_space(crowd->proc, process->pid, "pid"), 0);
        if (mounts && process->world < 0) {
            process->world =
                world_by(spaces, count, pod_crowd_space(crowd->proc, process->pid, "mnt"), 1);
            if (process->world >= 0 && is_ours(crowd->proc, process->pid))
                process->world = NOBODYS;
        }
        found += process->world >= 0;
    }
    return found;
}

static int lives(const struct pod_crowd *crowd, int32_t pid, uint64_t start)
{
    const struct pod_process *process = find(crowd, pid);

    return process && process->start == start && process->state != 'Z' && process->state != 'X';
}

int pod_crowd_divide(struct pod_crowd *crowd, struct pod_usage *all, size_t count, int32_t *worlds,
                     struct pod_err *err)
{
    uint64_t own = pod_crowd_space(crowd->proc, 0, "pid");
    struct space *spaces = calloc(count ? count : 1, sizeof *spaces);
    size_t filled = 0;

    if (!spaces)
        return pod_fail_errno(err, POD_OPEN, ENOMEM, NULL);
    for (size_t i = 0; i < count; i++) {
        struct space space = {.world = (int32_t)i};
        worlds[i] = (int32_t)i;
        all[i].lives =
            lives(crowd, all[i].pid, all[i].start) &&
            (!all[i].supervisor || lives(crowd, all[i].supervisor, all[i].supervisor_start));
        if (!all[i].lives)
            continue;
        space.number = pod_crowd_space(crowd->proc, all[i].pid, "pid");
        if (space.number == own && own) {
            space.is_mount = 1;
            space.number = pod_crowd_space(crowd->proc, all[i].pid, "mnt");
        }
        all[i].lives = space.number != 0;
        if (space.number)
            spaces[filled++] = space;
    }
    qsort(spaces, filled, sizeof *spaces, by_number);
    size_t kept = 0;
    for (size_t i = 0; i < filled; i++) {
        if (kept && !by_number(&spaces[kept - 1], &spaces[i]))
            worlds[spaces[i].world] = spaces[kept - 1].world;
        else
            spaces[kept++] = spaces[i];
    }
    for (size_t i = 0; i < count; i++) {
        struct pod_process *first = all[i].lives ? find(crowd, all[i].pid) : NULL;
        struct pod_process *supervisor = first ? find(crowd, all[i].supervisor) : NULL;
        if (first)
            first->world = worlds[i];
        if (supervisor && supervisor->world == UNKNOWN)
            supervisor->world = SUPERVISOR; /* half of all processes need not be asked */
    }
    inherit(crowd);
    if (ask_others(crowd, spaces, kept)) {
        for (size_t i = 0; i < crowd->count; i++)
            if (crowd->all[i].world == NOBODYS)
                crowd->all[i].world = UNKNOWN;
        inherit(crowd);
    }
    free(spaces);
    return 0;
}
