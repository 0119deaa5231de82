/* Echo requests of containers to the world. The holder's rules drop them; a packet socket has a copy. They go on through the host's
 * ping sockets, if the administrator lets this user have them (net.ipv4.ping_group_range), else their sender is told that they are
 * prohibited. Other protocols need nothing here: to the holder every address is its own, and its kernel says that it does not
 * speak them. Sources: RFC 792, 4443; icmp(7), packet(7), ping_group_range in the kernel's ip-sysctl. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "udp.h"

#ifndef PACKET_FANOUT_FLAG_DEFRAG
#define PACKET_FANOUT_FLAG_DEFRAG 0x8000
#endif

#define PINGS 256 /* of all */
#define BOX_PINGS 32
#define IDLE 30000 /* ms */
#define TURN 16 /* packets at once */
#define HEAD 8 /* of an echo: type, code, sum, identifier, sequence */

struct ping { /* one of a container's identifiers, in one family */
    struct pod_watch watch; /* the host's ping socket */
    struct ping *next; /* the one used last is the first */
    struct pod_end *end;
    struct in6_addr inside;
    uint16_t ident; /* network's byte order */
    int64_t used;
    int ttl;
};

static struct {
    struct pod_world *world;
    struct pod_watch packets[2];
    struct pod_timer sweep;
    struct ping *pings;
} echo;

static uint8_t room[65536];

struct packet {
    struct pod_end *end;
    struct in6_addr from, to;
    int v4, ttl;
    uint8_t *bytes; /* after the IP header */
    size_t length;
};

static void end_ping(struct ping *ping)
{
    struct ping **at = &echo.pings;

    while (*at != ping)
        at = &(*at)->next;
    *at = ping->next;
    pod_loop_forget(echo.world->loop, &ping->watch);
    close(ping->watch.fd);
    free(ping);
}

static void sweep(struct pod_timer *timer)
{
    int64_t now = pod_loop_now();
    struct ping *next;

    for (struct ping *ping = echo.pings; ping; ping = next) {
        next = ping->next;
        if (now - ping->used >= IDLE)
            end_ping(ping);
    }
    if (echo.pings)
        pod_loop_ring_at(echo.world->loop, timer, now + IDLE / 6);
}

/* An error that came back for a request: told in the words of the container's own. 0: there is none. */
static int tell_error(struct ping *ping)
{
    struct pod_socket_error error;
    int found = pod_socket_error(ping->watch.fd, &error);

    if (found || error.too_big || error.length < HEAD)
        return found >= 0;
    if (!pod_is_foreign(&error.offender.address) ||
        pod_is_ours(echo.world, &error.offender.address))
        error.offender = error.remote;
    memcpy(error.content + 4, &ping->ident, sizeof ping->ident);
    struct pod_icmp_quote quote = {&ping->inside,
                                   &error.remote.address,
                                   pod_is_v4(&ping->inside) ? IPPROTO_ICMP : IPPROTO_ICMPV6,
                                   error.content,
                                   error.length,
                                   error.length};
    pod_icmp_tell(&error.offender.address, error.code, &quote);
    return 1;
}

static void host_ready(struct pod_watch *watch, uint32_t events)
{
    struct ping *ping = (struct ping *)(void *)watch;
    struct pod_peer from;
    union pod_sockaddr name;

    (void)events;
    for (int i = 0; i < TURN && tell_error(ping); i++)
        ;
    for (int i = 0; i < TURN; i++) {
        socklen_t name_length = sizeof name;
        ssize_t length =
            recvfrom(watch->fd, room, sizeof room, MSG_DONTWAIT, &name.any, &name_length);
        if (length < 0 && errno != EAGAIN && errno != EINTR)
            continue; /* the error that was told */
        if (length < HEAD)
            return;
        if (pod_peer_from(&name, &from) || !pod_is_foreign(&from.address) ||
            pod_is_ours(echo.world, &from.address))
            continue;
        memcpy(room + 4, &ping->ident, sizeof ping->ident);
        pod_icmp_send(&from.address, &ping->inside, room, (size_t)length);
    }
}

