#include "frame.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

ssize_t pod_frame_send(int fd, int type, int stream, uint32_t value, const void *payload,
                       size_t length)
{
    struct pod_frame head = {.type = (uint8_t)type, .stream = (uint8_t)stream, .value = value};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)(uintptr_t)payload, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = length ? 2 : 1};
    ssize_t sent;

    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent;
}

ssize_t pod_frame_receive(int fd, struct pod_packet *packet)
{
    ssize_t got;

    /* ECONNRESET is told once, when the peer closed without reading all of ours; what it sent before is still there. */
    do
        got = recv(fd, packet, sizeof *packet, MSG_DONTWAIT);
    while (got < 0 && (errno == EINTR || errno == ECONNRESET));
    if (got < 0)
        return -1;
    return got < (ssize_t)sizeof packet->head ? -2 : got - (ssize_t)sizeof packet->head;
}
