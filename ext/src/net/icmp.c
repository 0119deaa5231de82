/* ICMP of both families in the name of somebody far away. Sources: RFC 792, 1191, 1812 (4.3.2), 4443; raw(7), ipv6(7). */
#include "icmp.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>

#include "checksum.h"
#include "udp.h"

#ifndef ICMP_FILTER
#define ICMP_FILTER 1
#endif

/* An error is at most so long: 576 bytes of IPv4 (RFC 1812), and less than the 1280 of IPv6. */
#define QUOTED 520
#define BUCKETS 256
#define PER_SECOND 100

static struct {
    int raw4, raw6;
    struct {
        int64_t second;
        int told;
    } buckets[BUCKETS]; /* by address: a container cannot use up another's */
} icmp = {.raw4 = -1, .raw6 = -1};

struct pod_icmp_code pod_icmp_code(enum pod_icmp_why why, int v4, uint32_t number)
{
    static const uint8_t codes[][4] = {
        [POD_ICMP_NET] = {ICMP_DEST_UNREACH, ICMP_NET_UNREACH, ICMP6_DST_UNREACH,
                          ICMP6_DST_UNREACH_NOROUTE},
        [POD_ICMP_HOST] = {ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, ICMP6_DST_UNREACH,
                           ICMP6_DST_UNREACH_ADDR},
        [POD_ICMP_PORT] = {ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, ICMP6_DST_UNREACH,
                           ICMP6_DST_UNREACH_NOPORT},
        [POD_ICMP_PROHIBITED] = {ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, ICMP6_DST_UNREACH,
                                 ICMP6_DST_UNREACH_ADMIN},
        [POD_ICMP_TOO_BIG] = {ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP6_PACKET_TOO_BIG, 0},
        [POD_ICMP_EXPIRED] = {ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, ICMP6_TIME_EXCEEDED,
                              ICMP6_TIME_EXCEED_TRANSIT},
    };
    const uint8_t *row = codes[why] + (v4 ? 0 : 2);

    return (struct pod_icmp_code){row[0], row[1], number};
}

int pod_icmp_why(int errnum)
{
    switch (errnum) {
    case ENETUNREACH:
    case ENETDOWN:
    case EADDRNOTAVAIL: /* the host has no address of this family */
    case EAFNOSUPPORT:
        return POD_ICMP_NET;
    case EHOSTUNREACH:
    case EHOSTDOWN:
        return POD_ICMP_HOST;
    case EACCES:
    case EPERM:
        return POD_ICMP_PROHIBITED;
    case ECONNREFUSED:
        return POD_ICMP_PORT;
    default:
        return -1;
    }
}

static struct iphdr header4(const struct in6_addr *from, const struct in6_addr *to, int protocol,
                            size_t length)
{
    struct iphdr header = {.version = 4,
                           .ihl = 5,
                           .ttl = 64,
                           .protocol = (uint8_t)protocol,
                           .tot_len = htons((uint16_t)(sizeof header + length)),
                           .saddr = pod_to_v4(from).s_addr,
                           .daddr = pod_to_v4(to).s_addr};

    header.check = pod_checksum_end(pod_checksum_add(0, &header, sizeof header));
    return header;
}

static struct ip6_hdr header6(const struct in6_addr *from, const struct in6_addr *to, int protocol,
                              size_t length)
{
    struct ip6_hdr header = {.ip6_src = *from, .ip6_dst = *to};

    header.ip6_flow = htonl(6u << 28);
    header.ip6_plen = htons((uint16_t)length);
    header.ip6_nxt = (uint8_t)protocol;
    header.ip6_hlim = 64;
    return header;
}

int pod_icmp_send(const struct in6_addr *from, const struct in6_addr *to, void *message,
                  size_t length)
{
    struct pod_datagram datagram = {.bytes = message, .length = length};
    struct pod_peer peer = {*to, 0};
    uint16_t value = 0;
    int v4 = pod_is_v4(to);

    if (pod_is_v4(from) != v4)
        return -1;
    memcpy((uint8_t *)message + 2, &value, sizeof value);
    if (v4)
        value = pod_checksum_end(pod_checksum_add(
            0, message, length)); /* of ICMPv6 the kernel does it (RFC 3542, 3.1) */
    memcpy((uint8_t *)message + 2, &value, sizeof value);
    return pod_batch_send(v4 ? icmp.raw4 : icmp.raw6, &datagram, 1, &peer, from) == 1 ? 0 : -1;
}

