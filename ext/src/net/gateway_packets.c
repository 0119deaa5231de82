/* Packets of TCP as they are on the wire: SYNs that are read and sent again, and the answer that refuses one. Sources: RFC 791, 8200,
 * 9293; raw(7): a socket of IPPROTO_RAW sends what it is given, header included. */
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

#include "checksum.h"
#include "gateway_own.h"

static struct {
    int plain[2], again[2]; /* of IPv4, IPv6; AGAIN: with POD_MARK_AGAIN */
} raw = {{-1, -1}, {-1, -1}};

static int raw_socket(struct pod_world *world, int family, uint32_t mark, struct pod_err *err)
{
    int fd = pod_holder_socket(world->holder, family, SOCK_RAW, IPPROTO_RAW, err);

    if (fd >= 0 && mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark)) {
        pod_cleanup_fd(&fd);
        return pod_fail(err, POD_NETWORK, "SO_MARK");
    }
    return fd;
}

int pod_packets_open(struct pod_world *world, struct pod_err *err)
{
    struct pod_err ignored; /* a kernel without IPv6 */

    raw.plain[0] = raw_socket(world, AF_INET, 0, err);
    if (raw.plain[0] < 0)
        return -1;
    raw.again[0] = raw_socket(world, AF_INET, POD_MARK_AGAIN, err);
    raw.plain[1] = raw_socket(world, AF_INET6, 0, &ignored);
    raw.again[1] = raw_socket(world, AF_INET6, POD_MARK_AGAIN, &ignored);
    return raw.again[0] < 0 ? -1 : 0;
}

/* LENGTH bytes of TCP at SEGMENT; ADDRESSES: both, as they are in the IP header. */
static void checksum(void *segment, size_t length, const void *addresses, size_t addresses_length)
{
    struct tcphdr tcp;
    uint32_t so_far = pod_checksum_add(IPPROTO_TCP + (uint32_t)length, addresses, addresses_length);

    memcpy(&tcp, segment, sizeof tcp);
    tcp.check = 0;
    memcpy(segment, &tcp, sizeof tcp);
    tcp.check = pod_checksum_end(pod_checksum_add(so_far, segment, length));
    memcpy(segment, &tcp, sizeof tcp);
}

/* Where TCP begins; 0 for what is not TCP in one piece. */
static size_t ip_header(const uint8_t *packet, size_t length, struct pod_syn_head *head)
{
    struct iphdr v4;
    struct ip6_hdr v6;

    if (length >= sizeof v4 && packet[0] >> 4 == 4) {
        memcpy(&v4, packet, sizeof v4);
        if (v4.ihl < 5 || v4.protocol != IPPROTO_TCP || (ntohs(v4.frag_off) & 0x3fff))
            return 0;
        head->from.address = pod_v4((struct in_addr){v4.saddr});
        head->to.address = pod_v4((struct in_addr){v4.daddr});
        return v4.ihl * 4u;
    }
    if (length < sizeof v6 || packet[0] >> 4 != 6)
        return 0;
    memcpy(&v6, packet, sizeof v6);
    if (v6.ip6_nxt != IPPROTO_TCP || IN6_IS_ADDR_V4MAPPED(&v6.ip6_src) ||
        IN6_IS_ADDR_V4MAPPED(&v6.ip6_dst))
        return 0;
    head->from.address = v6.ip6_src;
    head->to.address = v6.ip6_dst;
    return sizeof v6;
}

int pod_packet_syn(const uint8_t *packet, size_t *length, struct pod_syn_head *head)
{
    size_t at = ip_header(packet, *length, head);
    struct tcphdr tcp;

    if (!at || *length < at + sizeof tcp)
        return -1;
    memcpy(&tcp, packet + at, sizeof tcp);
    if (tcp.doff < 5 || *length < at + tcp.doff * 4u || !tcp.syn || tcp.ack || tcp.rst || tcp.fin)
        return -1;
    head->from.port = tcp.source;
    head->to.port = tcp.dest;
    head->sequence = ntohl(tcp.seq);
    *length = at + tcp.doff * 4u; /* content, as of TCP Fast Open, comes again by itself */
    return head->from.port && head->to.port ? 0 : -1;
}

static void send_packet(const int fds[2], const struct pod_peer *to, const void *packet,
                        size_t length)
{
    struct pod_peer portless = {.address = to->address}; /* raw(7): the port of IPv6 has to be 0 */
    union pod_sockaddr name;
    socklen_t size = pod_peer_to(&portless, &name);

    /* What does not go is lost, as packets are: the container sends its SYN again. */
    (void)!sendto(fds[!pod_is_v4(&to->address)], packet, length, 0, &name.any, size);
}

void pod_packet_inject(uint8_t *packet, size_t length, int again)
{
    struct pod_syn_head head;
    size_t at = ip_header(packet, length, &head);
    int v4 = packet[0] >> 4 == 4;

    if (!at)
        return;
    if (v4) { /* its own checksum is the kernel's affair */
        uint16_t total = htons((uint16_t)length);
        memcpy(packet + offsetof(struct iphdr, tot_len), &total, sizeof total);
    } else {
        uint16_t rest = htons((uint16_t)(length - at));
        memcpy(packet + offsetof(struct ip6_hdr, ip6_plen), &rest, sizeof rest);
    }
    checksum(packet + at, length - at, packet + (v4 ? 12 : 8), v4 ? 8 : 32);
    send_packet(again ? raw.again : raw.plain, &head.to, packet, length);
}

void pod_packet_refuse(const struct pod_syn_head *head)
{
    uint8_t packet[sizeof(struct ip6_hdr) + sizeof(struct tcphdr)];
    struct tcphdr tcp = {.source = head->to.port,
                         .dest = head->from.port,
                         .ack_seq = htonl(head->sequence + 1),
                         .doff = 5,
                         .rst = 1,
                         .ack = 1};
    size_t at;

    if (pod_is_v4(&head->to.address)) {
        struct iphdr v4 = {.version = 4,
                           .ihl = 5,
                           .ttl = 64,
                           .protocol = IPPROTO_TCP,
                           .frag_off = htons(0x4000),
                           .tot_len = htons(sizeof v4 + sizeof tcp),
                           .saddr = pod_to_v4(&head->to.address).s_addr,
                           .daddr = pod_to_v4(&head->from.address).s_addr};
        at = sizeof v4;
        memcpy(packet, &v4, sizeof v4);
    } else {
        struct ip6_hdr v6 = {.ip6_src = head->to.address, .ip6_dst = head->from.address};
        v6.ip6_flow = htonl(6u << 28);
        v6.ip6_plen = htons(sizeof tcp);
        v6.ip6_nxt = IPPROTO_TCP;
        v6.ip6_hlim = 64;
        at = sizeof v6;
        memcpy(packet, &v6, sizeof v6);
    }
    memcpy(packet + at, &tcp, sizeof tcp);
    checksum(packet + at, sizeof tcp, packet + (at == 20 ? 12 : 8), at == 20 ? 8 : 32);
    send_packet(raw.plain, &head->from, packet, at + sizeof tcp);
}
