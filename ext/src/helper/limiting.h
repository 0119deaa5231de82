/* What holds a container's resources, for the supervisor: control groups (groups.h), else what a user can do without them:
 * processors by affinity (sched_setaffinity(2)), memory by watching (watch.h). core/runtime/limits.py decides which; limits
 * on processes are RLIMITS of the plan then. */
#ifndef POD_LIMITING_H
#define POD_LIMITING_H

#include <poll.h>
#include <sys/types.h>

#include "groups.h"
#include "watch.h"

#define POD_MASK_MAX 1024 /* bytes: processors that a kernel can have */

struct pod_limits {
    struct pod_groups groups;
    struct pod_watch watch;
    void (*killed)(void *owner); /* somebody was, for want of memory */
    void (*changed)(void *owner); /* `words` are other ones */
    void *owner;
    const struct pod_plan *plan;
    pid_t child;
    char *words; /* JSON for the record after a change; NULL: what the plan says */
    int64_t again_at; /* ms, or 0: when who joined meanwhile gets the processors too */
    unsigned char before[POD_MASK_MAX]; /* processors that it had until then */
};

/* The processors that PID (0: this process) may have, in MASK (POD_MASK_MAX bytes); how many bytes the kernel gave, or -1. */
long pod_limits_affinity(pid_t pid, unsigned char *mask);
void pod_limits_init(struct pod_limits *limits, const struct pod_plan *plan, int dirfd);
/* NAMESPACES for clone(2): that of control groups is made later, by who is in them (spaces.c). */
uint64_t pod_limits_namespaces(const struct pod_plan *plan);
/* Before the first process goes on: it is in its groups, with its processors and its score for the kernel. */
int pod_limits_hold(struct pod_limits *limits, const struct pod_plan *plan, pid_t child,
                    struct pod_err *err);
/* The same of this process, which is about to join the container. */
int pod_limits_join(const struct pod_plan *plan, struct pod_err *err);
/* Other processors for all that runs in the container, and for what will; WORDS: what the record says of its limits then. A
 * thread that has fewer of its own choice keeps those that are allowed. CHILD 0: nothing runs. Returns an errno. */
int pod_limits_change(struct pod_limits *limits, pid_t child, const void *mask, size_t size,
                      const char *words);
void pod_limits_begin(struct pod_limits *limits, pid_t child);
/* Before poll(2), LIMITS may be NULL: fills SLOT; how long a wait of WITHIN ms may be. */
int pod_limits_fill(struct pod_limits *limits, struct pollfd *slot, int within);
/* After poll(2). */
void pod_limits_tick(struct pod_limits *limits, int revents);
/* The process has ended: what the kernel killed of it is told at last. */
void pod_limits_ended(struct pod_limits *limits);

#endif