static void refuse(const struct packet *packet, enum pod_icmp_why why)
{
    const struct in6_addr *gateway = pod_gateway_of(packet->end->net, packet->v4);
    struct pod_icmp_quote quote = {
        &packet->from, &packet->to,    packet->v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
        packet->bytes, packet->length, packet->length};

    if (!pod_no_address(gateway))
        pod_icmp_tell(gateway, pod_icmp_code(why, packet->v4, 0), &quote);
}

/* Room for one more of BOX's: its own oldest goes where it has many, else the oldest of all. */
static void make_room(const struct pod_box *box)
{
    struct ping *oldest = NULL, *oldest_of_box = NULL;
    int count = 0, of_box = 0;

    for (struct ping *ping = echo.pings; ping; ping = ping->next, count++) {
        oldest = ping;
        if (ping->end->box == box) {
            oldest_of_box = ping;
            of_box++;
        }
    }
    if (of_box >= BOX_PINGS)
        end_ping(oldest_of_box);
    else if (count >= PINGS)
        end_ping(oldest);
}

static struct ping *new_ping(const struct packet *packet, uint16_t ident)
{
    struct ping *ping;
    struct pod_err err;
    int on = 1, v4 = packet->v4;
    POD_AUTO_FD int fd = -1;

    make_room(packet->end->box);
    fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    ping = fd < 0 ? NULL : calloc(1, sizeof *ping);
    if (!ping)
        return NULL;
    setsockopt(fd, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on);
    ping->watch = (struct pod_watch){fd, host_ready};
    if (pod_loop_watch(echo.world->loop, &ping->watch, EPOLLIN, &err)) {
        free(ping);
        return NULL;
    }
    pod_steal_fd(&fd);
    ping->end = packet->end;
    ping->inside = packet->from;
    ping->ident = ident;
    ping->next = echo.pings;
    echo.pings = ping;
    if (!echo.sweep.due)
        pod_loop_ring_at(echo.world->loop, &echo.sweep, pod_loop_now() + IDLE / 6);
    return ping;
}

static struct ping *ping_of(const struct packet *packet, uint16_t ident)
{
    struct ping **at = &echo.pings, *ping;

    while (*at && ((*at)->ident != ident || !pod_same_address(&(*at)->inside, &packet->from)))
        at = &(*at)->next;
    if (!*at)
        return new_ping(packet, ident);
    ping = *at;
    *at = ping->next;
    ping->next = echo.pings;
    echo.pings = ping;
    return ping;
}

static void request(struct packet *packet)
{
    int v4 = packet->v4, ttl = packet->ttl <= 32 ? packet->ttl - 1 : -1;
    struct pod_datagram datagram = {.bytes = packet->bytes, .length = packet->length};
    struct pod_peer to = {packet->to, 0};
    uint16_t ident;

    if (packet->length < HEAD)
        return;
    memcpy(&ident, packet->bytes + 4, sizeof ident);
    struct ping *ping = ping_of(packet, ident);
    if (!ping) {
        refuse(packet, POD_ICMP_PROHIBITED);
        return;
    }
    ping->used = pod_loop_now();
    if (ping->ttl != ttl) {
        setsockopt(ping->watch.fd, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_TTL : IPV6_UNICAST_HOPS, &ttl,
                   sizeof ttl);
        ping->ttl = ttl;
    }
    for (int tries = 0; tries < 2; tries++) {
        if (pod_batch_send(ping->watch.fd, &datagram, 1, &to, NULL) == 1)
            return;
        int why = pod_icmp_why(errno);
        if (!tell_error(ping) && why >= 0) {
            refuse(packet, (enum pod_icmp_why)why);
            return;
        }
    }
}

/* 0; -1 for what is not whole. */
static int read_packet(struct packet *packet, size_t length)
{
    struct iphdr v4;
    struct ip6_hdr v6;

    if (packet->v4) {
        if (length < sizeof v4)
            return -1;
        memcpy(&v4, room, sizeof v4);
        size_t header = v4.ihl * 4u, whole = ntohs(v4.tot_len);
        if (header < sizeof v4 || whole < header || whole > length || (v4.frag_off & htons(0x3fff)))
            return -1;
        packet->from = pod_v4((struct in_addr){v4.saddr});
        packet->to = pod_v4((struct in_addr){v4.daddr});
        packet->ttl = v4.ttl;
        packet->bytes = room + header;
        packet->length = whole - header;
        return 0;
    }
    if (length < sizeof v6)
        return -1;
    memcpy(&v6, room, sizeof v6);
    packet->length = ntohs(v6.ip6_plen);
    if (packet->length > length - sizeof v6 || pod_is_v4(&v6.ip6_src) || pod_is_v4(&v6.ip6_dst))
        return -1;
    packet->from = v6.ip6_src;
    packet->to = v6.ip6_dst;
    packet->ttl = v6.ip6_hlim;
    packet->bytes = room + sizeof v6;
    return 0;
}

