/* What netd knows: networks, the containers that are on them, who has which address and name. In memory alone: whoever holds a
 * container (its supervisor) tells it anew when netd was killed.
 *
 *   pod_world ─ pod_net *       a network: its bridge in the holder, subnets, flags
 *             └ pod_box *       a container: connection of its supervisor, sockets made inside its network namespace
 *                 └ pod_end *   one interface of it: network, addresses, aliases */
#ifndef POD_WORLD_H
#define POD_WORLD_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/un.h>

#include "holder.h"
#include "loop.h"

#define POD_NAME_MAX 256
#define POD_ENDS_MAX 32 /* interfaces of a container */
#define POD_ALIASES_MAX 64

enum pod_net_flags {
    POD_NET_INTERNAL = 1 << 0, /* no way out, DNS included */
    POD_NET_ISOLATED = 1 << 1, /* icc=false, private: containers do not see each other */
    POD_NET_NAMES = 1
        << 2, /* a user network: 127.0.0.11 answers names; the default bridge has none */
    POD_NET_IPV6 = 1 << 3,
};

struct pod_subnet {
    int family; /* AF_INET, AF_INET6; 0: none */
    struct in6_addr base, gateway; /* IPv4 as ::ffff:a.b.c.d everywhere in netd */
    int prefix; /* of the family: 24, 64 */
    struct in6_addr first, last; /* of which addresses are given out */
};

struct pod_net {
    struct pod_net *next;
    char id[65], name[POD_NAME_MAX], bridge[IFNAMSIZ];
    char kind[16]; /* "bridge", "macvlan", "ipvlan" */
    int ifindex; /* of the bridge, in the holder */
    uint32_t flags, mtu;
    struct pod_subnet v4, v6;
    int ends; /* how many; some time after the last one the network goes */
    int idle; /* ticks since then */
    void *gateway, *dns; /* of the gateway, of the resolver; NULL at first */
};

struct pod_end {
    struct pod_end *next; /* of the container */
    struct pod_box *box;
    struct pod_net *net;
    char id[65]; /* EndpointID */
    char ifname[IFNAMSIZ]; /* in the container: eth0 */
    uint8_t mac[6];
    struct in6_addr v4, v6; /* zero: none */
    char *aliases
        [POD_ALIASES_MAX]; /* besides the container's name and the first 12 digits of its id */
    int alias_count;
    char *links[POD_ALIASES_MAX]; /* --link: "alias=container id", known to this container alone */
    int link_count;
    uint32_t flags; /* of this interface: POD_NET_ISOLATED also of one port alone */
    int32_t priority; /* whose default route it is */
    char outer[IFNAMSIZ]; /* the veth's other end, in the holder */
    int ifindex; /* in the container */
    int port; /* that of OUTER where its addresses are bound to it (gateway_sources.c), 0 */
};

struct pod_box {
    struct pod_box *next;
    char id[65], name[POD_NAME_MAX], hostname[POD_NAME_MAX];
    struct pod_end *ends;
    int netns, rtnl, nfnl; /* made inside the container's network namespace; -1 */
    int host_gateway; /* it asked for the host's loopback: connections to the gateway's address go to 127.0.0.1 */
    char **servers; /* --dns, NULL at the end; NULL: the host's */
    void *dns, *ports, *tcp; /* of the resolver, of the published ports, of the gateway's TCP */
    struct pod_port *published; /* what was asked for, with the host's ports that they got */
    int published_count, bound; /* how many; whether they are, now */
    uint16_t dns_udp, dns_tcp; /* ports of the sockets that answer at 127.0.0.11; 0: none */
    int named; /* rules in the container lead 127.0.0.11:53 there */
};

struct pod_world {
    struct pod_loop *loop;
    struct pod_holder *holder;
    struct pod_net *nets;
    struct pod_box *boxes;
    int guarded; /* the kernel can tell from which port of a bridge a frame came (gateway_sources.c) */
    void *gateway, *resolver; /* their own; NULL at first */
};

static inline struct in6_addr pod_v4(struct in_addr address)
{
    struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    __builtin_memcpy(&mapped.s6_addr[12], &address, 4);
    return mapped;
}

struct pod_net *pod_world_net(struct pod_world *world, const char *id);
struct pod_box *pod_world_box(struct pod_world *world, const char *id);
/* The interface that has this address, on NET, or on any network where NET is NULL. */
struct pod_end *pod_world_address(struct pod_world *world, const struct pod_net *net,
                                  const struct in6_addr *address);
int pod_subnet_has(const struct pod_subnet *subnet, const struct in6_addr *address);

#endif
