/* Datagrams by the batch: recvmmsg(2), sendmmsg(2), and what control messages tell of them. Sources: ip(7), ipv6(7), udp(7). */
#include "udp.h"

#include <errno.h>
#include <sys/mman.h>

#define CONTROL 160

/* Half of netd's memory, when somebody sends large datagrams; pages of it that are not used do not exist. */
static uint8_t room[POD_BATCH][POD_DATAGRAM] __attribute__((aligned(4096)));
static int large; /* more than the first page of a buffer was used */

static void read_control(struct msghdr *header, struct pod_datagram *datagram)
{
    union pod_sockaddr to;

    for (struct cmsghdr *c = pod_control_next(header, NULL); c; c = pod_control_next(header, c)) {
        const void *data = CMSG_DATA(c);
        size_t length = c->cmsg_len - CMSG_LEN(0);
        if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_TTL) ||
            (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
            memcpy(&datagram->ttl, data, sizeof datagram->ttl);
        } else if ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_ORIGDSTADDR) ||
                   (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR)) {
            memset(&to, 0, sizeof to);
            memcpy(&to, data, length < sizeof to ? length : sizeof to);
            if (pod_peer_from(&to, &datagram->to))
                datagram->to = (struct pod_peer){0};
        } else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, data, sizeof info);
            datagram->to.address = pod_v4(info.ipi_addr);
        } else if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, data, sizeof info);
            datagram->to.address = info.ipi6_addr;
        }
    }
}

int pod_batch_receive(int fd, struct pod_datagram *datagrams)
{
    static union pod_sockaddr names[POD_BATCH];
    static uint8_t control[POD_BATCH][CONTROL] __attribute__((aligned(8)));
    static struct iovec parts[POD_BATCH];
    static struct mmsghdr messages[POD_BATCH];
    int found = 0, count;

    for (int i = 0; i < POD_BATCH; i++) {
        parts[i] = (struct iovec){room[i], POD_DATAGRAM};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &names[i],
                                              .msg_namelen = sizeof names[i],
                                              .msg_iov = &parts[i],
                                              .msg_iovlen = 1,
                                              .msg_control = control[i],
                                              .msg_controllen = CONTROL};
    }
    count = recvmmsg(fd, messages, POD_BATCH, MSG_DONTWAIT, NULL);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    for (int i = 0; i < count; i++) {
        struct pod_datagram *datagram = &datagrams[found];
        memset(datagram, 0, sizeof *datagram);
        if (pod_peer_from(&names[i], &datagram->from))
            continue;
        datagram->bytes = room[i];
        datagram->length = messages[i].msg_len;
        large |= datagram->length > 4096;
        read_control(&messages[i].msg_hdr, datagram);
        found++;
    }
    /* All were nonsense: more may wait, and the watch tells again. */
    return found;
}

/* The sender's address, for all of a batch; how long it is. */
static size_t write_source(uint8_t *control, const struct in6_addr *source)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)control;

    if (pod_is_v4(source)) {
        struct in_pktinfo info = {.ipi_spec_dst = pod_to_v4(source)};
        *c = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = SOL_IP, .cmsg_type = IP_PKTINFO};
        memcpy(CMSG_DATA(c), &info, sizeof info);
        return CMSG_SPACE(sizeof info);
    }
    struct in6_pktinfo info = {.ipi6_addr = *source};
    *c = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = SOL_IPV6, .cmsg_type = IPV6_PKTINFO};
    memcpy(CMSG_DATA(c), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
}

int pod_batch_send(int fd, const struct pod_datagram *datagrams, int count,
                   const struct pod_peer *to, const struct in6_addr *source)
{
    uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))] __attribute__((aligned(8)));
    struct iovec parts[POD_BATCH];
    struct mmsghdr messages[POD_BATCH];
    union pod_sockaddr name;
    socklen_t name_length = to ? pod_peer_to(to, &name) : 0;
    size_t control_length = source ? write_source(control, source) : 0;

    for (int i = 0; i < count; i++) {
        parts[i] = (struct iovec){(void *)(uintptr_t)datagrams[i].bytes, datagrams[i].length};
        messages[i].msg_hdr = (struct msghdr){.msg_name = to ? &name : NULL,
                                              .msg_namelen = name_length,
                                              .msg_iov = &parts[i],
                                              .msg_iovlen = 1,
                                              .msg_control = source ? control : NULL,
                                              .msg_controllen = control_length};
    }
    int sent = sendmmsg(fd, messages, (unsigned int)count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? 0 : sent;
}

void pod_batch_pour(int fd, const struct pod_datagram *datagrams, int count,
                    const struct pod_peer *to, const struct in6_addr *source)
{
    int tries = 0;

    for (int done = 0; done < count;) {
        int sent = pod_batch_send(fd, datagrams + done, count - done, to, source);
        if (sent == 0 && (errno == EAGAIN || errno == ENOBUFS))
            return;
        /* An error may be an earlier datagram's, that the socket tells now: this one gets a second try. */
        if (sent == 0 && ++tries < 2)
            continue;
        done += sent ? sent : 1;
        tries = 0;
    }
}

void pod_batch_rest(void)
{
    if (!large)
        return;
    madvise(room, sizeof room, MADV_DONTNEED);
    large = 0;
}
