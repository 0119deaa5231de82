#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "logger_file.h"
#include "logger_remote.h"

#define CONNECT_MS 5000
#define RETRY_MS 1000
#define SEND_SECONDS 10

/* Numbers only: names were looked up when the plan was made. */
static int read_address(struct pod_log_remote *remote, const char *protocol, const char *where,
                        const char *port)
{
    struct sockaddr_un *local = (struct sockaddr_un *)&remote->address;
    struct sockaddr_in *four = (struct sockaddr_in *)&remote->address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&remote->address;
    in_port_t number = htons((uint16_t)atoi(port));

    remote->journald = !strcmp(protocol, "journald");
    remote->type = !strcmp(protocol, "tcp") || !strcmp(protocol, "unix") ? SOCK_STREAM : SOCK_DGRAM;
    memset(&remote->address, 0, sizeof remote->address);
    if (strcmp(protocol, "tcp") && strcmp(protocol, "udp")) {
        local->sun_family = AF_UNIX;
        remote->address_length = sizeof *local;
        if (strlen(where) >= sizeof local->sun_path)
            return -1;
        memcpy(local->sun_path, where, strlen(where));
    } else if (inet_pton(AF_INET, where, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = number;
        remote->address_length = sizeof *four;
    } else if (inet_pton(AF_INET6, where, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = number;
        remote->address_length = sizeof *six;
    } else {
        return -1;
    }
    return 0;
}

static int await_connection(int fd)
{
    struct pollfd slot = {.fd = fd, .events = POLLOUT};
    int code = 0;
    socklen_t size = sizeof code;

    if (poll(&slot, 1, CONNECT_MS) < 1)
        code = ETIMEDOUT;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size))
        code = errno;
    errno = code;
    return code ? -1 : 0;
}

static int connect_remote(struct pod_log_remote *remote)
{
    struct timeval patience = {.tv_sec = SEND_SECONDS};
    int family = remote->address.ss_family;
    POD_AUTO_FD int fd = socket(family, remote->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&remote->address, remote->address_length) &&
        (errno != EINPROGRESS || await_connection(fd)))
        return -1;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    remote->fd = pod_steal_fd(&fd);
    return 0;
}

int pod_log_remote_open(struct pod_log_remote *remote, const struct pod_plan *plan,
                        struct pod_err *err)
{
    const char *protocol = pod_plan_str(plan, POD_KEY_LOG_ADDRESS), *where, *port;
    uint64_t how = pod_plan_u64(plan, POD_KEY_LOG_SYSLOG);

    remote->fd = -1;
    remote->plan = plan;
    remote->pid = (long)getpid();
    if (pod_plan_strv_count(plan, POD_KEY_LOG_ADDRESS) != 3)
        return pod_fail_errno(err, POD_PLAN, EINVAL, "address of the log");
    where = protocol + strlen(protocol) + 1;
    port = where + strlen(where) + 1;
    if (read_address(remote, protocol, where, port))
        return pod_fail_errno(err, POD_PLAN, EINVAL, where);
    if (!remote->journald) {
        if (pod_plan_strv_count(plan, POD_KEY_LOG_TEXTS) != 2)
            return pod_fail_errno(err, POD_PLAN, EINVAL, "tag of the log");
        remote->facility = (int)(how & 0xff);
        remote->format = (int)(how >> 8);
        remote->tag = pod_plan_str(plan, POD_KEY_LOG_TEXTS);
        remote->host = remote->tag + strlen(remote->tag) + 1;
    }
    if (!connect_remote(remote))
        return 0;
    /* Syslog's own socket is of either kind. */
    if (errno != EPROTOTYPE || *port != '?')
        return pod_fail(err, POD_LOG, where);
    remote->type = SOCK_STREAM;
    return connect_remote(remote) ? pod_fail(err, POD_LOG, where) : 0;
}

/* Docker's priorities: LOG_ERR for stderr, LOG_INFO for stdout. */
static int head_of(struct pod_log_remote *remote, int stream, const struct timespec *when)
{
    int priority = remote->facility << 3 | (stream == 2 ? 3 : 6);
    char stamp[64], part[16] = "";
    struct tm tm;

    if (remote->format == POD_SYSLOG_UNIX || remote->format == POD_SYSLOG_RFC3164) {
        int named = remote->format == POD_SYSLOG_RFC3164;
        localtime_r(&when->tv_sec, &tm);
        strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", &tm);
        return snprintf(remote->message, sizeof remote->message, "<%d>%s %s%s%s[%ld]: ", priority,
                        stamp, named ? remote->host : "", named ? " " : "", remote->tag,
                        remote->pid);
    }
    gmtime_r(&when->tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    if (remote->format == POD_SYSLOG_RFC5424_MICRO)
        snprintf(part, sizeof part, ".%06d", (int)(when->tv_nsec / 1000 % 1000000));
    return snprintf(remote->message, sizeof remote->message, "<%d>1 %s%sZ %s %s %ld %s - ",
                    priority, stamp, part, remote->host, remote->tag, remote->pid, remote->tag);
}

static void compose(struct pod_log_remote *remote, int stream, const char *bytes, size_t length,
                    const struct timespec *when)
{
    int head = head_of(remote, stream, when);
    size_t room;

    remote->used = head < 0 || (size_t)head > sizeof remote->message / 2 ? 0 : (size_t)head;
    room = sizeof remote->message - remote->used - 1;
    if (length && bytes[length - 1] == '\n')
        length--;
    if (length > room)
        length = room;
    memcpy(remote->message + remote->used, bytes, length);
    remote->used += length;
    remote->message[remote->used++] = '\n';
}

static int send_all(const struct pod_log_remote *remote)
{
    size_t done = 0;

    while (done < remote->used) {
        ssize_t sent = send(remote->fd, remote->message + done, remote->used - done, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        done += (size_t)sent;
    }
    return 0;
}

void pod_log_remote_record(struct pod_log_remote *remote, int stream, const char *bytes,
                           size_t length, const struct timespec *when)
{
    if (remote->journald)
        pod_log_journald_compose(remote, stream, bytes, length, when);
    else
        compose(remote, stream, bytes, length, when);
    for (int attempt = 0; attempt < 2; attempt++) {
        if (remote->fd < 0) {
            if (pod_now_ms() < remote->retry)
                return;
            remote->retry = pod_now_ms() + RETRY_MS;
            if (connect_remote(remote))
                return;
        }
        if (send_all(remote) == 0)
            return;
        if (errno == EMSGSIZE)
            return;
        pod_log_close_fd(&remote->fd);
    }
}
