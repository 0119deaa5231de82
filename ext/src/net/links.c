/* Bridges in the holder, interfaces of containers. A pair of veth is made by one message: one end a port of the bridge, the other,
 * named eth0, already inside the container. Sources: rtnetlink(7), linux/if_link.h, net/core/rtnetlink.c. */
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "links.h"

#define MTU \
    65520u /* what pasta gives too: segments of TCP need no smaller one between kernels of one machine */
#ifndef IFLA_BRPORT_ISOLATED
#define IFLA_BRPORT_ISOLATED 33
#endif

int pod_links_index(int sock, const char *name)
{
    struct ifreq request = {.ifr_flags = 0};

    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    return ioctl(sock, SIOCGIFINDEX, &request) ? 0 : request.ifr_ifindex;
}

/* Begins RTM_NEWLINK of a new interface. */
static void begin_new(struct pod_netlink *n, uint32_t flags)
{
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_flags = flags, .ifi_change = flags};

    pod_netlink_begin(n, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
}

static void bridge_mac(const struct pod_net *net, uint8_t mac[6])
{
    const struct in6_addr *gateway = net->v4.family ? &net->v4.gateway : &net->v6.gateway;

    mac[0] = 0x02;
    mac[1] = net->v4.family ? 0x42 : 0x43;
    memcpy(&mac[2], &gateway->s6_addr[12], 4);
}

static int make_bridge(struct pod_world *world, struct pod_net *net, struct pod_err *err)
{
    struct pod_netlink n = {.used = 0};
    uint8_t mac[6];

    bridge_mac(net, mac);
    if (pod_links_is_vlan(net)) {
        int failed = pod_links_vlan_net(world, net, mac, err);
        if (failed && err->errnum == EOPNOTSUPP) /* the kernel lacks the kind */
            pod_fail_errno(err, POD_NETWORK, EOPNOTSUPP, net->kind);
        return failed;
    }
    begin_new(&n, 0);
    pod_netlink_str(&n, IFLA_IFNAME, net->bridge);
    pod_netlink_u32(&n, IFLA_MTU, net->mtu);
    pod_netlink_put(&n, IFLA_ADDRESS, mac, sizeof mac);
    size_t info = pod_netlink_nest(&n, IFLA_LINKINFO);
    pod_netlink_put(&n, IFLA_INFO_KIND, "bridge", 6);
    size_t data = pod_netlink_nest(&n, IFLA_INFO_DATA);
    /* Nobody learns of groups here, and snooping would hold neighbour discovery back. */
    pod_netlink_u8(&n, IFLA_BR_MCAST_SNOOPING, 0);
    pod_netlink_end(&n, data);
    pod_netlink_end(&n, info);
    return pod_netlink_send(world->holder->rtnl, &n, 1, net->bridge, err);
}

void pod_links_put_address(struct pod_netlink *n, int index, const struct pod_subnet *subnet,
                           const struct in6_addr *address)
{
    int v4 = subnet->family == AF_INET;
    struct ifaddrmsg head = {.ifa_family = (uint8_t)subnet->family,
                             .ifa_prefixlen = (uint8_t)subnet->prefix,
                             .ifa_flags = v4 ? 0 : IFA_F_NODAD,
                             .ifa_index = (uint32_t)index};
    const uint8_t *bytes = &address->s6_addr[v4 ? 12 : 0];

    pod_netlink_begin(n, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof head);
    pod_netlink_put(n, IFA_LOCAL, bytes, v4 ? 4 : 16);
    pod_netlink_put(n, IFA_ADDRESS, bytes, v4 ? 4 : 16);
    if (v4 && subnet->prefix < 31) {
        struct in6_addr last = *address;
        for (int bit = 96 + subnet->prefix; bit < 128; bit++)
            last.s6_addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
        pod_netlink_put(n, IFA_BROADCAST, &last.s6_addr[12], 4);
    }
}

void pod_links_put_up(struct pod_netlink *n, int index)
{
    struct ifinfomsg head = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

    pod_netlink_begin(n, RTM_NEWLINK, NLM_F_ACK, &head, sizeof head);
}

int pod_links_open(struct pod_world *world, struct pod_err *err)
{
    struct pod_err ignored;

    /* Ports of bridges need no addresses; a bridge with IPv6 gets it back. Fails where the kernel has no IPv6. */
    pod_holder_sysctl(world->holder, "net/ipv6/conf/default/disable_ipv6", "1", &ignored);
    pod_holder_sysctl(world->holder, "net/ipv6/conf/default/accept_dad", "0", &ignored);
    pod_holder_sysctl(world->holder, "net/ipv6/conf/all/accept_dad", "0", &ignored);
    return pod_links_found(world, err);
}

