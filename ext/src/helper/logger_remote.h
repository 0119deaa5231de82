/* The log drivers syslog and journald: a message a record, to a socket. In the process pod-logger only: these wait.
 *
 * A connection that breaks is made anew, once a second at most; what comes meanwhile is lost, as with Docker. A target that
 * takes nothing for ten seconds counts as broken. */
#ifndef POD_LOGGER_REMOTE_H
#define POD_LOGGER_REMOTE_H

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "err.h"
#include "plan.h"

enum pod_syslog_format {
    POD_SYSLOG_UNIX, /* <pri>Mmm dd hh:mm:ss tag[pid]: text */
    POD_SYSLOG_RFC3164, /* the same with the host's name before the tag */
    POD_SYSLOG_RFC5424,
    POD_SYSLOG_RFC5424_MICRO,
};

struct pod_log_remote {
    int fd; /* -1: broken */
    int journald;
    int type; /* SOCK_STREAM, SOCK_DGRAM */
    struct sockaddr_storage address;
    socklen_t address_length;
    const struct pod_plan *plan;
    int facility, format;
    const char *tag, *host; /* syslog */
    long pid; /* the supervisor's */
    int64_t retry; /* ms of CLOCK_MONOTONIC: when to connect again */
    /* journald, stdout and stderr: of a line that was cut, the parts so far, and a number for all of them */
    unsigned long long parts[2], line[2];
    size_t used;
    char message[65536];
};

/* Connects, as LOG_ADDRESS says: PROTOCOL, ADDRESS, PORT. */
int pod_log_remote_open(struct pod_log_remote *remote, const struct pod_plan *plan,
                        struct pod_err *err);
void pod_log_remote_record(struct pod_log_remote *remote, int stream, const char *bytes,
                           size_t length, const struct timespec *when);

/* logger_journald.c: the record as fields of journald's native protocol. */
void pod_log_journald_compose(struct pod_log_remote *remote, int stream, const char *bytes,
                              size_t length, const struct timespec *when);

#endif
