/* What the gateway tells containers by ICMP: errors about datagrams of theirs, and answers to echo requests. */
#ifndef POD_ICMP_H
#define POD_ICMP_H

#include <stddef.h>

#include "peer.h"

/* Why a packet did not arrive, for both families. */
enum pod_icmp_why {
    POD_ICMP_NET, /* no route */
    POD_ICMP_HOST,
    POD_ICMP_PORT,
    POD_ICMP_PROHIBITED,
    POD_ICMP_TOO_BIG, /* NUMBER is the size that fits */
    POD_ICMP_EXPIRED, /* the hop limit ran out on its way */
};

struct pod_icmp_code {
    uint8_t type, code;
    uint32_t number; /* the second word of the header: an MTU; host's byte order */
};

struct pod_icmp_code pod_icmp_code(enum pod_icmp_why why, int v4, uint32_t number);
/* Errors of send(2) and their reasons; -1 for what is no affair of the sender's. */
int pod_icmp_why(int errnum);

/* The packet that an error is about, as its sender knows it. BYTES is what follows the IP header (a UDP header first …). */
struct pod_icmp_quote {
    const struct in6_addr *from, *to;
    int protocol;
    const void *bytes;
    size_t length; /* how much there is of it; some of it is quoted */
    size_t whole; /* how much it was */
};

/* SOURCE says that QUOTE's packet did not arrive, to who sent it. At most so many a second for each container; nothing is said where
 * that fails: errors may be lost. */
void pod_icmp_tell(const struct in6_addr *source, struct pod_icmp_code code,
                   const struct pod_icmp_quote *quote);
/* The same about a datagram of UDP, its ports and its content. */
void pod_icmp_tell_udp(const struct in6_addr *source, struct pod_icmp_code code,
                       const struct pod_peer *from, const struct pod_peer *to, const void *content,
                       size_t length, size_t whole);
/* A packet of ICMP in FROM's name; its checksum, at offset 2, is written here. */
int pod_icmp_send(const struct in6_addr *from, const struct in6_addr *to, void *message,
                  size_t length);

/* icmp_echo.c */
int pod_icmp_echo_open(struct pod_world *world, struct pod_err *err);
void pod_icmp_end_gone(struct pod_end *end);

#endif
