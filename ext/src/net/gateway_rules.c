/* What the holder does with packets. Every foreign address is local there (a default route of the kind `local`), so that sockets
 * with foreign addresses get their packets as any socket does, without a mark or a look-up by rule; nothing is ever forwarded.
 *
 *   chain in     every packet of a bridge, and what is injected (from lo)
 *     lo         a SYN that goes on (POD_MARK_AGAIN) → the transparent listener
 *     TCP that is no SYN → sockets (the source's bridge is checked: IPv4 by rp_filter, IPv6 here)
 *     a source that is not of its bridge → dropped
 *     another bridge's containers → host unreachable
 *     own gateway → ping and DNS are answered here
 *     TCP SYN → dropped: the gateway has a copy (gateway_syn.c)
 *     UDP → the transparent listeners, else port unreachable
 *     echo requests → dropped: icmp*.c has a copy; else the kernel would answer in the name of the world */
#include <linux/rtnetlink.h>
#include <string.h>

#include "gateway_own.h"
#include "nft.h"

#define LOOPBACK 1u /* ifindex */
#define OWN4 1
#define OWN6 2

static struct pod_nft table = {.family = POD_NFT_INET, .table = "pod"};

static void rule(struct pod_netlink *n, const char *chain)
{
    pod_nft_rule(n, &table, chain);
}

static void verdict(struct pod_netlink *n, int code, const char *chain)
{
    pod_nft_verdict(n, code, chain);
    pod_nft_rule_end(n, &table);
}

static void protocol_is(struct pod_netlink *n, uint8_t protocol)
{
    pod_nft_meta(n, NFT_META_L4PROTO);
    pod_nft_equal(n, &protocol, sizeof protocol);
}

static void family_is(struct pod_netlink *n, uint8_t family)
{
    pod_nft_meta(n, NFT_META_NFPROTO);
    pod_nft_equal(n, &family, sizeof family);
}

/* Whether the routes lead to ADDRESS (of NFTA_FIB_F_*) by a bridge. */
static void routed_is(struct pod_netlink *n, uint32_t address, uint8_t wanted)
{
    pod_nft_fib(n, address | NFTA_FIB_F_PRESENT, NFT_FIB_RESULT_OIF);
    pod_nft_equal(n, &wanted, sizeof wanted);
}

static void injected(struct pod_netlink *n)
{
    uint32_t again = POD_MARK_AGAIN;

    rule(n, "injected");
    pod_nft_meta(n, NFT_META_MARK);
    pod_nft_equal(n, &again, sizeof again);
    protocol_is(n, IPPROTO_TCP);
    pod_nft_tproxy(n, POD_TPROXY_PORT);
    verdict(n, POD_NFT_ACCEPT, NULL);
}

static void connected(struct pod_netlink *n)
{
    rule(n, "connected");
    family_is(n, POD_NFT_IPV6);
    routed_is(n, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF, 0);
    verdict(n, POD_NFT_DROP, NULL);
}

