/* A container's log: what it writes, cut into records and given to a log driver.
 *
 *   relay ── pod_log_write ──► cut into records ─┬─► logger_file     json-file and local: written at once
 *                                                └─► logger_queue ──socket──► process pod-logger: logger_file (with
 *                                                    mode=non-blocking), logger_syslog, logger_journald
 *
 * A record is a line of at most 16 KiB; of longer ones all records but the last have no "\n", as Docker has it. What the
 * file system or the network does to a log never ends a container. docs/logs.md. */
#ifndef POD_LOG_H
#define POD_LOG_H

#include <time.h>

#include "err.h"
#include "logger_file.h"
#include "logger_queue.h"
#include "plan.h"

#define POD_LOG_LINE 16384

enum pod_log_kind { POD_LOG_NONE, POD_LOG_FILE, POD_LOG_QUEUE };

struct pod_log {
    int kind;
    int in_burst;
    size_t used[2]; /* bytes of lines whose end has not come */
    char line[2][POD_LOG_LINE];
    struct pod_log_file file;
    struct pod_log_queue queue;
};

/* Nothing is logged. */
void pod_log_init(struct pod_log *log);
/* As the plan says; may be called again after pod_log_finish. */
int pod_log_open(struct pod_log *log, const struct pod_plan *plan, int dirfd, struct pod_err *err);
/* STREAM is 1 or 2. */
void pod_log_write(struct pod_log *log, int stream, const char *bytes, size_t length);
/* Between these, what is written to a file may be gathered. */
void pod_log_burst(struct pod_log *log, int begins);
/* The descriptor to wait for (POLLOUT) while records wait for the logger, else -1; then pod_log_push. */
int pod_log_waiting(const struct pod_log *log);
void pod_log_push(struct pod_log *log);
/* Whether the container is to wait until these have gone. */
int pod_log_holds(const struct pod_log *log);
/* Waits for them instead, five seconds at most without a move. */
void pod_log_wait(struct pod_log *log);
/* Last lines without their newline; waits five seconds at most for a logger. */
void pod_log_finish(struct pod_log *log);
/* RFC 3339 with nanoseconds, UTC: 30 characters and a NUL. */
void pod_log_now(char text[40]);

#endif
