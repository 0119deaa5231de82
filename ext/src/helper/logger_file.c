#include "logger_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* "\n" of the text, which a cut line does not have; the stream; the attributes; the time, written anew for each batch. */
static int make_closings(struct pod_log_file *file, const char *attrs)
{
    static const char *const heads[2] = {"\\n\",\"stream\":\"stdout\"",
                                         "\\n\",\"stream\":\"stderr\""};
    static const char tail[] = "\"}\n";
    size_t head = strlen(heads[0]), more = strlen(attrs);

    file->closing_length = head + more + 9 + POD_STAMP + 3;
    for (int i = 0; i < 2; i++) {
        char *closing = calloc(1, file->closing_length + 16); /* read in blocks of 16 */
        if (!closing)
            return -1;
        memcpy(closing, heads[i], head);
        memcpy(closing + head, attrs, more);
        memcpy(closing + head + more, ",\"time\":\"", 9);
        memcpy(closing + head + more + 9 + POD_STAMP, tail, 3);
        file->closing[i] = closing;
    }
    return 0;
}

/* Who was killed while it wrote left half a line. */
static void look_at_end(struct pod_log_file *file)
{
    struct stat st;
    char last;

    if (fstat(file->fd, &st))
        return;
    file->size = (uint64_t)st.st_size;
    file->torn = st.st_size && (pread(file->fd, &last, 1, st.st_size - 1) != 1 || last != '\n');
}

int pod_log_file_open(struct pod_log_file *file, const struct pod_plan *plan, int dirfd,
                      struct pod_err *err)
{
    const char *attrs = pod_plan_str(plan, POD_KEY_LOG_ATTRS);

    file->dirfd = dirfd;
    file->used = 0;
    file->lost = 0;
    file->known = file->behind = 0;
    file->compressor = -1;
    file->compress = (pod_plan_u64(plan, POD_KEY_LOG_FLAGS) & POD_LOG_COMPRESS) != 0;
    file->max_size =
        pod_plan_has(plan, POD_KEY_LOG_SIZE) ? pod_plan_u64(plan, POD_KEY_LOG_SIZE) : POD_LOG_SIZE;
    file->max_files = pod_plan_has(plan, POD_KEY_LOG_FILES) ? pod_plan_u64(plan, POD_KEY_LOG_FILES)
                                                            : POD_LOG_FILES;
    file->fd = openat(dirfd, "log", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->fd < 0)
        return pod_fail(err, POD_LOG, "log");
    if (make_closings(file, attrs ? attrs : "")) {
        pod_log_close_fd(&file->fd);
        return pod_fail_errno(err, POD_LOG, ENOMEM, "log");
    }
    look_at_end(file);
    return 0;
}

void pod_log_file_time(struct pod_log_file *file, const struct timespec *now)
{
    for (int i = 0; i < 2; i++)
        pod_log_stamp(file->closing[i] + file->closing_length - 3 - POD_STAMP, now);
}

static const char *reason(int errnum)
{
    return errnum == ENOSPC   ? "no space left on device"
           : errnum == EDQUOT ? "disk quota exceeded"
                              : "input/output error";
}

/* A record that says how much of the log is missing before it; -1 while there is still no room for it. */
static int tell_lost(struct pod_log_file *file)
{
    char head[128];
    int length = snprintf(head, sizeof head, "{\"log\":\"pod: %llu bytes of this log were lost: %s",
                          (unsigned long long)file->lost, reason(file->lost_to));
    struct iovec parts[2] = {{head, (size_t)length}, {file->closing[1], file->closing_length}};
    ssize_t wrote = writev(file->fd, parts, 2);

    if (wrote > 0)
        file->size += (uint64_t)wrote;
    file->torn = wrote > 0 && (size_t)wrote < (size_t)length + file->closing_length;
    if (wrote < 0 || file->torn)
        return -1;
    file->lost = 0;
    return 0;
}

/* What waits is not to be had: its rest may begin in the middle of a line. */
static void lose(struct pod_log_file *file, size_t bytes, int errnum)
{
    file->lost += bytes;
    file->lost_to = errnum;
    file->used = 0;
}

