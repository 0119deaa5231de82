/* What came back for a datagram: the queue of errors of a socket. Sources: ip(7) (IP_RECVERR), ipv6(7), cmsg(3). */
#include <time.h>

#include <linux/errqueue.h>

#include "udp.h"

struct cmsghdr *pod_control_next(struct msghdr *message, struct cmsghdr *last)
{
    if (!last)
        return CMSG_FIRSTHDR(message);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare"
    return CMSG_NXTHDR(message, last);
#pragma GCC diagnostic pop
}

/* 0; 1 where it is another control message, or another kind of error. */
static int read_error(const struct cmsghdr *c, struct pod_socket_error *error)
{
    struct sock_extended_err of;
    union pod_sockaddr name;
    size_t length = c->cmsg_len - CMSG_LEN(0);

    if ((c->cmsg_level != SOL_IP || c->cmsg_type != IP_RECVERR) &&
        (c->cmsg_level != SOL_IPV6 || c->cmsg_type != IPV6_RECVERR))
        return 1;
    if (length < sizeof of)
        return 1;
    memcpy(&of, CMSG_DATA(c), sizeof of);
    length = length - sizeof of < sizeof name ? length - sizeof of : sizeof name;
    memset(&name, 0, sizeof name);
    memcpy(&name, CMSG_DATA(c) + sizeof of, length);
    if (pod_peer_from(&name, &error->offender))
        error->offender = (struct pod_peer){0};
    error->code = (struct pod_icmp_code){of.ee_type, of.ee_code, of.ee_info};
    error->too_big = of.ee_origin == SO_EE_ORIGIN_LOCAL && of.ee_errno == EMSGSIZE;
    return !error->too_big && of.ee_origin != SO_EE_ORIGIN_ICMP &&
           of.ee_origin != SO_EE_ORIGIN_ICMP6;
}

int pod_socket_error(int fd, struct pod_socket_error *error)
{
    uint8_t control[512] __attribute__((aligned(8)));
    struct iovec part = {error->content, sizeof error->content};
    union pod_sockaddr name;
    struct msghdr message = {.msg_name = &name,
                             .msg_namelen = sizeof name,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t length = recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);

    if (length < 0)
        return -1;
    error->length = (size_t)length;
    if (pod_peer_from(&name, &error->remote))
        return 1;
    for (struct cmsghdr *c = pod_control_next(&message, NULL); c; c = pod_control_next(&message, c))
        if (!read_error(c, error))
            return 0;
    return 1;
}
