/* Networks whose bridges are in the holder although nobody has told of them: a killed netd made them. Containers that are on one
 * have it taken over when their supervisors come; one that nobody has any more must not meet a new network of its addresses.
 * Source: rtnetlink(7), RTM_GETADDR. */
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "links.h"
#include "peer.h"

#define ALIGNED(length) (((length) + 3) & ~(size_t)3)

static int name_of(int sock, int index, char name[IFNAMSIZ])
{
    struct ifreq request = {.ifr_ifindex = index};

    if (ioctl(sock, SIOCGIFNAME, &request))
        return -1;
    memcpy(name, request.ifr_name, IFNAMSIZ);
    name[IFNAMSIZ - 1] = 0;
    return 0;
}

static struct pod_net *net_of(struct pod_world *world, int index)
{
    struct pod_net *net = world->nets;
    char parent[IFNAMSIZ];

    while (net && net->ifindex != index)
        net = net->next;
    if (net || !(net = calloc(1, sizeof *net)))
        return net;
    if (name_of(world->holder->rtnl, index, net->bridge) || !strcmp(net->bridge, "lo")) {
        free(net);
        return NULL;
    }
    memcpy(net->name, net->bridge, sizeof net->bridge);
    pod_links_vlan_parent(net, parent);
    strcpy(net->kind, pod_links_index(world->holder->rtnl, parent) ? "macvlan" : "bridge");
    net->ifindex = index;
    net->next = world->nets;
    world->nets = net;
    return net;
}

static void masked(struct pod_subnet *subnet)
{
    int bits = subnet->prefix + (subnet->family == AF_INET ? 96 : 0);

    for (int bit = bits; bit < 128; bit++)
        subnet->base.s6_addr[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
}

static void take_address(struct pod_world *world, const struct nlmsghdr *message)
{
    const struct ifaddrmsg *head = (const struct ifaddrmsg *)(const void *)(message + 1);
    size_t at = sizeof *message + ALIGNED(sizeof *head), end = message->nlmsg_len;
    struct pod_subnet subnet = {.family = head->ifa_family, .prefix = head->ifa_prefixlen};
    struct nlattr attribute;
    int there = 0, v4 = head->ifa_family == AF_INET;

    for (; at + sizeof attribute <= end; at += ALIGNED(attribute.nla_len)) {
        const char *bytes = (const char *)message + at;
        memcpy(&attribute, bytes, sizeof attribute);
        if (attribute.nla_len < sizeof attribute || at + attribute.nla_len > end)
            return;
        size_t length = attribute.nla_len - sizeof attribute;
        if (attribute.nla_type != IFA_ADDRESS || length != (v4 ? 4u : 16u))
            continue;
        struct in_addr address;
        if (v4) {
            memcpy(&address, bytes + sizeof attribute, sizeof address);
            subnet.gateway = pod_v4(address);
        } else {
            memcpy(&subnet.gateway, bytes + sizeof attribute, sizeof subnet.gateway);
        }
        there = 1;
    }
    if (!there || IN6_IS_ADDR_LINKLOCAL(&subnet.gateway))
        return;
    struct pod_net *net = net_of(world, (int)head->ifa_index);
    if (!net)
        return;
    subnet.base = subnet.gateway;
    masked(&subnet);
    *(v4 ? &net->v4 : &net->v6) = subnet;
}

/* 1: that was all. */
static int take_answers(struct pod_world *world, const char *bytes, size_t length)
{
    while (length >= sizeof(struct nlmsghdr)) {
        const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)bytes;
        if (message->nlmsg_len < sizeof *message || message->nlmsg_len > length ||
            message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
            return 1;
        if (message->nlmsg_type == RTM_NEWADDR &&
            message->nlmsg_len >= sizeof *message + sizeof(struct ifaddrmsg))
            take_address(world, message);
        size_t step = ALIGNED(message->nlmsg_len);
        if (step >= length)
            break;
        bytes += step;
        length -= step;
    }
    return 0;
}

int pod_links_found(struct pod_world *world, struct pod_err *err)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct ifaddrmsg all = {.ifa_family = AF_UNSPEC};
    char answer[POD_NETLINK_ROOM] __attribute__((aligned(8)));
    struct pod_netlink n = {.used = 0};
    int fd = world->holder->rtnl, done = 0;

    pod_netlink_begin(&n, RTM_GETADDR, NLM_F_DUMP, &all, sizeof all);
    if (sendto(fd, n.bytes, n.used, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
        return pod_fail(err, POD_NETLINK, "addresses");
    while (!done) {
        ssize_t got = recv(fd, answer, sizeof answer, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return pod_fail(err, POD_NETLINK, "addresses");
        done = take_answers(world, answer, (size_t)got);
    }
    return 0;
}

int pod_links_carries(const struct pod_world *world, const struct pod_net *net)
{
    struct ifreq request = {.ifr_flags = 0};

    memcpy(request.ifr_name, net->bridge, sizeof net->bridge);
    return !ioctl(world->holder->rtnl, SIOCGIFFLAGS, &request) &&
           (request.ifr_flags & IFF_RUNNING) != 0;
}
