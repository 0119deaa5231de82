#include "netlink.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALIGNED(length) (((length) + 3) & ~(size_t)3)

static void add(struct pod_netlink *n, const void *bytes, size_t length)
{
    if (n->overflow || n->used + ALIGNED(length) > sizeof n->bytes) {
        n->overflow = 1;
        return;
    }
    memset(n->bytes + n->used, 0, ALIGNED(length));
    if (length)
        memcpy(n->bytes + n->used, bytes, length);
    n->used += ALIGNED(length);
    if (n->message)
        n->message->nlmsg_len = (uint32_t)(n->bytes + n->used - (char *)n->message);
}

void pod_netlink_reset(struct pod_netlink *n)
{
    n->used = 0;
    n->message = NULL;
    n->overflow = 0;
}

void pod_netlink_begin(struct pod_netlink *n, uint16_t type, uint16_t flags, const void *header,
                       size_t length)
{
    struct nlmsghdr message = {.nlmsg_type = type,
                               .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                               .nlmsg_seq = ++n->sequence};
    size_t at = n->used;

    n->message = NULL;
    add(n, &message, sizeof message);
    if (n->overflow)
        return;
    n->message = (struct nlmsghdr *)(void *)(n->bytes + at);
    n->message->nlmsg_len = sizeof message;
    add(n, header, length);
}

void pod_netlink_put(struct pod_netlink *n, uint16_t type, const void *value, size_t length)
{
    struct nlattr attribute = {.nla_len = (uint16_t)(sizeof attribute + length), .nla_type = type};

    add(n, &attribute, sizeof attribute);
    add(n, value, length);
}

void pod_netlink_u8(struct pod_netlink *n, uint16_t type, uint8_t value)
{
    pod_netlink_put(n, type, &value, sizeof value);
}

void pod_netlink_u16(struct pod_netlink *n, uint16_t type, uint16_t value)
{
    pod_netlink_put(n, type, &value, sizeof value);
}

void pod_netlink_u32(struct pod_netlink *n, uint16_t type, uint32_t value)
{
    pod_netlink_put(n, type, &value, sizeof value);
}

void pod_netlink_be32(struct pod_netlink *n, uint16_t type, uint32_t value)
{
    pod_netlink_u32(n, type, htonl(value));
}

void pod_netlink_str(struct pod_netlink *n, uint16_t type, const char *value)
{
    pod_netlink_put(n, type, value, strlen(value) + 1);
}

size_t pod_netlink_nest(struct pod_netlink *n, uint16_t type)
{
    size_t at = n->used;

    pod_netlink_put(n, (uint16_t)(type | NLA_F_NESTED), NULL, 0);
    return at;
}

void pod_netlink_end(struct pod_netlink *n, size_t nest)
{
    struct nlattr attribute;

    if (n->overflow)
        return;
    memcpy(&attribute, n->bytes + nest, sizeof attribute);
    attribute.nla_len = (uint16_t)(n->used - nest);
    memcpy(n->bytes + nest, &attribute, sizeof attribute);
}

/* How many answers are due; the last message of a batch is told by its sequence number. */
static int answers_due(const struct pod_netlink *n)
{
    int due = 0;

    for (size_t at = 0; at < n->used;) {
        const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(n->bytes + at);
        due += (message->nlmsg_flags & NLM_F_ACK) != 0;
        at += ALIGNED(message->nlmsg_len);
    }
    return due;
}

/* The first error of a datagram, 0 for none; *DUE counts answers down. */
static int read_answers(const char *bytes, size_t length, int *due, int ok_exists)
{
    int first = 0;

    while (length >= sizeof(struct nlmsghdr)) {
        const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)bytes;
        if (message->nlmsg_len < sizeof *message || message->nlmsg_len > length)
            return EPROTO;
        if (message->nlmsg_type == NLMSG_ERROR &&
            message->nlmsg_len >= sizeof *message + sizeof(struct nlmsgerr)) {
            int error = -((const struct nlmsgerr *)(const void *)(message + 1))->error;
            --*due;
            if (error && !first && !(ok_exists && error == EEXIST))
                first = error;
        }
        size_t step = ALIGNED(message->nlmsg_len);
        if (step >= length)
            break;
        bytes += step;
        length -= step;
    }
    return first;
}

int pod_netlink_send(int fd, struct pod_netlink *n, int ok_exists, const char *what,
                     struct pod_err *err)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    char answer[POD_NETLINK_ROOM] __attribute__((aligned(8)));
    int due = answers_due(n), failed = 0;

    if (n->overflow)
        return pod_fail_errno(err, POD_NETLINK, EMSGSIZE, what);
    while (sendto(fd, n->bytes, n->used, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
        if (errno != EINTR)
            return pod_fail(err, POD_NETLINK, what);
    while (due > 0) {
        ssize_t got = recv(fd, answer, sizeof answer, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return pod_fail(err, POD_NETLINK, what);
        int error = read_answers(answer, (size_t)got, &due, ok_exists);
        failed = failed ? failed : error;
    }
    return failed ? pod_fail_errno(err, POD_NETLINK, failed, what) : 0;
}
