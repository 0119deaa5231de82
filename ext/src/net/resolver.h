/* The resolver of containers: 127.0.0.11 on networks with names (sockets that were opened inside the container, its own port 53
 * is left free: nft there leads 127.0.0.11:53 to their ports), and on others the bridge's gateway address, port 53, which only forwards.
 * Upstream questions leave from the host's namespace. Sources: RFC 1035, 2308, 3596, 6891, 7766; resolv.conf(5). */
#ifndef POD_RESOLVER_H
#define POD_RESOLVER_H

#include "world.h"

int pod_resolver_open(struct pod_world *world, struct pod_err *err);
/* A container came: takes over its two sockets, UDP and listening TCP, bound to 127.0.0.11 by who made them. -1: none. */
int pod_resolver_box(struct pod_world *world, struct pod_box *box, int udp, int tcp,
                     struct pod_err *err);
void pod_resolver_box_gone(struct pod_world *world, struct pod_box *box);
/* A bridge came: where it is one without names, sockets of the holder on its gateway addresses, port 53. */
int pod_resolver_net(struct pod_world *world, struct pod_net *net, struct pod_err *err);
void pod_resolver_net_gone(struct pod_world *world, struct pod_net *net);

#endif
