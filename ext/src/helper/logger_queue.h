/* The way to a log that may be slow: a process of its own, `pod-logger`, which writes and waits, so that the supervisor never
 * does. What the socket to it does not take is kept here; with mode=non-blocking what does not fit is dropped, otherwise the
 * container waits. The logger ends when it has written all, also when the supervisor was killed. */
#ifndef POD_LOGGER_QUEUE_H
#define POD_LOGGER_QUEUE_H

#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "err.h"
#include "logger_file.h"
#include "plan.h"

struct pod_log_queue {
    int fd; /* socket to the logger; -1: it has gone, and lines are lost */
    pid_t pid;
    int drops; /* mode=non-blocking */
    size_t limit; /* most bytes to keep */
    size_t start, end;
    char *bytes; /* ROOM of them, of which only those that were needed once take memory */
    size_t room;
};

/* What precedes each record on that socket. */
struct pod_log_head {
    uint32_t length;
    uint32_t stream;
    int64_t second;
    int64_t nanosecond;
};

int pod_log_queue_open(struct pod_log_queue *queue, const struct pod_plan *plan, int dirfd,
                       struct pod_err *err);
void pod_log_queue_add(struct pod_log_queue *queue, int stream, const char *bytes, size_t length,
                       const struct timespec *when);
/* Hands on as much as the socket takes. */
void pod_log_queue_push(struct pod_log_queue *queue);
/* Hands on all; gives up, and loses the rest, where nothing moves for five seconds. */
void pod_log_queue_wait(struct pod_log_queue *queue);
/* The same; then waits for the logger's end, five seconds at most. */
void pod_log_queue_close(struct pod_log_queue *queue);

/* After fork: closes every descriptor from 3 on but those COUNT. */
void pod_log_close_others(const int *kept, int count);

#endif
