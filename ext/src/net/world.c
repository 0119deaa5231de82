#include "world.h"

#include <string.h>

struct pod_net *pod_world_net(struct pod_world *world, const char *id)
{
    struct pod_net *net = world->nets;

    while (net && strcmp(net->id, id))
        net = net->next;
    return net;
}

struct pod_box *pod_world_box(struct pod_world *world, const char *id)
{
    struct pod_box *box = world->boxes;

    while (box && strcmp(box->id, id))
        box = box->next;
    return box;
}

struct pod_end *pod_world_address(struct pod_world *world, const struct pod_net *net,
                                  const struct in6_addr *address)
{
    for (struct pod_box *box = world->boxes; box; box = box->next)
        for (struct pod_end *end = box->ends; end; end = end->next)
            if ((!net || end->net == net) &&
                (IN6_ARE_ADDR_EQUAL(&end->v4, address) || IN6_ARE_ADDR_EQUAL(&end->v6, address)))
                return end;
    return NULL;
}

int pod_subnet_has(const struct pod_subnet *subnet, const struct in6_addr *address)
{
    int bits = subnet->prefix + (subnet->family == AF_INET ? 96 : 0);
    int whole = bits / 8;

    if (!subnet->family || bits < 0 || bits > 128)
        return 0;
    if (memcmp(subnet->base.s6_addr, address->s6_addr, (size_t)whole))
        return 0;
    uint8_t mask = (uint8_t)(0xff00 >> (bits % 8));
    return !(bits % 8) || !((subnet->base.s6_addr[whole] ^ address->s6_addr[whole]) & mask);
}
