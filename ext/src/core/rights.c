#include "rights.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(POD_RIGHTS_MAX * sizeof(int))];
};

ssize_t pod_rights_send(int sock, const void *data, size_t size, const int *fds, int count,
                        int flags)
{
    union control control = {.bytes = {0}};
    struct iovec part = {(void *)(uintptr_t)data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t sent;

    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE((size_t)count * sizeof *fds);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN((size_t)count * sizeof *fds);
        memcpy(CMSG_DATA(rights), fds, (size_t)count * sizeof *fds);
    }
    do
        sent = sendmsg(sock, &message, MSG_NOSIGNAL | flags);
    while (sent < 0 && errno == EINTR);
    return sent;
}

/* Always in one header; of more than there is room for the kernel closes the rest (MSG_CTRUNC). */
static void take(struct msghdr *message, int *fds, int most)
{
    struct cmsghdr *rights = CMSG_FIRSTHDR(message);

    if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
        return;
    int given = (int)((rights->cmsg_len - CMSG_LEN(0)) / sizeof *fds);
    for (int i = 0; i < given; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(rights) + (size_t)i * sizeof fd, sizeof fd);
        if (i < most)
            fds[i] = fd;
        else
            close(fd);
    }
}

ssize_t pod_rights_receive(int sock, void *data, size_t size, int *fds, int most, int *flags)
{
    union control control;
    struct iovec part = {data, size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE((size_t)most * sizeof *fds)};
    ssize_t got;

    for (int i = 0; i < most; i++)
        fds[i] = -1;
    do
        got = recvmsg(sock, &message, MSG_CMSG_CLOEXEC | (flags ? *flags : 0));
    while (got < 0 && errno == EINTR);
    if (got >= 0)
        take(&message, fds, most);
    if (flags)
        *flags = message.msg_flags;
    return got;
}
