/* Whose address a frame may come from: that of a container only out of the container's own port of the bridge, that of a gateway out
 * of none. Frames are looked at before the bridge learns from them (nf_tables' bridge family), for between containers nothing else
 * would look, and netd knows a container by its address (`host-gateway`).
 *
 *   table bridge pod
 *     known4, known6, knownm   addresses (IPv4, IPv6, MAC) that somebody has
 *     ours4, ours6, oursm      the same behind the interface index of who may send from them
 *     chain in                 an address that is known, but not of this port: dropped; ARP's and a neighbour's advertised ones too
 *
 * Addresses that nobody was given are left alone: a container with CAP_NET_ADMIN may have further ones. Kernels without the family
 * (CONFIG_NF_TABLES_BRIDGE) do without all of it: docs/networking.md. */
#include <linux/if_ether.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "gateway_own.h"
#include "links.h"
#include "nft.h"

#define BEFORE_LEARNING (-250)

enum { KNOWN4 = 1, OURS4, KNOWN6, OURS6, KNOWN_MAC, OURS_MAC };

static struct pod_nft table = {.family = POD_NFT_BRIDGE, .table = "pod"};

struct kind {
    const char *known, *ours;
    uint32_t known_id, ours_id, length, room; /* bytes; in a concatenation filled up to 4 */
};

static const struct kind v4 = {"known4", "ours4", KNOWN4, OURS4, 4, 4};
static const struct kind v6 = {"known6", "ours6", KNOWN6, OURS6, 16, 16};
static const struct kind mac = {"knownm", "oursm", KNOWN_MAC, OURS_MAC, 6, 8};

static void protocol_is(struct pod_netlink *n, uint16_t protocol)
{
    uint16_t wire = htons(protocol);

    pod_nft_rule(n, &table, "in");
    pod_nft_meta(n, NFT_META_PROTOCOL);
    pod_nft_equal(n, &wire, sizeof wire);
}

/* Ends the rule: what stands at OFFSET is known, and not this port's. */
static void drop_others(struct pod_netlink *n, const struct kind *kind, uint32_t base,
                        uint32_t offset)
{
    pod_nft_meta_into(n, NFT_REG32_00, NFT_META_IIF);
    pod_nft_payload_into(n, NFT_REG32_01, base, offset, kind->length);
    pod_nft_lookup_not(n, kind->ours, kind->ours_id);
    pod_nft_payload(n, base, offset, kind->length);
    pod_nft_lookup(n, kind->known, kind->known_id);
    pod_nft_verdict(n, POD_NFT_DROP, NULL);
    pod_nft_rule_end(n, &table);
}

static void drop(struct pod_netlink *n, uint16_t protocol)
{
    protocol_is(n, protocol);
    pod_nft_verdict(n, POD_NFT_DROP, NULL);
    pod_nft_rule_end(n, &table);
}

static void rules(struct pod_netlink *n)
{
    const uint8_t icmp = IPPROTO_ICMPV6, advertisement = 136;

    pod_nft_rule(n, &table, "in");
    drop_others(n, &mac, NFT_PAYLOAD_LL_HEADER, 6);
    protocol_is(n, ETH_P_IP);
    drop_others(n, &v4, NFT_PAYLOAD_NETWORK_HEADER, 12);
    protocol_is(n, ETH_P_ARP);
    drop_others(n, &v4, NFT_PAYLOAD_NETWORK_HEADER, 14);
    protocol_is(n, ETH_P_IPV6);
    drop_others(n, &v6, NFT_PAYLOAD_NETWORK_HEADER, 8);
    protocol_is(n, ETH_P_IPV6);
    pod_nft_meta(n, NFT_META_L4PROTO);
    pod_nft_equal(n, &icmp, sizeof icmp);
    pod_nft_payload(n, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1);
    pod_nft_equal(n, &advertisement, sizeof advertisement);
    drop_others(n, &v6, NFT_PAYLOAD_TRANSPORT_HEADER, 8);
    /* A second tag: the kernel takes two of number 0 off, and what is behind them would be past all of these. */
    drop(n, ETH_P_8021Q);
    drop(n, ETH_P_8021AD);
}

