#include "logger_queue.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "logger_remote.h"

#define PATIENCE_MS 5000
/* One chunk of output may be 32768 lines: with their heads they fit, so that a container that waits loses nothing. */
#define BLOCKING_ROOM (1u << 20)
#define SMALLEST_ROOM (POD_LOG_LINE + (unsigned)sizeof(struct pod_log_head))

void pod_log_close_others(const int *kept, int count)
{
    for (int fd = 3; fd < 1024; fd++) {
        int keep = 0;
        for (int i = 0; i < count; i++)
            keep |= kept[i] == fd;
        if (!keep)
            close(fd);
    }
}

/* ---- the logger */

struct logger {
    int fd;
    int is_file;
    struct pod_log_file file;
    struct pod_log_remote remote;
    size_t used;
    char buffer[4 * POD_LOG_LINE];
};

static void write_record(struct logger *logger, const struct pod_log_head *head, const char *bytes)
{
    struct timespec when = {.tv_sec = (time_t)head->second, .tv_nsec = (long)head->nanosecond};

    if (logger->is_file) {
        pod_log_file_time(&logger->file, &when);
        pod_log_file_record(&logger->file, (int)head->stream, bytes, head->length, head->length);
    } else {
        pod_log_remote_record(&logger->remote, (int)head->stream, bytes, head->length, &when);
    }
}

static void write_records(struct logger *logger)
{
    struct pod_log_head head;
    size_t at = 0;

    while (logger->used - at >= sizeof head) {
        memcpy(&head, logger->buffer + at, sizeof head);
        if (logger->used - at - sizeof head < head.length)
            break;
        write_record(logger, &head, logger->buffer + at + sizeof head);
        at += sizeof head + head.length;
    }
    memmove(logger->buffer, logger->buffer + at, logger->used - at);
    logger->used -= at;
}

static _Noreturn void run_logger(struct logger *logger)
{
    ssize_t got;

    prctl(PR_SET_NAME, "pod-logger", 0, 0, 0);
    for (;;) {
        got = read(logger->fd, logger->buffer + logger->used, sizeof logger->buffer - logger->used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        logger->used += (size_t)got;
        write_records(logger);
        if (logger->is_file)
            pod_log_file_flush(&logger->file);
    }
    if (logger->is_file)
        pod_log_file_close(&logger->file);
    _exit(0);
}

static int open_target(struct logger *logger, const struct pod_plan *plan, int dirfd,
                       struct pod_err *err)
{
    logger->file.fd = logger->remote.fd = -1;
    logger->is_file = !pod_plan_has(plan, POD_KEY_LOG_ADDRESS);
    return logger->is_file ? pod_log_file_open(&logger->file, plan, dirfd, err)
                           : pod_log_remote_open(&logger->remote, plan, err);
}

static int start_logger(struct pod_log_queue *queue, struct logger *logger, int dirfd,
                        struct pod_err *err)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return pod_fail(err, POD_LOG, "socketpair");
    queue->pid = fork();
    if (queue->pid == 0) {
        int kept[4] = {ends[1], logger->file.fd, logger->remote.fd, dirfd};
        pod_log_close_others(kept, 4);
        logger->fd = ends[1];
        run_logger(logger);
    }
    close(ends[1]);
    queue->fd = ends[0];
    return queue->pid < 0 ? pod_fail(err, POD_FORK, "pod-logger") : 0;
}

/* ---- the supervisor's side */

int pod_log_queue_open(struct pod_log_queue *queue, const struct pod_plan *plan, int dirfd,
                       struct pod_err *err)
{
    struct logger *logger = calloc(1, sizeof *logger);
    int failed;

    if (!logger)
        return pod_fail(err, POD_MEMORY, "log");
    *queue = (struct pod_log_queue){.fd = -1, .pid = -1, .room = BLOCKING_ROOM};
    queue->drops = (pod_plan_u64(plan, POD_KEY_LOG_FLAGS) & POD_LOG_NON_BLOCKING) != 0;
    if (queue->drops)
        queue->room = pod_plan_u64(plan, POD_KEY_LOG_BUFFER);
    if (queue->room < SMALLEST_ROOM)
        queue->room = SMALLEST_ROOM;
    queue->bytes = mmap(NULL, queue->room, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (queue->bytes == MAP_FAILED) {
        free(logger);
        return pod_fail(err, POD_MEMORY, "log");
    }
    failed = open_target(logger, plan, dirfd, err) || start_logger(queue, logger, dirfd, err);
    pod_log_close_fd(&logger->file.fd);
    pod_log_close_fd(&logger->remote.fd);
    free(logger->file.closing[0]);
    free(logger->file.closing[1]);
    free(logger);
    if (failed)
        munmap(queue->bytes, queue->room);
    return failed ? -1 : 0;
}

void pod_log_queue_push(struct pod_log_queue *queue)
{
    while (queue->fd >= 0 && queue->start < queue->end) {
        ssize_t sent = send(queue->fd, queue->bytes + queue->start, queue->end - queue->start,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
            return;
        if (sent <= 0)
            pod_log_close_fd(&queue->fd); /* the logger was killed */
        else
            queue->start += (size_t)sent;
    }
    queue->start = queue->end = 0;
}

void pod_log_queue_add(struct pod_log_queue *queue, int stream, const char *bytes, size_t length,
                       const struct timespec *when)
{
    struct pod_log_head head = {(uint32_t)length, (uint32_t)stream, when->tv_sec, when->tv_nsec};

    if (queue->end - queue->start + sizeof head + length > queue->room)
        pod_log_queue_push(queue);
    if (queue->fd < 0 || queue->end - queue->start + sizeof head + length > queue->room)
        return;
    if (queue->end + sizeof head + length > queue->room) {
        memmove(queue->bytes, queue->bytes + queue->start, queue->end - queue->start);
        queue->end -= queue->start;
        queue->start = 0;
    }
    memcpy(queue->bytes + queue->end, &head, sizeof head);
    memcpy(queue->bytes + queue->end + sizeof head, bytes, length);
    queue->end += sizeof head + length;
}

void pod_log_queue_wait(struct pod_log_queue *queue)
{
    int64_t deadline = pod_now_ms() + PATIENCE_MS;
    size_t before = 0;

    while (pod_log_queue_push(queue), queue->start < queue->end) {
        struct pollfd slot = {.fd = queue->fd, .events = POLLOUT};
        if (queue->start != before)
            deadline = pod_now_ms() + PATIENCE_MS;
        before = queue->start;
        if (pod_now_ms() > deadline)
            pod_log_close_fd(&queue->fd);
        else
            poll(&slot, 1, 100);
    }
}

void pod_log_queue_close(struct pod_log_queue *queue)
{
    struct timespec moment = {.tv_nsec = 2000000};

    pod_log_queue_wait(queue);
    int patience = queue->fd < 0 ? 0 : PATIENCE_MS; /* none for one that was waited for in vain */
    pod_log_close_fd(&queue->fd);
    for (int64_t deadline = pod_now_ms() + patience; waitpid(queue->pid, NULL, WNOHANG) == 0;
         nanosleep(&moment, NULL))
        if (pod_now_ms() > deadline)
            kill(queue->pid, SIGKILL);
    munmap(queue->bytes, queue->room);
}
