/* The one loop of netd: descriptors that are watched, and timers. One thread, no locks. */
#ifndef POD_LOOP_H
#define POD_LOOP_H

#include <stdint.h>

#include "err.h"

#define POD_LOOP_TURN 64

struct pod_watch {
    int fd; /* -1: not watched */
    void (*ready)(struct pod_watch *watch,
                  uint32_t events); /* EPOLL*; may end and free any watch, its own too */
};

struct pod_timer {
    int64_t due; /* ms of CLOCK_MONOTONIC; 0: not set */
    void (*rings)(struct pod_timer *timer);
    struct pod_timer *next, *before; /* of the loop's list */
};

struct pod_loop {
    int epoll;
    int stopped;
    struct pod_timer timers; /* head of a ring, by due */
    struct pod_watch
        *ready[POD_LOOP_TURN]; /* of the turn at hand: those that ended meanwhile are taken out */
    int ready_count;
};

int pod_loop_init(struct pod_loop *loop, struct pod_err *err);
int pod_loop_watch(struct pod_loop *loop, struct pod_watch *watch, uint32_t events,
                   struct pod_err *err);
int pod_loop_change(struct pod_loop *loop, struct pod_watch *watch, uint32_t events,
                    struct pod_err *err);
/* Before the descriptor is closed; a watch that is not watched is left alone. Its READY is not called any more in this turn. */
void pod_loop_forget(struct pod_loop *loop, struct pod_watch *watch);
/* Sets it anew. */
void pod_loop_ring_at(struct pod_loop *loop, struct pod_timer *timer, int64_t due);
void pod_loop_unring(struct pod_loop *loop, struct pod_timer *timer);
/* Until somebody sets `stopped`. */
void pod_loop_run(struct pod_loop *loop);
/* ms of CLOCK_MONOTONIC, as of the turn's beginning (cheap). */
int64_t pod_loop_now(void);

#endif
