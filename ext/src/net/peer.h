/* Addresses as netd has them (IPv4 as ::ffff:a.b.c.d), with a port, to and from those of sockets. */
#ifndef POD_PEER_H
#define POD_PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "world.h"

/* Names that libraries older than the kernel's interface lack. */
#ifndef IP_ORIGDSTADDR
#define IP_ORIGDSTADDR 20
#endif
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef IPV6_ORIGDSTADDR
#define IPV6_ORIGDSTADDR 74
#endif
#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75
#endif

struct pod_peer {
    struct in6_addr address;
    uint16_t port; /* network's byte order */
};

union pod_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static inline int pod_is_v4(const struct in6_addr *address)
{
    return IN6_IS_ADDR_V4MAPPED(address);
}

static inline struct in_addr pod_to_v4(const struct in6_addr *address)
{
    struct in_addr v4;

    memcpy(&v4, &address->s6_addr[12], sizeof v4);
    return v4;
}

static inline int pod_same_address(const struct in6_addr *a, const struct in6_addr *b)
{
    return !memcmp(a, b, sizeof *a);
}

static inline int pod_same_peer(const struct pod_peer *a, const struct pod_peer *b)
{
    return a->port == b->port && pod_same_address(&a->address, &b->address);
}

static inline int pod_no_address(const struct in6_addr *address)
{
    return IN6_IS_ADDR_UNSPECIFIED(address);
}

/* Its length. */
static inline socklen_t pod_peer_to(const struct pod_peer *peer, union pod_sockaddr *to)
{
    memset(to, 0, sizeof *to);
    if (pod_is_v4(&peer->address)) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = peer->port;
        to->v4.sin_addr = pod_to_v4(&peer->address);
        return sizeof to->v4;
    }
    to->v6.sin6_family = AF_INET6;
    to->v6.sin6_port = peer->port;
    to->v6.sin6_addr = peer->address;
    return sizeof to->v6;
}

/* 0; -1 for what is no address of either family, and for an IPv6 address that pretends to be of IPv4. A link-local address has no
 * place here: netd has no scopes. */
static inline int pod_peer_from(const union pod_sockaddr *from, struct pod_peer *peer)
{
    if (from->any.sa_family == AF_INET) {
        peer->address = pod_v4(from->v4.sin_addr);
        peer->port = from->v4.sin_port;
        return 0;
    }
    if (from->any.sa_family != AF_INET6 || IN6_IS_ADDR_V4MAPPED(&from->v6.sin6_addr))
        return -1;
    peer->address = from->v6.sin6_addr;
    peer->port = from->v6.sin6_port;
    return 0;
}

static inline int pod_is_loopback(const struct in6_addr *address)
{
    return pod_is_v4(address) ? address->s6_addr[12] == 127 : IN6_IS_ADDR_LOOPBACK(address);
}

/* Whether a container's packet to it may leave for the world: no loopback of the host (0.0.0.0 is one, too), nothing that is for
 * many, nothing of one link. 169.254/16 is let out, as Docker does (clouds have services there). */
static inline int pod_is_foreign(const struct in6_addr *address)
{
    if (pod_is_v4(address)) {
        uint8_t first = address->s6_addr[12];
        return first != 0 && first != 127 && first < 224;
    }
    return !IN6_IS_ADDR_UNSPECIFIED(address) && !IN6_IS_ADDR_LOOPBACK(address) &&
           !IN6_IS_ADDR_MULTICAST(address) && !IN6_IS_ADDR_LINKLOCAL(address) &&
           !IN6_IS_ADDR_V4COMPAT(address);
}

/* Whether a network of this world has it: no way of the world's leads there, and nobody of the world may come from there. */
static inline int pod_is_ours(const struct pod_world *world, const struct in6_addr *address)
{
    for (const struct pod_net *net = world->nets; net; net = net->next)
        if (pod_subnet_has(pod_is_v4(address) ? &net->v4 : &net->v6, address))
            return 1;
    return 0;
}

/* Of the network's gateway in that family; zeros for none. */
static inline const struct in6_addr *pod_gateway_of(const struct pod_net *net, int v4)
{
    return v4 ? &net->v4.gateway : &net->v6.gateway;
}

#endif
