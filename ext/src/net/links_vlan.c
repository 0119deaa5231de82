/* macvlan and ipvlan between the holder's containers: all hang on one end of a veth pair of the holder, which stands for the host's interface
 * that an ordinary user may not use. The holder has one of the same kind itself, named as a bridge would be: the gateway. */
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>
#include <sys/socket.h>

#include "links.h"

int pod_links_is_vlan(const struct pod_net *net)
{
    return !strcmp(net->kind, "macvlan") || !strcmp(net->kind, "ipvlan");
}

void pod_links_vlan_parent(const struct pod_net *net, char name[IFNAMSIZ])
{
    memcpy(name, net->bridge, IFNAMSIZ);
    name[0] = name[0] == 'p' ? 'q' : 'p';
}

static void put_kind(struct pod_netlink *n, const struct pod_net *net)
{
    size_t info = pod_netlink_nest(n, IFLA_LINKINFO);

    pod_netlink_put(n, IFLA_INFO_KIND, net->kind, strlen(net->kind));
    size_t data = pod_netlink_nest(n, IFLA_INFO_DATA);
    if (net->kind[0] == 'm')
        pod_netlink_u32(n, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
    else
        pod_netlink_u16(n, IFLA_IPVLAN_MODE, IPVLAN_MODE_L2);
    pod_netlink_end(n, data);
    pod_netlink_end(n, info);
}

static void begin(struct pod_netlink *n, const char *name, uint32_t mtu, uint32_t flags)
{
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_flags = flags, .ifi_change = flags};

    pod_netlink_begin(n, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
    pod_netlink_str(n, IFLA_IFNAME, name);
    pod_netlink_u32(n, IFLA_MTU, mtu);
}

/* It has to be there and up, or the parent has no carrier. */
static void put_other_end(struct pod_netlink *n, const struct pod_net *net)
{
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    char name[IFNAMSIZ];

    memcpy(name, net->bridge, sizeof name);
    name[0] = name[0] == 'o' ? 'w' : 'o';
    size_t info = pod_netlink_nest(n, IFLA_LINKINFO);
    pod_netlink_put(n, IFLA_INFO_KIND, "veth", 4);
    size_t data = pod_netlink_nest(n, IFLA_INFO_DATA);
    size_t peer = n->used;
    pod_netlink_put(n, VETH_INFO_PEER | NLA_F_NESTED, &head, sizeof head);
    pod_netlink_str(n, IFLA_IFNAME, name);
    pod_netlink_end(n, peer);
    pod_netlink_end(n, data);
    pod_netlink_end(n, info);
    head.ifi_flags = head.ifi_change = IFF_UP;
    pod_netlink_begin(n, RTM_NEWLINK, NLM_F_ACK, &head, sizeof head);
    pod_netlink_str(n, IFLA_IFNAME, name);
}

int pod_links_vlan_net(struct pod_world *world, const struct pod_net *net, const uint8_t mac[6],
                       struct pod_err *err)
{
    struct pod_netlink n = {.used = 0};
    char parent[IFNAMSIZ];
    int rtnl = world->holder->rtnl;

    pod_links_vlan_parent(net, parent);
    begin(&n, parent, net->mtu, IFF_UP);
    put_other_end(&n, net);
    if (pod_netlink_send(rtnl, &n, 1, parent, err))
        return -1;
    pod_netlink_reset(&n);
    begin(&n, net->bridge, net->mtu, 0);
    pod_netlink_u32(&n, IFLA_LINK, (uint32_t)pod_links_index(rtnl, parent));
    if (net->kind[0] == 'm')
        pod_netlink_put(&n, IFLA_ADDRESS, mac, 6);
    put_kind(&n, net);
    if (!pod_netlink_send(rtnl, &n, 1, net->bridge, err))
        return 0;
    struct pod_err ignored;
    pod_netlink_reset(&n);
    pod_links_put_delete(&n, parent);
    pod_netlink_send(rtnl, &n, 0, parent, &ignored);
    return -1;
}

int pod_links_vlan_end(struct pod_world *world, struct pod_end *end, struct pod_err *err)
{
    struct pod_netlink n = {.used = 0};
    char parent[IFNAMSIZ];
    int rtnl = world->holder->rtnl;

    pod_links_vlan_parent(end->net, parent);
    begin(&n, end->ifname, end->net->mtu, 0);
    pod_netlink_u32(&n, IFLA_LINK, (uint32_t)pod_links_index(rtnl, parent));
    pod_netlink_u32(&n, IFLA_NET_NS_FD, (uint32_t)end->box->netns);
    if (end->net->kind[0] == 'm')
        pod_netlink_put(&n, IFLA_ADDRESS, end->mac, sizeof end->mac);
    put_kind(&n, end->net);
    end->outer[0] = '\0';
    return pod_netlink_send(rtnl, &n, 0, end->ifname, err);
}
