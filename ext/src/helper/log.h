/* The container's log in Docker's json-file format: {"log":"…\n","stream":"stdout","time":"RFC 3339, nanoseconds, UTC"} a line.
 *
 * Lines over 16 KiB are cut into records without the "\n", as Docker does; bytes that are not UTF-8 become U+FFFD. */
#ifndef POD_LOG_H
#define POD_LOG_H

#include "err.h"

#define POD_LOG_LINE 16384

struct pod_log {
    int fd; /* -1: nothing is logged */
    size_t used[2];
    char line[2][POD_LOG_LINE];
    size_t out_used;
    char out[65536];
};

int pod_log_open(struct pod_log *log, int dirfd, struct pod_err *err);
/* STREAM is 1 or 2. A full disk loses log lines, never the container. */
void pod_log_write(struct pod_log *log, int stream, const char *bytes, size_t length);
/* Last lines without their newline. */
void pod_log_finish(struct pod_log *log);
/* RFC 3339 with nanoseconds, UTC: 30 characters and a NUL. */
void pod_log_now(char text[40]);

#endif
