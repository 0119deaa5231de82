#include "log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void pod_log_now(char text[40])
{
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t used = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + used, 40 - used, ".%09ldZ", now.tv_nsec);
}

int pod_log_open(struct pod_log *log, int dirfd, struct pod_err *err)
{
    memset(log->used, 0, sizeof log->used);
    log->out_used = 0;
    log->fd = openat(dirfd, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    return log->fd < 0 ? pod_fail(err, POD_LOG, "log") : 0;
}

static void flush(struct pod_log *log)
{
    size_t done = 0;
    while (done < log->out_used) {
        ssize_t wrote = write(log->fd, log->out + done, log->out_used - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            break; /* full disk: these lines are lost, the container goes on */
        done += (size_t)wrote;
    }
    log->out_used = 0;
}

/* Length of the well-formed UTF-8 sequence at BYTES, 0 where there is none (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *b, size_t left)
{
    size_t need = b[0] < 0x80                    ? 1
                  : b[0] >= 0xc2 && b[0] <= 0xdf ? 2
                  : (b[0] & 0xf0) == 0xe0        ? 3
                  : b[0] >= 0xf0 && b[0] <= 0xf4 ? 4
                                                 : 0;
    if (!need || need > left)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) ||
        (b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] > 0x8f))
        return 0;
    return need;
}

/* Room for the longest escape of one input unit is guaranteed by the caller. */
static size_t escape(char *out, const unsigned char *bytes, size_t left, size_t *taken)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char c = bytes[0];
    size_t length = utf8_length(bytes, left);

    *taken = length ? length : 1;
    if (!length) {
        memcpy(out, "\\ufffd", 6);
        return 6;
    }
    if (length > 1) {
        memcpy(out, bytes, length);
        return length;
    }
    const char *short_forms = "\"\"\\\\\nn\rr\tt\bb\ff";
    for (const char *s = short_forms; *s; s += 2)
        if ((unsigned char)*s == c) {
            out[0] = '\\';
            out[1] = s[1];
            return 2;
        }
    if (c >= 0x20 && c != 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    memcpy(out, "\\u00", 4);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

static void record(struct pod_log *log, int stream, const char *bytes, size_t length)
{
    char now[40];

    pod_log_now(now);
    if (sizeof log->out - log->out_used < 256)
        flush(log);
    log->out_used +=
        (size_t)snprintf(log->out + log->out_used, sizeof log->out - log->out_used, "{\"log\":\"");
    for (size_t at = 0, taken; at < length; at += taken) {
        if (sizeof log->out - log->out_used < 128)
            flush(log);
        log->out_used += escape(log->out + log->out_used, (const unsigned char *)bytes + at,
                                length - at, &taken);
    }
    log->out_used += (size_t)snprintf(log->out + log->out_used, sizeof log->out - log->out_used,
                                      "\",\"stream\":\"%s\",\"time\":\"%s\"}\n",
                                      stream == 2 ? "stderr" : "stdout", now);
}

void pod_log_write(struct pod_log *log, int stream, const char *bytes, size_t length)
{
    int i = stream == 2;

    if (log->fd < 0)
        return;
    while (length) {
        const char *newline = memchr(bytes, '\n', length);
        size_t take = newline ? (size_t)(newline - bytes) + 1 : length;
        size_t room = sizeof log->line[i] - log->used[i];
        if (take > room)
            take = room;
        memcpy(log->line[i] + log->used[i], bytes, take);
        log->used[i] += take;
        bytes += take;
        length -= take;
        if (log->line[i][log->used[i] - 1] == '\n' || log->used[i] == sizeof log->line[i]) {
            record(log, stream, log->line[i], log->used[i]);
            log->used[i] = 0;
        }
    }
    flush(log);
}

void pod_log_finish(struct pod_log *log)
{
    if (log->fd < 0)
        return;
    for (int i = 0; i < 2; i++)
        if (log->used[i]) {
            record(log, i + 1, log->line[i], log->used[i]);
            log->used[i] = 0;
        }
    flush(log);
    close(log->fd);
    log->fd = -1;
}