static void handle(struct packet *packet, int ifindex)
{
    struct pod_net *net = echo.world->nets;

    while (net && net->ifindex != ifindex)
        net = net->next;
    /* What is for an address of a bridge is the kernel's, or forbidden by its rules. */
    if (!net || !pod_is_foreign(&packet->to) || pod_is_ours(echo.world, &packet->to))
        return;
    packet->end = pod_world_address(echo.world, net, &packet->from);
    if (!packet->end)
        return;
    if (net->flags & POD_NET_INTERNAL)
        refuse(packet, POD_ICMP_PROHIBITED);
    else if (packet->ttl <= 1)
        refuse(packet, POD_ICMP_EXPIRED);
    else
        request(packet);
}

static void packets_ready(struct pod_watch *watch, uint32_t events)
{
    struct sockaddr_ll link;

    (void)events;
    for (int i = 0; i < TURN; i++) {
        struct packet packet = {.v4 = watch == &echo.packets[0]};
        socklen_t link_length = sizeof link;
        ssize_t length = recvfrom(watch->fd, room, sizeof room, MSG_DONTWAIT,
                                  (struct sockaddr *)(void *)&link, &link_length);
        if (length < 0)
            return;
        if (!read_packet(&packet, (size_t)length))
            handle(&packet, link.sll_ifindex);
    }
}

/* Echo requests that were sent to the interface itself; filters of classic BPF, from the IP header on. */
static const struct sock_filter filter4[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (unsigned int)SKF_AD_OFF + SKF_AD_PKTTYPE),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 0, 6),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, offsetof(struct iphdr, protocol)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 0, 4),
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP_ECHO, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 65535),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

/* What has extension headers (fragments, too) is left out. */
static const struct sock_filter filter6[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (unsigned int)SKF_AD_OFF + SKF_AD_PKTTYPE),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 0, 5),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, offsetof(struct ip6_hdr, ip6_nxt)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 3),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, sizeof(struct ip6_hdr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP6_ECHO_REQUEST, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 65535),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

static int open_packets(struct pod_watch *watch, int v4, struct pod_err *err)
{
    struct sock_fprog program = {v4 ? sizeof filter4 / sizeof filter4[0]
                                    : sizeof filter6 / sizeof filter6[0],
                                 (struct sock_filter *)(uintptr_t)(v4 ? filter4 : filter6)};
    uint16_t protocol = htons(v4 ? ETH_P_IP : ETH_P_IPV6);
    struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = protocol};
    int fanout = (int)(0x7064u | (uint32_t)(PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_DEFRAG) << 16);
    POD_AUTO_FD int fd = pod_holder_socket(echo.world->holder, AF_PACKET, SOCK_DGRAM, 0, err);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) ||
        bind(fd, (struct sockaddr *)(void *)&all, sizeof all))
        return pod_fail(err, POD_NETWORK, "a socket for packets");
    /* Requests in fragments come whole; where the kernel has no fanout they get no answer. */
    if (v4)
        setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &fanout, sizeof fanout);
    *watch = (struct pod_watch){fd, packets_ready};
    if (pod_loop_watch(echo.world->loop, watch, EPOLLIN, err))
        return -1;
    pod_steal_fd(&fd);
    return 0;
}

int pod_icmp_echo_open(struct pod_world *world, struct pod_err *err)
{
    echo.world = world;
    echo.sweep.rings = sweep;
    return open_packets(&echo.packets[0], 1, err) || open_packets(&echo.packets[1], 0, err) ? -1
                                                                                            : 0;
}

void pod_icmp_end_gone(struct pod_end *end)
{
    struct ping *next;

    for (struct ping *ping = echo.pings; ping; ping = next) {
        next = ping->next;
        if (ping->end == end)
            end_ping(ping);
    }
}
