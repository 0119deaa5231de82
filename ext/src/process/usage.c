#include "usage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT 4096
#define NANO 1000000000ull

/* The first number behind NAME, which begins a line of TEXT; 0 where it is missing. */
static uint64_t number_of(const char *text, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = text; line && *line;) {
        if (!strncmp(line, name, length))
            return strtoull(line + length, NULL, 10);
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return 0;
}

static const char *read_of(int proc, int32_t pid, const char *file, char *text)
{
    char path[64];

    snprintf(path, sizeof path, "%d/%.48s", (int)pid, file);
    text[0] = '\0';
    pod_crowd_read(proc, path, text, TEXT);
    return text;
}

/* ---- processor time ------------------------------------------------------- */

struct ran {
    int proc;
    int32_t pid;
    uint64_t nanoseconds;
};

static int add_thread(void *context, const char *name)
{
    struct ran *ran = context;
    char file[48], text[TEXT];

    snprintf(file, sizeof file, "task/%.20s/schedstat", name);
    ran->nanoseconds += strtoull(read_of(ran->proc, ran->pid, file, text), NULL, 10);
    return 0;
}

/* Nanoseconds that its threads ran, of those that there are now; 0 where the kernel does not tell. */
static uint64_t scheduled(int proc, const struct pod_process *process)
{
    struct ran ran = {.proc = proc, .pid = process->pid};
    char path[32], text[TEXT];

    if (process->threads <= 1)
        return strtoull(read_of(proc, process->pid, "schedstat", text), NULL, 10);
    snprintf(path, sizeof path, "%d/task", (int)process->pid);
    POD_AUTO_FD int task = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return task < 0 || pod_crowd_numbers(task, add_thread, &ran) ? 0 : ran.nanoseconds;
}

static uint64_t processor_time(int proc, const struct pod_process *process, uint64_t tick)
{
    uint64_t finer = scheduled(proc, process), own = process->own * tick;

    return (finer > own ? finer : own) + process->ended * tick;
}

/* ---- the rest ------------------------------------------------------- */

/* Its share of what it maps, else what it has resident. */
static uint64_t memory(int proc, int32_t pid)
{
    char text[TEXT];
    uint64_t share = number_of(read_of(proc, pid, "smaps_rollup", text), "Pss:");

    return 1024 * (share ? share : number_of(read_of(proc, pid, "status", text), "VmRSS:"));
}

/* Of the interfaces in its network namespace, without lo; nothing of the caller's own. */
static void network(int proc, struct pod_usage *one, uint64_t own)
{
    char text[16 * TEXT], path[32];
    uint64_t space = pod_crowd_space(proc, one->pid, "net");

    snprintf(path, sizeof path, "%d/net/dev", (int)one->pid);
    if (!space || space == own || !pod_crowd_read(proc, path, text, sizeof text))
        return;
    for (char *line = text, *end; line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        char *colon = strchr(line, ':');
        if (!colon)
            continue; /* the headings */
        *colon = '\0';
        line += strspn(line, " ");
        if (!strcmp(line, "lo"))
            continue;
        char *at = colon + 1;
        for (int field = 0; field < 9; field++) {
            char *from = at;
            uint64_t value = strtoull(from, &at, 10);
            if (at == from)
                break;
            one->received += field == 0 ? value : 0;
            one->sent += field == 8 ? value : 0;
        }
    }
}

static uint64_t now(void)
{
    struct timespec moment;

    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (uint64_t)moment.tv_sec * NANO + (uint64_t)moment.tv_nsec;
}

static void add(struct pod_usage *one, int proc, const struct pod_process *process, uint64_t tick,
                int whole)
{
    char text[TEXT];

    one->cpu += processor_time(proc, process, tick);
    one->at = now();
    one->pids += process->threads;
    if (!whole)
        return;
    const char *io = read_of(proc, process->pid, "io", text);
    one->read += number_of(io, "read_bytes:");
    one->written += number_of(io, "write_bytes:");
    if (!one->has_memory)
        one->memory += memory(proc, process->pid);
}

static int by_world(const void *one, const void *other)
{
    const struct pod_process *a = one, *b = other;

    return (a->world > b->world) - (a->world < b->world);
}

struct counting {
    struct pod_crowd *crowd;
    struct pod_usage *all;
    const size_t *first; /* of each container: its first process in crowd, count + 1 of them */
    uint64_t tick, own;
    int whole;
};

static void count_some(void *context, size_t from, size_t to)
{
    const struct counting *c = context;

    for (size_t i = from; i < to; i++) {
        for (size_t at = c->first[i]; at < c->first[i + 1]; at++)
            add(&c->all[i], c->crowd->proc, &c->crowd->all[at], c->tick, c->whole);
        if (c->whole && c->all[i].lives)
            network(c->crowd->proc, &c->all[i], c->own);
    }
}

static int count_all(struct pod_crowd *crowd, struct pod_usage *all, size_t count,
                     const int32_t *worlds, int whole)
{
    size_t *first = calloc(count + 1, sizeof *first), at = 0;
    struct counting counting = {crowd,
                                all,
                                first,
                                NANO / (uint64_t)sysconf(_SC_CLK_TCK),
                                pod_crowd_space(crowd->proc, 0, "net"),
                                whole};

    if (!first)
        return -1;
    /* One container after the other, so that its sum is of one moment. */
    if (crowd->count)
        qsort(crowd->all, crowd->count, sizeof *crowd->all, by_world);
    while (at < crowd->count && crowd->all[at].world < 0)
        at++;
    for (size_t i = 0; i < count; i++) /* of one world, whoever of them wants it counted */
        all[worlds[i]].has_memory &= all[i].has_memory;
    for (size_t i = 0; i < count; i++) {
        first[i] = at;
        while (at < crowd->count && crowd->all[at].world == (int32_t)i)
            at++;
    }
    first[count] = at;
    pod_crowd_share(count_some, &counting, count);
    free(first);
    for (size_t i = 0; i < count; i++) {
        const struct pod_usage *same = &all[worlds[i]];
        if (same == &all[i] || !all[i].lives)
            continue;
        all[i].at = same->at;
        all[i].cpu = same->cpu;
        all[i].pids = same->pids;
        all[i].memory = same->memory;
        all[i].read = same->read;
        all[i].written = same->written;
    }
    return 0;
}

int pod_usage_read(struct pod_usage *all, size_t count, int whole, struct pod_err *err)
{
    struct pod_crowd crowd;
    int32_t *worlds = calloc(count ? count : 1, sizeof *worlds);
    int failed = 0;

    if (!worlds)
        return pod_fail_errno(err, POD_OPEN, ENOMEM, NULL);
    failed = pod_crowd_look(&crowd, err) || pod_crowd_divide(&crowd, all, count, worlds, err);
    if (!failed && count_all(&crowd, all, count, worlds, whole))
        failed = pod_fail_errno(err, POD_OPEN, ENOMEM, NULL);
    pod_crowd_end(&crowd);
    free(worlds);
    return failed ? -1 : 0;
}
