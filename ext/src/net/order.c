/* REGISTER, CONNECT, DISCONNECT and RENAME taken apart: bounded, and nothing of it believed that is out of its range. */
#include <stdlib.h>
#include <string.h>

#include "netd.h"

struct reading {
    struct pod_order *order;
    struct pod_wish *wish; /* the interface at hand; NULL before the first END */
    const uint8_t *value;
    size_t length;
    struct pod_err *err;
};

static int wrong(struct reading *r, int errnum, const char *what)
{
    return pod_fail_errno(r->err, POD_NETWORK, errnum, what);
}

static int text(struct reading *r, char *target, size_t size, const char *what)
{
    if (r->length >= size || memchr(r->value, 0, r->length))
        return wrong(r, EINVAL, what);
    memcpy(target, r->value, r->length);
    target[r->length] = '\0';
    return 0;
}

static int number(struct reading *r, uint32_t *target, const char *what)
{
    if (r->length < sizeof *target)
        return wrong(r, EINVAL, what);
    memcpy(target, r->value, sizeof *target);
    return 0;
}

static int address(struct reading *r, struct in6_addr *target, const char *what)
{
    if (r->length != sizeof *target)
        return wrong(r, EINVAL, what);
    memcpy(target, r->value, sizeof *target);
    return 0;
}

static int word(struct reading *r, char **list, int *count, int most, const char *what)
{
    char *copy;

    if (*count >= most)
        return wrong(r, E2BIG, what);
    if (r->length >= 2 * POD_NAME_MAX || memchr(r->value, 0, r->length))
        return wrong(r, EINVAL, what);
    if (!(copy = strndup((const char *)r->value, r->length)))
        return wrong(r, ENOMEM, what);
    list[(*count)++] = copy;
    return 0;
}

static int port(struct reading *r)
{
    struct pod_wire_port *one;

    if (r->length < sizeof *one)
        return wrong(r, EINVAL, "port");
    if (r->order->port_count >= POD_PORTS_MAX)
        return wrong(r, E2BIG, "ports");
    if (!r->order->ports)
        r->order->ports = calloc(POD_PORTS_MAX, sizeof *one);
    if (!r->order->ports)
        return wrong(r, ENOMEM, "ports");
    one = &r->order->ports[r->order->port_count++];
    memcpy(one, r->value, sizeof *one);
    if (one->first > one->last || !one->container ||
        (one->protocol != IPPROTO_TCP && one->protocol != IPPROTO_UDP))
        return wrong(r, EINVAL, "port");
    return 0;
}

static int had(struct reading *r)
{
    struct pod_order *order = r->order;
    int count = (int)(r->length / sizeof *order->had);

    if (order->had || count > POD_PORTS_MAX)
        return wrong(r, EINVAL, "ports");
    if (!count)
        return 0;
    if (!(order->had = malloc(r->length)))
        return wrong(r, ENOMEM, "ports");
    memcpy(order->had, r->value, r->length);
    order->had_count = count;
    return 0;
}

static int subnet(struct reading *r)
{
    struct pod_wire_subnet given;

    if (r->length < sizeof given)
        return wrong(r, EINVAL, "subnet");
    memcpy(&given, r->value, sizeof given);
    if ((given.family != 4 || given.prefix > 32) && (given.family != 6 || given.prefix > 128))
        return wrong(r, EINVAL, "subnet");
    struct pod_subnet *target = given.family == 4 ? &r->wish->v4 : &r->wish->v6;
    target->family = given.family == 4 ? AF_INET : AF_INET6;
    target->prefix = given.prefix;
    memcpy(&target->base, given.base, 16);
    memcpy(&target->gateway, given.gateway, 16);
    memcpy(&target->first, given.first, 16);
    memcpy(&target->last, given.last, 16);
    if (given.family == 4 &&
        (!IN6_IS_ADDR_V4MAPPED(&target->base) || !IN6_IS_ADDR_V4MAPPED(&target->first) ||
         !IN6_IS_ADDR_V4MAPPED(&target->last)))
        return wrong(r, EINVAL, "subnet");
    if (memcmp(&target->first, &target->last, 16) > 0 || !pod_subnet_has(target, &target->first) ||
        !pod_subnet_has(target, &target->last))
        return wrong(r, EINVAL, "subnet");
    return 0;
}

static int wish_address(struct reading *r)
{
    struct in6_addr wanted;

    if (address(r, &wanted, "address"))
        return -1;
    if (IN6_IS_ADDR_V4MAPPED(&wanted))
        r->wish->want4 = wanted;
    else
        r->wish->want6 = wanted;
    return 0;
}

static int lease(struct reading *r)
{
    struct pod_lease *target = &r->wish->lease;
    size_t length = r->length < sizeof *target ? r->length : sizeof *target;

    memset(target, 0, sizeof *target);
    memcpy(target, r->value, length);
    target->ifname[IFNAMSIZ - 1] = target->outer[IFNAMSIZ - 1] = '\0';
    r->wish->lease_length = length;
    return 0;
}