/* To the gateway of its own bridge. */
static void own(struct pod_netlink *n)
{
    uint16_t dns = htons(53);

    rule(n, "own");
    protocol_is(n, IPPROTO_UDP);
    pod_nft_payload(n, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
    pod_nft_equal(n, &dns, sizeof dns);
    verdict(n, POD_NFT_ACCEPT, NULL);
    rule(n, "own");
    protocol_is(n, IPPROTO_UDP);
    verdict(n, NFT_GOTO, "datagrams");
    rule(n, "own");
    protocol_is(n, IPPROTO_TCP);
    verdict(n, POD_NFT_DROP, NULL);
}

static void datagrams(struct pod_netlink *n)
{
    rule(n, "datagrams");
    pod_nft_tproxy(n, POD_TPROXY_PORT);
    verdict(n, POD_NFT_ACCEPT, NULL);
    rule(n, "datagrams");
    pod_nft_reject(n, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH);
    pod_nft_rule_end(n, &table);
}

static void own_address(struct pod_netlink *n, uint8_t family, const char *set, uint32_t id,
                        uint32_t offset, uint32_t length)
{
    rule(n, "in");
    family_is(n, family);
    pod_nft_meta_into(n, NFT_REG32_00, NFT_META_IIF);
    pod_nft_payload_into(n, NFT_REG32_01, NFT_PAYLOAD_NETWORK_HEADER, offset, length);
    pod_nft_lookup(n, set, id);
    verdict(n, NFT_GOTO, "own");
}

static void echo(struct pod_netlink *n, uint8_t protocol, uint8_t type)
{
    rule(n, "in");
    protocol_is(n, protocol);
    pod_nft_payload(n, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
    pod_nft_equal(n, &type, sizeof type);
    verdict(n, POD_NFT_DROP, NULL);
}

static void from_bridges(struct pod_netlink *n)
{
    uint32_t loopback = LOOPBACK;
    uint8_t flags = 0x17, syn = 0x02, neighbours = IPPROTO_ICMPV6, to_us = 0 /* PACKET_HOST */;

    rule(n, "in");
    pod_nft_meta(n, NFT_META_IIF);
    pod_nft_equal(n, &loopback, sizeof loopback);
    verdict(n, NFT_GOTO, "injected");
    rule(n, "in");
    protocol_is(n, IPPROTO_TCP);
    pod_nft_payload(n, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1);
    pod_nft_mask(n, &flags, sizeof flags);
    pod_nft_differs(n, &syn, sizeof syn);
    verdict(n, NFT_GOTO, "connected");
    rule(n, "in");
    pod_nft_meta(n, NFT_META_L4PROTO);
    pod_nft_differs(n, &neighbours, sizeof neighbours);
    routed_is(n, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF, 0);
    verdict(n, POD_NFT_DROP, NULL);
    rule(n, "in");
    pod_nft_meta(n, NFT_META_PKTTYPE);
    pod_nft_differs(n, &to_us, sizeof to_us);
    verdict(n, POD_NFT_ACCEPT, NULL);
    own_address(n, POD_NFT_IPV4, "own4", OWN4, 16, 4);
    own_address(n, POD_NFT_IPV6, "own6", OWN6, 24, 16);
    rule(n, "in");
    pod_nft_meta(n, NFT_META_L4PROTO);
    pod_nft_differs(n, &neighbours, sizeof neighbours);
    routed_is(n, NFTA_FIB_F_DADDR, 1);
    pod_nft_reject(n, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_HOST_UNREACH);
    pod_nft_rule_end(n, &table);
    rule(n, "in");
    protocol_is(n, IPPROTO_TCP);
    verdict(n, POD_NFT_DROP, NULL);
    rule(n, "in");
    protocol_is(n, IPPROTO_UDP);
    verdict(n, NFT_GOTO, "datagrams");
    echo(n, IPPROTO_ICMP, 8);
    echo(n, IPPROTO_ICMPV6, 128);
}

static int write_rules(struct pod_world *world, struct pod_err *err)
{
    static const char *const chains[] = {"injected", "connected", "own", "datagrams"};
    struct pod_netlink n;

    pod_nft_begin(&n);
    pod_nft_table(&n, &table);
    pod_nft_set(&n, &table, "own4", OWN4, 8);
    pod_nft_set(&n, &table, "own6", OWN6, 20);
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++)
        pod_nft_chain(&n, &table, chains[i], NULL, 0, 0);
    pod_nft_chain(&n, &table, "in", "filter", POD_NFT_PREROUTING, -150);
    injected(&n);
    connected(&n);
    own(&n);
    datagrams(&n);
    from_bridges(&n);
    return pod_nft_commit(world->holder->nfnl, &n, "gateway", err);
}

/* Every address that no bridge has is local. */
static int write_route(struct pod_world *world, uint8_t family, struct pod_err *err)
{
    struct rtmsg route = {.rtm_family = family,
                          .rtm_table = RT_TABLE_MAIN,
                          .rtm_protocol = RTPROT_STATIC,
                          .rtm_scope = RT_SCOPE_HOST,
                          .rtm_type = RTN_LOCAL};
    struct pod_netlink n = {.used = 0};

    pod_netlink_begin(&n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &route,
                      sizeof route);
    pod_netlink_u32(&n, RTA_OIF, LOOPBACK);
    return pod_netlink_send(world->holder->rtnl, &n, 1, "local default", err);
}

static const struct {
    const char *path, *value;
    int wanted; /* else what the kernel does not have is left alone */
} sysctls[] = {
    /* A new network namespace has the host's values of IPv4 (net.core.devconf_inherit_init_net). */
    {"net/ipv4/ip_forward", "0", 1},
    {"net/ipv4/conf/all/rp_filter", "1", 1},
    {"net/ipv4/conf/default/rp_filter", "1", 1},
    {"net/ipv4/conf/all/accept_source_route", "0", 1},
    {"net/ipv4/conf/all/accept_redirects", "0", 1},
    {"net/ipv4/conf/all/arp_ignore", "1", 1},
    {"net/ipv4/conf/all/route_localnet", "0", 1},
    {"net/ipv6/conf/all/forwarding", "0", 0},
    {"net/bridge/bridge-nf-call-iptables", "0", 0},
    {"net/bridge/bridge-nf-call-ip6tables", "0", 0},
    {"net/bridge/bridge-nf-call-arptables", "0", 0},
    {"net/ipv4/tcp_syncookies", "0", 0}, /* none comes that was not asked for */
    {"net/ipv4/tcp_max_syn_backlog", "4096", 0},
    {"net/core/somaxconn", "4096", 0},
    /* All connections of loopback clients come from the gateway's address. */
    {"net/ipv4/ip_local_port_range", "1024 65535", 0},
    {"net/ipv4/tcp_tw_reuse", "1", 0},
};

int pod_rules_open(struct pod_world *world, struct pod_err *err)
{
    struct pod_err ignored;

    for (size_t i = 0; i < sizeof sysctls / sizeof *sysctls; i++)
        if (pod_holder_sysctl(world->holder, sysctls[i].path, sysctls[i].value,
                              sysctls[i].wanted ? err : &ignored) &&
            sysctls[i].wanted)
            return -1;
    if (write_rules(world, err) || write_route(world, AF_INET, err))
        return -1;
    if (write_route(world, AF_INET6, &ignored) && ignored.errnum != EOPNOTSUPP &&
        ignored.errnum != EAFNOSUPPORT && ignored.errnum != EACCES && ignored.errnum != EINVAL) {
        *err = ignored;
        return -1;
    }
    return 0;
}

int pod_rules_net(struct pod_world *world, const struct pod_net *net, int add, struct pod_err *err)
{
    struct pod_netlink n;
    uint8_t key[20];
    uint32_t ifindex = (uint32_t)net->ifindex;

    pod_nft_begin(&n);
    memcpy(key, &ifindex, 4);
    if (net->v4.family && !pod_no_address(&net->v4.gateway)) {
        memcpy(key + 4, &net->v4.gateway.s6_addr[12], 4);
        pod_nft_element(&n, &table, "own4", add, key, 8);
    }
    if (net->v6.family && !pod_no_address(&net->v6.gateway)) {
        memcpy(key + 4, &net->v6.gateway, 16);
        pod_nft_element(&n, &table, "own6", add, key, 20);
    }
    return n.message ? pod_nft_commit(world->holder->nfnl, &n, net->bridge, err) : 0;
}
