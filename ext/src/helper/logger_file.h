/* The log drivers json-file and local: Docker's json-file format in the container's folder, rotated.
 *
 *   log         the open file, {"log":"…\n","stream":"stdout","attrs":{…},"time":"RFC 3339, nanoseconds, UTC"} a line
 *   log.7       full ones; the larger the number the newer. A rotation is one rename, so that it may be cut anywhere
 *   log.6.gz    the same, compressed; where both are there they are the same
 *   .log.7.gz   half compressed
 *
 * A reader holds a shared flock(2) on the file that it reads. Such a file and newer ones are kept, up to POD_LOG_SPARE
 * bytes more than asked for, so that who follows a log misses nothing of it. */
#ifndef POD_LOGGER_FILE_H
#define POD_LOGGER_FILE_H

#include <sys/types.h>
#include <time.h>

#include "err.h"
#include "plan.h"

#define POD_LOG_SIZE 10000000u /* --log-opt max-size and max-file, where they are not given */
#define POD_LOG_FILES 3u
#define POD_LOG_SPARE (64u << 20)
#define POD_LOG_WHOLE \
    65536 /* writes end at such places of the file: whole folios of the page cache, a third cheaper */
#define POD_LOG_BATCH (POD_LOG_WHOLE + 4096) /* a supervisor that logs is to stay below 400 kB */
#define POD_STAMP 30 /* characters of a time */

enum pod_log_flags { POD_LOG_COMPRESS = 1 << 0, POD_LOG_NON_BLOCKING = 1 << 1 };

struct pod_log_file {
    int dirfd, fd; /* dirfd is the caller's */
    int torn; /* the last write was cut: the next begins a line */
    int lost_to; /* errno of the write that */
    uint64_t lost; /* these bytes were lost to; told by a record once there is room */
    int known; /* first and last are true */
    int compress;
    int behind; /* something became full while COMPRESSOR ran */
    uint64_t size; /* bytes of the open file */
    uint64_t max_size; /* 0: no end */
    uint64_t max_files; /* with the open one */
    uint64_t first, last; /* numbers of the full ones; first > last: there are none */
    pid_t compressor;
    char
        *closing[2]; /* what follows the text of a record of stdout, of stderr: up to the newline */
    size_t closing_length;
    size_t used;
    char out[POD_LOG_BATCH];
};

int pod_log_file_open(struct pod_log_file *file, const struct pod_plan *plan, int dirfd,
                      struct pod_err *err);
/* The time of the records that follow. */
void pod_log_file_time(struct pod_log_file *file, const struct timespec *now);
/* Bytes that are not UTF-8 become U+FFFD. READABLE, at least LENGTH: how many may be read. */
void pod_log_file_record(struct pod_log_file *file, int stream, const char *bytes, size_t length,
                         size_t readable);
/* As many records as there are whole lines of at most MOST bytes; returns how many bytes these have. */
size_t pod_log_file_lines(struct pod_log_file *file, int stream, const char *bytes, size_t length,
                          size_t most);
/* All that waits. A full disk loses lines, never the container. */
void pod_log_file_flush(struct pod_log_file *file);
void pod_log_file_close(struct pod_log_file *file);

/* An open descriptor is closed, and -1 from then on. */
static inline void pod_log_close_fd(int *fd)
{
    pod_cleanup_fd(fd);
    *fd = -1;
}

/* logger_rotate.c: the open file becomes the newest full one. */
void pod_log_rotate(struct pod_log_file *file);
/* Starts to compress what is full. */
void pod_log_compress(struct pod_log_file *file);
/* Waits a little for the process that compresses, and ends it. */
void pod_log_settle(struct pod_log_file *file);

/* logger_json.c: RFC 3339 with nanoseconds, UTC, without a NUL. */
void pod_log_stamp(char text[POD_STAMP], const struct timespec *when);
/* Escapes LENGTH bytes (READABLE of them may be read) into OUT as the inside of a JSON string, as far as ROOM goes, at least
 * 32; TAKEN: how many that were. Returns the length of what was written. */
size_t pod_log_escape(char *out, size_t room, const char *bytes, size_t length, size_t readable,
                      size_t *taken);
/* The same for the line that begins at BYTES, of which LENGTH are there: returns how many it has with its "\n", which is not
 * written, or 0 where its end is not there or not within ROOM. */
size_t pod_log_escape_line(char *out, size_t room, const char *bytes, size_t length, size_t *wrote);

#endif