int pod_sources_open(struct pod_world *world, struct pod_err *err)
{
    static const struct kind *const kinds[] = {&v4, &v6, &mac};
    struct pod_netlink n;

    pod_nft_begin(&n);
    pod_nft_table(&n, &table);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        pod_nft_set(&n, &table, kinds[i]->known, kinds[i]->known_id, kinds[i]->length);
        pod_nft_set(&n, &table, kinds[i]->ours, kinds[i]->ours_id, 4 + kinds[i]->room);
    }
    pod_nft_chain(&n, &table, "in", "filter", POD_NFT_PREROUTING, BEFORE_LEARNING);
    rules(&n);
    world->guarded = !pod_nft_commit(world->holder->nfnl, &n, "sources", err);
    return world->guarded || err->errnum == EOPNOTSUPP || err->errnum == EAFNOSUPPORT ||
                   err->errnum == ENOENT || err->errnum == EPROTONOSUPPORT
               ? 0
               : -1;
}

static void put_known(struct pod_netlink *n, const struct kind *kind, int add, const void *address)
{
    pod_nft_element(n, &table, kind->known, add, address, kind->length);
}

static void put(struct pod_netlink *n, const struct kind *kind, const struct pod_end *end, int add,
                int known, const void *address)
{
    uint8_t key[20] = {0};
    uint32_t port = (uint32_t)end->port;

    memcpy(key, &port, sizeof port);
    memcpy(key + 4, address, kind->length);
    pod_nft_element(n, &table, kind->ours, add, key, 4 + kind->room);
    if (known)
        put_known(n, kind, add, address);
}

/* Only MACs are the user's choice, and may be that of containers of several networks. */
static int has_mac_alone(const struct pod_world *world, const struct pod_end *end)
{
    for (const struct pod_box *box = world->boxes; box; box = box->next)
        for (const struct pod_end *other = box->ends; other; other = other->next)
            if (other != end && other->port && !memcmp(other->mac, end->mac, sizeof end->mac))
                return 0;
    return 1;
}

static int put_end(struct pod_world *world, const struct pod_end *end, int add, struct pod_err *err)
{
    struct pod_netlink n;

    pod_nft_begin(&n);
    put(&n, &mac, end, add, has_mac_alone(world, end), end->mac);
    if (end->net->v4.family)
        put(&n, &v4, end, add, 1, &end->v4.s6_addr[12]);
    if (end->net->v6.family)
        put(&n, &v6, end, add, 1, &end->v6);
    return pod_nft_commit(world->holder->nfnl, &n, end->outer, err);
}

int pod_sources_end(struct pod_world *world, struct pod_end *end, struct pod_err *err)
{
    if (!world->guarded || !end->outer[0])
        return 0;
    end->port = pod_links_index(world->holder->rtnl, end->outer);
    if (end->port && !put_end(world, end, 1, err))
        return 0;
    if (!end->port)
        pod_fail_errno(err, POD_NETLINK, ENODEV, end->outer);
    end->port = 0;
    return -1;
}

void pod_sources_end_gone(struct pod_world *world, struct pod_end *end)
{
    struct pod_err ignored;

    if (end->port)
        put_end(world, end, 0, &ignored);
    end->port = 0;
}

int pod_sources_net(struct pod_world *world, const struct pod_net *net, int add,
                    struct pod_err *err)
{
    struct pod_netlink n;

    if (!world->guarded)
        return 0;
    int four = net->v4.family && !pod_no_address(&net->v4.gateway);
    int six = net->v6.family && !pod_no_address(&net->v6.gateway);
    if (!four && !six)
        return 0;
    pod_nft_begin(&n);
    if (four)
        put_known(&n, &v4, add, &net->v4.gateway.s6_addr[12]);
    if (six)
        put_known(&n, &v6, add, &net->v6.gateway);
    return pod_nft_commit(world->holder->nfnl, &n, net->bridge, err);
}