int pod_links_net(struct pod_world *world, struct pod_net *net, struct pod_err *err)
{
    struct pod_netlink n = {.used = 0};
    char path[80];

    if (!net->mtu)
        net->mtu = MTU;
    if (make_bridge(world, net, err))
        return -1;
    net->ifindex = pod_links_index(world->holder->rtnl, net->bridge);
    if (!net->ifindex)
        return pod_fail_errno(err, POD_NETLINK, ENODEV, net->bridge);
    if (net->v6.family) {
        snprintf(path, sizeof path, "net/ipv6/conf/%s/disable_ipv6", net->bridge);
        if (pod_holder_sysctl(world->holder, path, "0", err))
            return -1;
    }
    if (pod_links_has_gateway(&net->v4))
        pod_links_put_address(&n, net->ifindex, &net->v4, &net->v4.gateway);
    if (pod_links_has_gateway(&net->v6))
        pod_links_put_address(&n, net->ifindex, &net->v6, &net->v6.gateway);
    pod_links_put_up(&n, net->ifindex);
    return pod_netlink_send(world->holder->rtnl, &n, 1, net->bridge, err);
}

static void put_peer(struct pod_netlink *n, const struct pod_end *end)
{
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    size_t info = pod_netlink_nest(n, IFLA_LINKINFO);

    pod_netlink_put(n, IFLA_INFO_KIND, "veth", 4);
    size_t data = pod_netlink_nest(n, IFLA_INFO_DATA);
    size_t peer = n->used;
    pod_netlink_put(n, VETH_INFO_PEER | NLA_F_NESTED, &head, sizeof head);
    pod_netlink_str(n, IFLA_IFNAME, end->ifname);
    pod_netlink_u32(n, IFLA_MTU, end->net->mtu);
    pod_netlink_put(n, IFLA_ADDRESS, end->mac, sizeof end->mac);
    pod_netlink_u32(n, IFLA_NUM_TX_QUEUES, 1);
    pod_netlink_u32(n, IFLA_NUM_RX_QUEUES, 1);
    pod_netlink_u32(n, IFLA_NET_NS_FD, (uint32_t)end->box->netns);
    pod_netlink_end(n, peer);
    pod_netlink_end(n, data);
    pod_netlink_end(n, info);
}

static void put_isolated(struct pod_netlink *n, const struct pod_end *end)
{
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC};

    pod_netlink_begin(n, RTM_NEWLINK, NLM_F_ACK, &head, sizeof head);
    pod_netlink_str(n, IFLA_IFNAME, end->outer);
    size_t info = pod_netlink_nest(n, IFLA_LINKINFO);
    pod_netlink_put(n, IFLA_INFO_SLAVE_KIND, "bridge", 6);
    size_t data = pod_netlink_nest(n, IFLA_INFO_SLAVE_DATA);
    pod_netlink_u8(n, IFLA_BRPORT_ISOLATED, 1);
    pod_netlink_end(n, data);
    pod_netlink_end(n, info);
}

static int make_pair(struct pod_world *world, const struct pod_end *end, struct pod_err *err)
{
    struct pod_netlink n = {.used = 0};

    begin_new(&n, IFF_UP);
    pod_netlink_str(&n, IFLA_IFNAME, end->outer);
    pod_netlink_u32(&n, IFLA_MTU, end->net->mtu);
    /* The kernel's choice is one for each processor, which nothing here uses. */
    pod_netlink_u32(&n, IFLA_NUM_TX_QUEUES, 1);
    pod_netlink_u32(&n, IFLA_NUM_RX_QUEUES, 1);
    pod_netlink_u32(&n, IFLA_MASTER, (uint32_t)end->net->ifindex);
    put_peer(&n, end);
    if ((end->flags | end->net->flags) & POD_NET_ISOLATED)
        put_isolated(&n, end);
    return pod_netlink_send(world->holder->rtnl, &n, 0, end->outer, err);
}

