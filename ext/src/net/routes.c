/* Default routes of containers, and what is taken away: in processes of their own, for the kernel waits 10 to 30 ms there. */
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "links.h"

int pod_links_has_gateway(const struct pod_subnet *subnet)
{
    struct in6_addr none4 = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    return subnet->family && !IN6_IS_ADDR_UNSPECIFIED(&subnet->gateway) &&
           !IN6_ARE_ADDR_EQUAL(&subnet->gateway, &none4);
}

static int has_way_out(const struct pod_end *end, int family)
{
    return !(end->net->flags & POD_NET_INTERNAL) &&
           pod_links_has_gateway(family == AF_INET ? &end->net->v4 : &end->net->v6);
}

const struct pod_end *pod_links_way_out(const struct pod_box *box, int family)
{
    const struct pod_end *best = NULL;

    for (const struct pod_end *end = box->ends; end; end = end->next)
        if (has_way_out(end, family) &&
            (!best || end->priority > best->priority ||
             (end->priority == best->priority && strcmp(end->net->name, best->net->name) < 0)))
            best = end;
    return best;
}

static void put_default(struct pod_netlink *n, const struct pod_end *end, int family)
{
    int v4 = family == AF_INET;
    struct rtmsg head = {.rtm_family = (uint8_t)family,
                         .rtm_table = RT_TABLE_MAIN,
                         .rtm_protocol = RTPROT_BOOT,
                         .rtm_scope = RT_SCOPE_UNIVERSE,
                         .rtm_type = RTN_UNICAST};
    const struct in6_addr *gateway = v4 ? &end->net->v4.gateway : &end->net->v6.gateway;

    pod_netlink_begin(n, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, &head,
                      sizeof head);
    pod_netlink_put(n, RTA_GATEWAY, &gateway->s6_addr[v4 ? 12 : 0], v4 ? 4 : 16);
    pod_netlink_u32(n, RTA_OIF, (uint32_t)end->ifindex);
}

int pod_links_routes(struct pod_box *box, struct pod_err *err)
{
    struct pod_netlink n = {.used = 0};
    const struct pod_end *v4 = pod_links_way_out(box, AF_INET),
                         *v6 = pod_links_way_out(box, AF_INET6);

    if (box->rtnl < 0)
        return 0;
    if (v4)
        put_default(&n, v4, AF_INET);
    if (v6)
        put_default(&n, v6, AF_INET6);
    return n.used ? pod_netlink_send(box->rtnl, &n, 1, "default route", err) : 0;
}

/* DELLINK in a child; what it returns reads its end when the child is done. */
static int delete_apart(struct pod_world *world, const char *name, int inside, struct pod_err *err)
{
    struct pod_netlink n = {.used = 0};
    int ends[2];
    /* A socket of the child's own: answers on ours would be taken for those that we ask for. */
    POD_AUTO_FD int rtnl =
        pod_holder_socket(world->holder, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, err);

    if (rtnl < 0)
        return -1;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return pod_fail(err, POD_NETLINK, "pipe");
    pod_links_put_delete(&n, name);
    pid_t child = fork();
    if (child == 0) {
        pod_netlink_send(inside >= 0 ? inside : rtnl, &n, 0, name, err);
        _exit(0);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return pod_fail(err, POD_FORK, name);
    }
    return ends[0];
}

int pod_links_remove(struct pod_world *world, const struct pod_end *end, struct pod_err *err)
{
    if (pod_links_is_vlan(end->net)) /* it is only inside; nobody else uses that socket meanwhile */
        return delete_apart(world, end->ifname, end->box->rtnl, err);
    return delete_apart(world, end->outer, -1, err);
}

static void put_address_gone(struct pod_netlink *n, int index, const struct pod_subnet *subnet)
{
    int v4 = subnet->family == AF_INET;
    struct ifaddrmsg head = {.ifa_family = (uint8_t)subnet->family,
                             .ifa_prefixlen = (uint8_t)subnet->prefix,
                             .ifa_index = (uint32_t)index};

    pod_netlink_begin(n, RTM_DELADDR, NLM_F_ACK, &head, sizeof head);
    pod_netlink_put(n, IFA_LOCAL, &subnet->gateway.s6_addr[v4 ? 12 : 0], v4 ? 4 : 16);
}

void pod_links_net_gone(struct pod_world *world, struct pod_net *net)
{
    struct pod_netlink n = {.used = 0};
    struct pod_err ignored;
    char spare[IFNAMSIZ];

    /* At once what another network would meet: the addresses, with their routes, and the name. */
    if (pod_links_has_gateway(&net->v4))
        put_address_gone(&n, net->ifindex, &net->v4);
    if (pod_links_has_gateway(&net->v6))
        put_address_gone(&n, net->ifindex, &net->v6);
    snprintf(spare, sizeof spare, "gone%d", net->ifindex);
    struct ifinfomsg head = {.ifi_index = net->ifindex, .ifi_change = IFF_UP};
    pod_netlink_begin(&n, RTM_NEWLINK, NLM_F_ACK, &head, sizeof head);
    head.ifi_change = 0; /* what is up keeps its name, before Linux 6.4 */
    pod_netlink_begin(&n, RTM_NEWLINK, NLM_F_ACK, &head, sizeof head);
    pod_netlink_str(&n, IFLA_IFNAME, spare);
    pod_netlink_send(world->holder->rtnl, &n, 0, net->bridge, &ignored);
    if (pod_links_is_vlan(net))
        pod_links_vlan_parent(net, spare); /* with all that hangs on it */
    int done = delete_apart(world, spare, -1, &ignored);
    if (done >= 0)
        close(done);
}
