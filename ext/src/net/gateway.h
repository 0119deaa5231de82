/* The ways between containers and the world, all through sockets of the kernel: no TAP, no NAT.
 *
 *   out      container → bridge → nft tproxy in the holder → a transparent listener of netd's → connect in the host's namespace
 *   in       listener in the host's namespace → a transparent socket in the holder, bound to the client's address → container
 *
 * TCP bytes move by splice(2). Implemented by gateway*.c (rules, listeners, outward TCP), ports*.c (published ports), splice*.c
 * (pairs of connected sockets, in worker processes when there are many), udp*.c, icmp*.c. */
#ifndef POD_GATEWAY_H
#define POD_GATEWAY_H

#include "world.h"

/* --- rules and outward (gateway.c) ------------------------------------------------------------------------------ */
/* Once, in a new or a found holder: nft table, policy routing, sysctls, listeners. What is there of an earlier netd is replaced. */
int pod_gateway_open(struct pod_world *world, struct pod_err *err);
/* A network's bridge is there (NET->ifindex, addresses set) or goes. */
int pod_gateway_net(struct pod_world *world, struct pod_net *net, struct pod_err *err);
void pod_gateway_net_gone(struct pod_world *world, struct pod_net *net);
/* An interface is there, its addresses are set; nobody else may send from them. */
int pod_gateway_end(struct pod_world *world, struct pod_end *end, struct pod_err *err);
/* Before a container's addresses are given to another: its connections and mappings end. */
void pod_gateway_end_gone(struct pod_world *world, struct pod_end *end);

/* --- published ports (ports.c) ---------------------------------------------------------------------------------- */
struct pod_port {
    int protocol;           /* IPPROTO_TCP, IPPROTO_UDP */
    struct in6_addr
        host;   /* ::ffff:a.b.c.d for IPv4; in6addr_any: all IPv6; ::ffff:0.0.0.0: all IPv4 */
    uint16_t first, last;   /* of the host, the first that is free is taken; both 0: any */
    uint16_t container;
    uint16_t
        taken; /* out: the port of the host; 0: the host has no IPv6, the IPv4 one of the same port is there */
    uint16_t leased; /* the port that an earlier netd had taken: tried first; 0: none */
    int fallback; /* below 1024 without the right: FIRST + 8000 is tried, then the ones above (--port-fallback) */
};
/* All of a container's, or none: what was bound is let go of. EADDRINUSE, EACCES (below 1024), EADDRNOTAVAIL with
 * "ADDRESS:PORT/PROTOCOL" as the path. */
int pod_ports_publish(struct pod_world *world, struct pod_box *box, struct pod_port *ports,
                      int count, struct pod_err *err);
/* Called by netd when a container goes, and before its ports are published anew. */
void pod_ports_release(struct pod_world *world, struct pod_box *box);

/* --- pairs of connected TCP sockets (splice.c) ------------------------------------------------------------------- */
/* Takes both over, in every case: moves bytes until both directions have ended, half-close and resets included; closes them. END: the
 * container's interface that INSIDE leads to. */
int pod_splice_pair(struct pod_world *world, struct pod_end *end, int inside, int outside,
                    struct pod_err *err);
/* The last of a container: its connections end, and what is kept for it. */
void pod_splice_box_gone(struct pod_world *world, struct pod_box *box);

/* --- UDP and ICMP (udp.c, icmp.c) -------------------------------------------------------------------------------- */
int pod_udp_open(
    struct pod_world *world,
    struct pod_err *err); /* the tproxy listeners of datagrams; called by pod_gateway_open */
/* Takes LISTENER over, a socket bound in the host's namespace, where it returns 0. */
int pod_udp_publish(struct pod_world *world, struct pod_box *box, const struct pod_port *port,
                    int listener, struct pod_err *err);
/* Its published ports, mappings and echo requests end. */
void pod_udp_box_gone(struct pod_world *world, struct pod_box *box);
/* Mappings and echo requests of one interface end; for pod_gateway_end_gone. */
void pod_udp_end_gone(struct pod_world *world, struct pod_end *end);
int pod_icmp_open(struct pod_world *world, struct pod_err *err);

/* Marks and numbers that the rules share (gateway_rules.c): */
#define POD_MARK_AGAIN 0x70640002u /* a SYN that was connected upstream and is let through now */
#define POD_TPROXY_PORT 1 /* of the transparent listeners, TCP and UDP, IPv4 and IPv6 */

#endif