/* The first LENGTH bytes of what waits; the rest comes to the front. */
static void write_out(struct pod_log_file *file, size_t length)
{
    size_t done = 0;

    if (file->behind)
        pod_log_compress(file);
    if (length && file->torn) {
        if (write(file->fd, "\n", 1) != 1) {
            lose(file, file->used, errno);
            return;
        }
        file->torn = 0;
        file->size++;
    }
    if (length && file->lost && tell_lost(file)) {
        lose(file, file->used, file->lost_to);
        return;
    }
    while (done < length) {
        ssize_t wrote = write(file->fd, file->out + done, length - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            break; /* full disk: these lines are lost, the container goes on */
        done += (size_t)wrote;
    }
    file->size += done;
    if (done < length) {
        file->torn = file->size > 0;
        lose(file, file->used - done, errno);
        return;
    }
    file->used -= length;
    if (file->used)
        memmove(file->out, file->out + length, file->used);
}

void pod_log_file_flush(struct pod_log_file *file)
{
    write_out(file, file->used);
}

/* After a record: what fills the file up to the next multiple of POD_LOG_WHOLE is written, so that what has to be moved is
 * less than a line. */
static inline void write_whole(struct pod_log_file *file)
{
    size_t whole = POD_LOG_WHOLE - (size_t)(file->size % POD_LOG_WHOLE);

    if (file->used >= whole)
        write_out(file, whole);
}

/* Both ends have room for the last block of 16. */
static inline __attribute__((always_inline)) void put(struct pod_log_file *file, const char *bytes,
                                                      size_t length)
{
    char *out = file->out + file->used;

    for (size_t i = 0; i < length; i += 16)
        memcpy(out + i, bytes + i, 16);
    file->used += length;
}

static void put_closing(struct pod_log_file *file, const char *bytes, size_t length)
{
    while (length) {
        if (sizeof file->out - file->used < 256)
            pod_log_file_flush(file);
        size_t most = sizeof file->out - file->used - 32, step = length < most ? length : most;
        put(file, bytes, step);
        bytes += step;
        length -= step;
    }
}

void pod_log_file_record(struct pod_log_file *file, int stream, const char *bytes, size_t length,
                         size_t readable)
{
    const char *closing = file->closing[stream == 2];
    size_t cut = 2, taken;

    if (length && bytes[length - 1] == '\n') {
        length--;
        cut = 0;
    }
    if (sizeof file->out - file->used < 256)
        pod_log_file_flush(file);
    memcpy(file->out + file->used, "{\"log\":\"", 8);
    file->used += 8;
    for (;;) {
        file->used += pod_log_escape(file->out + file->used, sizeof file->out - file->used, bytes,
                                     length, readable, &taken);
        bytes += taken;
        length -= taken;
        readable -= taken;
        if (!length)
            break;
        pod_log_file_flush(file);
    }
    put_closing(file, closing + cut, file->closing_length - cut);
    if (file->max_size && file->size + file->used >= file->max_size)
        pod_log_rotate(file);
    write_whole(file);
}

size_t pod_log_file_lines(struct pod_log_file *file, int stream, const char *bytes, size_t length,
                          size_t most)
{
    const char *closing = file->closing[stream == 2];
    size_t done = 0, more = file->closing_length + 64, wrote, line;

    if (more > 1024)
        return 0;
    while (done < length) {
        if (sizeof file->out - file->used < 2 * more)
            pod_log_file_flush(file);
        size_t room = sizeof file->out - file->used - more;
        char *out = file->out + file->used;
        memcpy(out, "{\"log\":\"", 8);
        line = pod_log_escape_line(out + 8, room, bytes + done,
                                   length - done < most ? length - done : most, &wrote);
        if (!line && file->used && room < most + more &&
            memchr(bytes + done, '\n', length - done < most ? length - done : most)) {
            pod_log_file_flush(file); /* it may have been for want of room */
            continue;
        }
        if (!line)
            break;
        file->used += 8 + wrote;
        put(file, closing, file->closing_length);
        done += line;
        if (file->max_size && file->size + file->used >= file->max_size)
            pod_log_rotate(file);
        write_whole(file);
    }
    return done;
}

void pod_log_file_close(struct pod_log_file *file)
{
    pod_log_file_flush(file);
    pod_log_close_fd(&file->fd);
    pod_log_settle(file);
    for (int i = 0; i < 2; i++) {
        free(file->closing[i]);
        file->closing[i] = NULL;
    }
}
