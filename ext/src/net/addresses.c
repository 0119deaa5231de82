/* Who gets which address. */
#include <arpa/inet.h>
#include <string.h>

#include "netd.h"

void pod_address_text(const struct in6_addr *address, char text[46])
{
    if (IN6_IS_ADDR_V4MAPPED(address))
        inet_ntop(AF_INET, &address->s6_addr[12], text, 46);
    else
        inet_ntop(AF_INET6, address, text, 46);
}

static void next_address(struct in6_addr *address)
{
    for (int i = 15; i >= 0 && ++address->s6_addr[i] == 0; i--)
        ;
}

/* That of the network itself, and IPv4's broadcast: nobody's where there is room for others. */
static int is_special(const struct pod_subnet *subnet, const struct in6_addr *address)
{
    int bits = subnet->family == AF_INET ? 32 : 128;
    struct in6_addr last = subnet->base;

    if (subnet->prefix >= bits - 1)
        return 0;
    if (IN6_ARE_ADDR_EQUAL(&subnet->base, address))
        return 1;
    for (int bit = 128 - bits + subnet->prefix; bit < 128; bit++)
        last.s6_addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    return subnet->family == AF_INET && IN6_ARE_ADDR_EQUAL(&last, address);
}

static int is_taken(struct pod_world *world, const struct pod_end *end, const struct pod_wish *wish,
                    const struct pod_subnet *subnet, const struct in6_addr *address)
{
    struct pod_end *other;

    if (IN6_ARE_ADDR_EQUAL(&subnet->gateway, address) || is_special(subnet, address))
        return 1;
    for (int i = 0; i < wish->taken_count; i++)
        if (IN6_ARE_ADDR_EQUAL(&wish->taken[i], address))
            return 1;
    other = pod_world_address(world, end->net, address);
    return other && other != end;
}

static int is_zero(const struct in6_addr *address)
{
    return IN6_IS_ADDR_UNSPECIFIED(address);
}

/* A wish for an address is granted or refused, also where it is outside of first and last (Docker's --ip-range). */
static int grant(struct pod_world *world, struct pod_end *end, const struct pod_wish *wish,
                 const struct pod_subnet *subnet, const struct in6_addr *wanted,
                 struct in6_addr *target, struct pod_err *err)
{
    char text[46];

    pod_address_text(wanted, text);
    if (!pod_subnet_has(subnet, wanted))
        return pod_fail_errno(err, POD_ADDRESS, EINVAL, text);
    if (is_taken(world, end, wish, subnet, wanted))
        return pod_fail_errno(err, POD_ADDRESS, EADDRINUSE, text);
    *target = *wanted;
    return 0;
}

static int choose(struct pod_world *world, struct pod_end *end, const struct pod_wish *wish,
                  const struct pod_subnet *subnet, const struct in6_addr *wanted,
                  const uint8_t leased[16], struct in6_addr *target, struct pod_err *err)
{
    struct in6_addr at;

    if (!subnet->family)
        return is_zero(wanted) ? 0 : pod_fail_errno(err, POD_ADDRESS, EINVAL, end->net->name);
    if (!is_zero(wanted))
        return grant(world, end, wish, subnet, wanted, target, err);
    memcpy(&at, leased, 16);
    if (!is_zero(&at) && pod_subnet_has(subnet, &at) && !is_taken(world, end, wish, subnet, &at)) {
        *target = at;
        return 0;
    }
    at = subnet->first;
    /* Each that is taken is somebody's: more than that many steps are never needed. */
    for (int steps = 0; steps < POD_BOXES_MAX + POD_TAKEN_MAX + 8; steps++, next_address(&at)) {
        if (memcmp(&at, &subnet->last, 16) > 0)
            break;
        if (!is_taken(world, end, wish, subnet, &at)) {
            *target = at;
            return 0;
        }
    }
    return pod_fail_errno(err, POD_ADDRESS, EADDRNOTAVAIL, end->net->name);
}

/* 02:42 and the address, as Docker long did: who gets an address again has the same MAC, so that no neighbour's table is wrong. */
static void choose_mac(struct pod_end *end, const struct pod_wish *wish)
{
    if (wish->has_mac) {
        memcpy(end->mac, wish->mac, sizeof end->mac);
        return;
    }
    end->mac[0] = 0x02;
    end->mac[1] = is_zero(&end->v4) ? 0x43 : 0x42;
    memcpy(&end->mac[2], is_zero(&end->v4) ? &end->v6.s6_addr[12] : &end->v4.s6_addr[12], 4);
}

int pod_addresses_choose(struct pod_world *world, struct pod_end *end, const struct pod_wish *wish,
                         struct pod_err *err)
{
    struct pod_net *net = end->net;

    if (choose(world, end, wish, &net->v4, &wish->want4, wish->lease.v4, &end->v4, err) ||
        choose(world, end, wish, &net->v6, &wish->want6, wish->lease.v6, &end->v6, err))
        return -1;
    choose_mac(end, wish);
    return 0;
}
