/* Descriptors that go along with a packet over a Unix socket (SCM_RIGHTS, unix(7)). Async-signal-safe. */
#ifndef POD_RIGHTS_H
#define POD_RIGHTS_H

#include <stddef.h>
#include <sys/types.h>

#define POD_RIGHTS_MAX 64 /* in one packet */

/* As sendmsg(2) with FLAGS and MSG_NOSIGNAL, again after a signal. COUNT may be 0. */
ssize_t pod_rights_send(int sock, const void *data, size_t size, const int *fds, int count,
                        int flags);
/* As recvmsg(2) with *FLAGS (NULL: none), again after a signal; what came of it (MSG_TRUNC …) is in *FLAGS then. FDS gets the
 * MOST first descriptors, close-on-exec, -1 where there were fewer; what came beyond them is closed. */
ssize_t pod_rights_receive(int sock, void *data, size_t size, int *fds, int most, int *flags);

/* One descriptor: 0 or -1. */
static inline int pod_send_fd(int sock, const void *data, size_t size, int fd)
{
    return pod_rights_send(sock, data, size, &fd, 1, 0) == (ssize_t)size ? 0 : -1;
}

static inline ssize_t pod_receive_fd(int sock, void *data, size_t size, int *fd)
{
    return pod_rights_receive(sock, data, size, fd, 1, NULL);
}

#endif