/* Whether this container has not been told enough this second. */
static int may_tell(const struct in6_addr *whom)
{
    int64_t second = pod_loop_now() / 1000;
    unsigned int bucket = (whom->s6_addr[15] * 31u + whom->s6_addr[14]) % BUCKETS;

    if (icmp.buckets[bucket].second != second) {
        icmp.buckets[bucket].second = second;
        icmp.buckets[bucket].told = 0;
    }
    return icmp.buckets[bucket].told++ < PER_SECOND;
}

void pod_icmp_tell(const struct in6_addr *source, struct pod_icmp_code code,
                   const struct pod_icmp_quote *quote)
{
    uint8_t message[8 + sizeof(struct ip6_hdr) + QUOTED] = {code.type, code.code};
    size_t length = quote->length < QUOTED ? quote->length : QUOTED, used = 8;
    uint32_t number = htonl(code.number);

    if (pod_is_v4(source) != pod_is_v4(quote->from) || !may_tell(quote->from))
        return;
    memcpy(message + 4, &number, sizeof number);
    if (pod_is_v4(quote->from)) {
        struct iphdr header = header4(quote->from, quote->to, quote->protocol, quote->whole);
        memcpy(message + used, &header, sizeof header);
        used += sizeof header;
    } else {
        struct ip6_hdr header = header6(quote->from, quote->to, quote->protocol, quote->whole);
        memcpy(message + used, &header, sizeof header);
        used += sizeof header;
    }
    if (length)
        memcpy(message + used, quote->bytes, length);
    pod_icmp_send(source, quote->from, message, used + length);
}

void pod_icmp_tell_udp(const struct in6_addr *source, struct pod_icmp_code code,
                       const struct pod_peer *from, const struct pod_peer *to, const void *content,
                       size_t length, size_t whole)
{
    uint8_t bytes[QUOTED];
    uint16_t header[4] = {from->port, to->port, htons((uint16_t)(whole + 8)), 0};
    struct pod_icmp_quote quote = {&from->address, &to->address, IPPROTO_UDP, bytes, 0, whole + 8};

    length = length < sizeof bytes - sizeof header ? length : sizeof bytes - sizeof header;
    memcpy(bytes, header, sizeof header);
    if (length)
        memcpy(bytes + sizeof header, content, length);
    quote.length = sizeof header + length;
    pod_icmp_tell(source, code, &quote);
}

/* It sends in anybody's name, and hears nothing. */
static int open_raw(struct pod_world *world, int v4, struct pod_err *err)
{
    int level = v4 ? SOL_IP : SOL_IPV6, on = 1;
    uint32_t all4 = ~0u, all6[8];
    POD_AUTO_FD int fd = pod_holder_socket(world->holder, v4 ? AF_INET : AF_INET6, SOCK_RAW,
                                           v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, err);

    if (fd < 0)
        return -1;
    memset(all6, 0xff, sizeof all6);
    if (setsockopt(fd, level, v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &on, sizeof on) ||
        (v4 ? setsockopt(fd, SOL_RAW, ICMP_FILTER, &all4, sizeof all4)
            : setsockopt(fd, SOL_ICMPV6, ICMP6_FILTER, all6, sizeof all6)))
        return pod_fail(err, POD_NETWORK, "a socket for ICMP");
    return pod_steal_fd(&fd);
}

int pod_icmp_open(struct pod_world *world, struct pod_err *err)
{
    icmp.raw4 = open_raw(world, 1, err);
    if (icmp.raw4 < 0)
        return -1;
    /* Without it there is nothing in the holder that could be told by ICMPv6. */
    icmp.raw6 = open_raw(world, 0, err);
    if (icmp.raw6 < 0 && err->errnum != EAFNOSUPPORT)
        return -1;
    return pod_icmp_echo_open(world, err);
}