/* No address of the kernel's own making: it would be tried for a second before it may be used. */
static void no_automatic_address(int rtnl, int index)
{
    struct pod_netlink n = {.used = 0};
    struct ifinfomsg head = {.ifi_index = index};
    struct pod_err ignored;

    pod_netlink_begin(&n, RTM_NEWLINK, NLM_F_ACK, &head, sizeof head);
    size_t spec = pod_netlink_nest(&n, IFLA_AF_SPEC);
    size_t inet6 = pod_netlink_nest(&n, AF_INET6);
    pod_netlink_u8(&n, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    pod_netlink_end(&n, inet6);
    pod_netlink_end(&n, spec);
    pod_netlink_send(rtnl, &n, 0, "addr_gen_mode", &ignored); /* fails where there is no IPv6 */
}

/* fe80:: and the MAC, as the kernel would have made it (RFC 4291, appendix A). */
static struct in6_addr link_local(const uint8_t mac[6])
{
    struct in6_addr address = {.s6_addr = {0xfe, 0x80, [11] = 0xff, [12] = 0xfe}};

    memcpy(&address.s6_addr[8], mac, 3);
    memcpy(&address.s6_addr[13], mac + 3, 3);
    address.s6_addr[8] ^= 2;
    return address;
}

static int settle_inside(struct pod_end *end, struct pod_err *err)
{
    struct pod_netlink n = {.used = 0};
    int rtnl = end->box->rtnl;

    end->ifindex = pod_links_index(rtnl, end->ifname);
    if (!end->ifindex)
        return pod_fail_errno(err, POD_NETLINK, ENODEV, end->ifname);
    no_automatic_address(rtnl, end->ifindex);
    if (end->net->v4.family)
        pod_links_put_address(&n, end->ifindex, &end->net->v4, &end->v4);
    if (end->net->v6.family) {
        struct pod_subnet local = {.family = AF_INET6, .prefix = 64};
        struct in6_addr address = link_local(end->mac);
        pod_links_put_address(&n, end->ifindex, &local, &address);
        pod_links_put_address(&n, end->ifindex, &end->net->v6, &end->v6);
    }
    pod_links_put_up(&n, end->ifindex);
    return pod_netlink_send(rtnl, &n, 0, end->ifname, err);
}

void pod_links_put_delete(struct pod_netlink *n, const char *name)
{
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC};

    pod_netlink_begin(n, RTM_DELLINK, NLM_F_ACK, &head, sizeof head);
    pod_netlink_str(n, IFLA_IFNAME, name);
}

/* The interface that a killed netd made; 0 where there is none, or half of one is left. */
static int take_over(struct pod_world *world, struct pod_end *end, const struct pod_lease *lease)
{
    struct pod_netlink n = {.used = 0};
    struct pod_err ignored;

    int vlan = pod_links_is_vlan(end->net);

    if (!lease || !lease->ifname[0] || (!lease->outer[0] && !vlan))
        return 0;
    int index = pod_links_index(end->box->rtnl, lease->ifname);
    if (!index)
        return 0;
    if (vlan || pod_links_index(world->holder->rtnl, lease->outer)) {
        memcpy(end->ifname, lease->ifname, sizeof end->ifname);
        memcpy(end->outer, lease->outer, sizeof end->outer);
        end->ifindex = index;
        return 1;
    }
    /* Of a holder that is no more: a leg without a bridge. */
    pod_links_put_delete(&n, lease->ifname);
    pod_netlink_send(end->box->rtnl, &n, 0, lease->ifname, &ignored);
    return 0;
}

/* The one of an earlier start may be there for a while: namespaces die when the kernel has time. */
static void choose_names(struct pod_world *world, struct pod_end *end)
{
    static uint32_t count;

    for (int i = 0; i < POD_ENDS_MAX + 1; i++) {
        struct pod_end *other = end->box->ends;
        snprintf(end->ifname, sizeof end->ifname, "eth%d", i);
        while (other && (other == end || strcmp(other->ifname, end->ifname)))
            other = other->next;
        if (!other)
            break;
    }
    do {
        if (!count)
            count = (uint32_t)strtoul(end->id + 56, NULL, 16);
        snprintf(end->outer, sizeof end->outer, "veth%07x", count++ & 0xfffffffu);
    } while (pod_links_index(world->holder->rtnl, end->outer));
}

int pod_links_end(struct pod_world *world, struct pod_end *end, const struct pod_lease *lease,
                  struct pod_err *err)
{
    if (end->box->netns < 0 || end->box->rtnl < 0 || take_over(world, end, lease))
        return 0;
    choose_names(world, end);
    int failed = pod_links_is_vlan(end->net) ? pod_links_vlan_end(world, end, err)
                                             : make_pair(world, end, err);
    return failed || settle_inside(end, err) ? -1 : 0;
}
