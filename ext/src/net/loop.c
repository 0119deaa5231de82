#include "loop.h"

#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

int pod_loop_init(struct pod_loop *loop, struct pod_err *err)
{
    loop->stopped = 0;
    loop->ready_count = 0;
    loop->timers.next = loop->timers.before = &loop->timers;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    return loop->epoll < 0 ? pod_fail(err, POD_WAIT, "epoll") : 0;
}

static int control(struct pod_loop *loop, int what, struct pod_watch *watch, uint32_t events,
                   struct pod_err *err)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    return epoll_ctl(loop->epoll, what, watch->fd, &event) ? pod_fail(err, POD_WAIT, "epoll_ctl")
                                                           : 0;
}

int pod_loop_watch(struct pod_loop *loop, struct pod_watch *watch, uint32_t events,
                   struct pod_err *err)
{
    return control(loop, EPOLL_CTL_ADD, watch, events, err);
}

int pod_loop_change(struct pod_loop *loop, struct pod_watch *watch, uint32_t events,
                    struct pod_err *err)
{
    return control(loop, EPOLL_CTL_MOD, watch, events, err);
}

void pod_loop_forget(struct pod_loop *loop, struct pod_watch *watch)
{
    if (watch->fd >= 0)
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    for (int i = 0; i < loop->ready_count; i++)
        if (loop->ready[i] == watch)
            loop->ready[i] = NULL;
}

int64_t pod_loop_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void pod_loop_unring(struct pod_loop *loop, struct pod_timer *timer)
{
    (void)loop;
    if (!timer->due)
        return;
    timer->before->next = timer->next;
    timer->next->before = timer->before;
    timer->due = 0;
}

void pod_loop_ring_at(struct pod_loop *loop, struct pod_timer *timer, int64_t due)
{
    struct pod_timer *after = loop->timers.before;

    pod_loop_unring(loop, timer);
    /* From the end: most timers are set for later than all that there are. */
    while (after != &loop->timers && after->due > due)
        after = after->before;
    timer->due = due > 0 ? due : 1;
    timer->before = after;
    timer->next = after->next;
    after->next->before = timer;
    after->next = timer;
}

static int wait_time(struct pod_loop *loop)
{
    int64_t left;

    if (loop->timers.next == &loop->timers)
        return -1;
    left = loop->timers.next->due - pod_loop_now();
    return left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

static void ring(struct pod_loop *loop)
{
    int64_t now = pod_loop_now();

    while (loop->timers.next != &loop->timers && loop->timers.next->due <= now) {
        struct pod_timer *timer = loop->timers.next;
        pod_loop_unring(loop, timer);
        timer->rings(timer);
    }
}

void pod_loop_run(struct pod_loop *loop)
{
    struct epoll_event events[POD_LOOP_TURN];

    while (!loop->stopped) {
        int count = epoll_wait(loop->epoll, events, POD_LOOP_TURN, wait_time(loop));
        for (int i = 0; i < count; i++)
            loop->ready[i] = events[i].data.ptr;
        loop->ready_count = count < 0 ? 0 : count;
        for (int i = 0; i < count; i++)
            if (loop->ready[i])
                loop->ready[i]->ready(loop->ready[i], events[i].events);
        loop->ready_count = 0;
        ring(loop);
    }
}