static int next_wish(struct reading *r)
{
    struct pod_order *order = r->order;

    if (order->wish_count >= POD_ENDS_MAX)
        return wrong(r, E2BIG, "interfaces");
    if (!order->wishes)
        order->wishes = calloc(POD_ENDS_MAX, sizeof *order->wishes);
    if (!order->wishes)
        return wrong(r, ENOMEM, "interfaces");
    r->wish = &order->wishes[order->wish_count++];
    memcpy(r->wish->kind, "bridge", 7);
    return 0;
}

/* Of an interface. */
static int read_wish(struct reading *r, uint16_t tag)
{
    struct pod_wish *wish = r->wish;

    switch (tag) {
    case POD_ITEM_NET_ID:
        return text(r, wish->net_id, sizeof wish->net_id, "network");
    case POD_ITEM_NET_NAME:
        return text(r, wish->net_name, sizeof wish->net_name, "network's name");
    case POD_ITEM_BRIDGE:
        return text(r, wish->bridge, sizeof wish->bridge, "bridge");
    case POD_ITEM_KIND:
        return text(r, wish->kind, sizeof wish->kind, "kind");
    case POD_ITEM_NET_FLAGS:
        return number(r, &wish->flags, "flags");
    case POD_ITEM_MTU:
        return number(r, &wish->mtu, "mtu");
    case POD_ITEM_PRIORITY:
        return number(r, (uint32_t *)&wish->priority, "priority");
    case POD_ITEM_SUBNET:
        return subnet(r);
    case POD_ITEM_TAKEN:
        if (wish->taken_count >= POD_TAKEN_MAX)
            return wrong(r, E2BIG, "taken addresses");
        return address(r, &wish->taken[wish->taken_count++], "taken address");
    case POD_ITEM_ADDRESS:
        return wish_address(r);
    case POD_ITEM_MAC:
        if (r->length != sizeof wish->mac || (r->value[0] & 1))
            return wrong(r, EINVAL, "mac address");
        memcpy(wish->mac, r->value, sizeof wish->mac);
        wish->has_mac = 1;
        return 0;
    case POD_ITEM_ALIAS:
        return word(r, wish->aliases, &wish->alias_count, POD_ALIASES_MAX, "aliases");
    case POD_ITEM_LINK:
        return word(r, wish->links, &wish->link_count, POD_ALIASES_MAX, "links");
    case POD_ITEM_LEASE:
        return lease(r);
    default:
        return 0;
    }
}

static int server(struct reading *r)
{
    struct pod_order *order = r->order;

    if (!order->servers)
        order->servers = calloc(POD_SERVERS_MAX + 1, sizeof *order->servers);
    if (!order->servers)
        return wrong(r, ENOMEM, "servers");
    return word(r, order->servers, &order->server_count, POD_SERVERS_MAX, "servers");
}

static int read_item(struct reading *r, uint16_t tag)
{
    struct pod_order *order = r->order;
    uint32_t value;

    switch (tag) {
    case POD_ITEM_CONTAINER:
        return text(r, order->id, sizeof order->id, "container");
    case POD_ITEM_NAME:
        return text(r, order->name, sizeof order->name, "name");
    case POD_ITEM_HOSTNAME:
        return text(r, order->hostname, sizeof order->hostname, "hostname");
    case POD_ITEM_SERVER:
        return server(r);
    case POD_ITEM_HOST_GATEWAY:
        if (number(r, &value, "host-gateway"))
            return -1;
        order->host_gateway = value == 1;
        return 0;
    case POD_ITEM_FDS:
        return number(r, &order->fds, "descriptors");
    case POD_ITEM_PORT:
        return port(r);
    case POD_ITEM_PORTS:
        return had(r);
    case POD_ITEM_END:
        return next_wish(r);
    case POD_ITEM_NET_ID:
        if (!r->wish)
            return text(r, order->disconnect, sizeof order->disconnect, "network");
        break;
    }
    return r->wish ? read_wish(r, tag) : 0;
}

int pod_order_read(const struct pod_wire *wire, struct pod_order *order, struct pod_err *err)
{
    struct reading r = {.order = order, .err = err};

    memset(order, 0, sizeof *order);
    for (const struct pod_wire_item *item = pod_wire_next(wire, NULL); item;
         item = pod_wire_next(wire, item)) {
        r.value = (const uint8_t *)(item + 1);
        r.length = item->length;
        if (read_item(&r, item->tag)) {
            pod_order_free(order);
            return -1;
        }
    }
    return 0;
}

static void free_words(char **list, int count)
{
    for (int i = 0; i < count; i++)
        free(list[i]);
}

void pod_order_free(struct pod_order *order)
{
    for (int i = 0; i < order->wish_count; i++) {
        free_words(order->wishes[i].aliases, order->wishes[i].alias_count);
        free_words(order->wishes[i].links, order->wishes[i].link_count);
    }
    free_words(order->servers, order->server_count);
    free(order->servers);
    free(order->ports);
    free(order->had);
    free(order->wishes);
    memset(order, 0, sizeof *order);
}
