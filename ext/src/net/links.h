/* What links.c and routes.c share. */
#ifndef POD_LINKS_H
#define POD_LINKS_H

#include "netd.h"

/* Of the namespace of SOCK, any socket; 0 where there is no such interface. */
int pod_links_index(int sock, const char *name);
void pod_links_put_address(struct pod_netlink *n, int index, const struct pod_subnet *subnet,
                           const struct in6_addr *address);
void pod_links_put_up(struct pod_netlink *n, int index);
void pod_links_put_delete(struct pod_netlink *n, const char *name);

/* found.c: networks that a killed netd has left in the holder, as those of an empty id. */
int pod_links_found(struct pod_world *world, struct pod_err *err);

int pod_links_has_gateway(const struct pod_subnet *subnet);
/* links_vlan.c */
int pod_links_is_vlan(const struct pod_net *net);
void pod_links_vlan_parent(const struct pod_net *net, char name[IFNAMSIZ]);
int pod_links_vlan_net(struct pod_world *world, const struct pod_net *net, const uint8_t mac[6],
                       struct pod_err *err);
int pod_links_vlan_end(struct pod_world *world, struct pod_end *end, struct pod_err *err);
/* The interface that has the default route; NULL: none. */
const struct pod_end *pod_links_way_out(const struct pod_box *box, int family);

#endif
