#include "log.h"

#include <string.h>

void pod_log_now(char text[40])
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    pod_log_stamp(text, &now);
    text[POD_STAMP] = '\0';
}

void pod_log_init(struct pod_log *log)
{
    log->kind = POD_LOG_NONE;
    log->file.fd = log->queue.fd = -1;
}

int pod_log_open(struct pod_log *log, const struct pod_plan *plan, int dirfd, struct pod_err *err)
{
    uint64_t flags = pod_plan_u64(plan, POD_KEY_LOG_FLAGS);

    pod_log_init(log);
    if (pod_plan_u64(plan, POD_KEY_FLAGS) & POD_PLAN_NO_LOG)
        return 0;
    memset(log->used, 0, sizeof log->used);
    if (pod_plan_has(plan, POD_KEY_LOG_ADDRESS) || flags & POD_LOG_NON_BLOCKING) {
        if (pod_log_queue_open(&log->queue, plan, dirfd, err))
            return -1;
        log->kind = POD_LOG_QUEUE;
        return 0;
    }
    if (pod_log_file_open(&log->file, plan, dirfd, err))
        return -1;
    log->kind = POD_LOG_FILE;
    return 0;
}

static void record(struct pod_log *log, int stream, const char *bytes, size_t length,
                   size_t readable, const struct timespec *now)
{
    if (log->kind == POD_LOG_FILE)
        pod_log_file_record(&log->file, stream, bytes, length, readable);
    else
        pod_log_queue_add(&log->queue, stream, bytes, length, now);
}

static void record_kept(struct pod_log *log, int stream, const struct timespec *now)
{
    int i = stream == 2;

    record(log, stream, log->line[i], log->used[i], log->used[i], now);
    log->used[i] = 0;
}

/* How many of the LENGTH bytes at BYTES belong to the record that begins there, which has USED bytes already; WHOLE says
 * whether it is complete with them. */
static size_t cut(const char *bytes, size_t length, size_t used, int *whole)
{
    size_t room = POD_LOG_LINE - used, look = length < room ? length : room;
    const char *newline = memchr(bytes, '\n', look);

    *whole = newline || look == room;
    return newline ? (size_t)(newline - bytes) + 1 : look;
}

static void begin(struct pod_log *log, struct timespec *now)
{
    clock_gettime(CLOCK_REALTIME, now);
    if (log->kind == POD_LOG_FILE)
        pod_log_file_time(&log->file, now);
}

static void end(struct pod_log *log)
{
    if (log->kind == POD_LOG_FILE)
        pod_log_file_flush(&log->file);
    else
        pod_log_queue_push(&log->queue);
}

void pod_log_write(struct pod_log *log, int stream, const char *bytes, size_t length)
{
    int i = stream == 2, whole;
    struct timespec now;

    if (log->kind == POD_LOG_NONE)
        return;
    begin(log, &now);
    while (length) {
        if (log->kind == POD_LOG_FILE && !log->used[i]) {
            size_t lines = pod_log_file_lines(&log->file, stream, bytes, length, POD_LOG_LINE);
            bytes += lines;
            length -= lines;
            if (!length)
                break;
        }
        size_t take = cut(bytes, length, log->used[i], &whole);
        if (whole && !log->used[i]) {
            record(log, stream, bytes, take, length, &now);
        } else {
            memcpy(log->line[i] + log->used[i], bytes, take);
            log->used[i] += take;
            if (whole)
                record_kept(log, stream, &now);
        }
        bytes += take;
        length -= take;
    }
    if (log->kind == POD_LOG_QUEUE || !log->in_burst)
        end(log);
}

void pod_log_burst(struct pod_log *log, int begins)
{
    log->in_burst = begins;
    if (!begins && log->kind == POD_LOG_FILE)
        pod_log_file_flush(&log->file);
}

int pod_log_waiting(const struct pod_log *log)
{
    return log->kind == POD_LOG_QUEUE && log->queue.end > log->queue.start ? log->queue.fd : -1;
}

int pod_log_holds(const struct pod_log *log)
{
    return !log->queue.drops && pod_log_waiting(log) >= 0;
}

void pod_log_push(struct pod_log *log)
{
    pod_log_queue_push(&log->queue);
}

void pod_log_wait(struct pod_log *log)
{
    if (pod_log_waiting(log) >= 0)
        pod_log_queue_wait(&log->queue);
}

void pod_log_finish(struct pod_log *log)
{
    struct timespec now;

    if (log->kind == POD_LOG_NONE)
        return;
    begin(log, &now);
    for (int i = 0; i < 2; i++)
        if (log->used[i])
            record_kept(log, i + 1, &now);
    end(log);
    if (log->kind == POD_LOG_FILE)
        pod_log_file_close(&log->file);
    else
        pod_log_queue_close(&log->queue);
    pod_log_init(log);
}
