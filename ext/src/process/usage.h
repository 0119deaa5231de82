/* What containers use, counted over their processes: one look at /proc for all of them. */
#ifndef POD_USAGE_H
#define POD_USAGE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* One container. LIVES: its first process is the one that started then (clock ticks after boot), and so is SUPERVISOR, unless
 * 0; else nothing below it is told. AT: nanoseconds of the monotonic clock; CPU: of processor time; PIDS: threads; the rest
 * bytes. HAS_MEMORY: somebody else counts it, and MEMORY stays 0. */
struct pod_usage {
    int32_t pid, supervisor;
    uint64_t start, supervisor_start;
    int32_t has_memory;

    int32_t lives;
    uint64_t at, cpu, pids, memory, read, written, received, sent;
};

/* Fills in COUNT of them. Not WHOLE: AT, CPU and PIDS alone. Who is in a container: who has its pid namespace, where that is
 * not the caller's, else its mount namespace, but for the engine's own; and all that descend from these. */
int pod_usage_read(struct pod_usage *all, size_t count, int whole, struct pod_err *err);

/* --- usage_crowd.c: who there is ------------------------------------------------------------------------------- */

struct pod_process {
    int32_t pid, parent,
        world; /* WORLD: index of the first container that has the same namespace; below 0: of none */
    char state;
    uint32_t threads;
    uint64_t own, ended,
        start; /* ticks: processor time, that of children that were waited for, after boot */
};

struct pod_crowd {
    struct pod_process *all; /* by pid; by world and pid once they are sorted so */
    size_t count, room;
    int proc;
};

int pod_crowd_look(struct pod_crowd *crowd, struct pod_err *err);
void pod_crowd_end(struct pod_crowd *crowd);
/* Sets LIVES of each and WORLD of every process; WORLDS has for each container the one whose world is also its own. */
int pod_crowd_divide(struct pod_crowd *crowd, struct pod_usage *all, size_t count, int32_t *worlds,
                     struct pod_err *err);

/* WORK of all from FROM to TO - 1, of COUNT in two halves at once where there are many. */
void pod_crowd_share(void (*work)(void *context, size_t from, size_t to), void *context,
                     size_t count);
/* Bytes of PATH below PROC, at most SIZE - 1, with a NUL behind; 0 where it cannot be read. */
size_t pod_crowd_read(int proc, const char *path, char *text, size_t size);
/* The number in the link /proc/PID/ns/KIND ("pid:[4026531836]"); 0 where it cannot be read. */
uint64_t pod_crowd_space(int proc, int32_t pid, const char *kind);
/* Calls VISIT with each number that names an entry of FD. */
int pod_crowd_numbers(int fd, int (*visit)(void *context, const char *name), void *context);

#endif
