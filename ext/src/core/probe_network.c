/* Trials of what named networks are made of: links between containers, and the gateway's rules and sockets. */
#include "probe_trials.h"

#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink.h"
#include "nft.h"

#ifndef AF_PACKET
#define AF_PACKET 17
#endif
#ifndef IP_TRANSPARENT
#define IP_TRANSPARENT 19
#endif

#define PORT 1

static int open_netlink(int protocol, struct pod_err *err)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

    return fd < 0
               ? pod_fail(err, POD_NETLINK, protocol == NETLINK_ROUTE ? "rtnetlink" : "nfnetlink")
               : fd;
}

static void begin_link(struct pod_netlink *n, const char *name, const char *kind, size_t *info)
{
    struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};

    pod_netlink_begin(n, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &link, sizeof link);
    pod_netlink_str(n, IFLA_IFNAME, name);
    *info = pod_netlink_nest(n, IFLA_LINKINFO);
    pod_netlink_str(n, IFLA_INFO_KIND, kind);
}

int pod_try_bridge(const char *scratch, struct pod_err *err)
{
    static struct pod_netlink n;
    struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
    size_t info, data, peer;
    POD_AUTO_FD int fd = open_netlink(NETLINK_ROUTE, err);

    (void)scratch;
    if (fd < 0)
        return -1;
    pod_netlink_reset(&n);
    begin_link(&n, "probe0", "bridge", &info);
    pod_netlink_end(&n, info);
    if (pod_netlink_send(fd, &n, 0, "bridge", err))
        return -1;
    pod_netlink_reset(&n);
    begin_link(&n, "probe1", "veth", &info);
    data = pod_netlink_nest(&n, IFLA_INFO_DATA);
    peer = pod_netlink_nest(&n, VETH_INFO_PEER);
    /* The peer's own header comes before its attributes. */
    memcpy(n.bytes + n.used, &link, sizeof link);
    n.used += sizeof link;
    n.message->nlmsg_len += (uint32_t)sizeof link;
    pod_netlink_end(&n, peer);
    pod_netlink_end(&n, data);
    pod_netlink_end(&n, info);
    pod_netlink_u32(&n, IFLA_MASTER, if_nametoindex("probe0"));
    return pod_netlink_send(fd, &n, 0, "veth", err);
}

/* One rule of each kind that the gateway needs (gateway_rules.c). */
static int try_rules(int fd, struct pod_err *err)
{
    static struct pod_netlink n;
    struct pod_nft table = {.family = POD_NFT_INET, .table = "pod-probe"};
    uint8_t protocol = IPPROTO_UDP, none = 0;

    pod_nft_begin(&n);
    pod_nft_table(&n, &table);
    pod_nft_set(&n, &table, "own", 1, 8);
    pod_nft_chain(&n, &table, "in", "filter", POD_NFT_PREROUTING, -150);
    pod_nft_rule(&n, &table, "in");
    pod_nft_meta_into(&n, NFT_REG32_00, NFT_META_IIF);
    pod_nft_payload_into(&n, NFT_REG32_01, NFT_PAYLOAD_NETWORK_HEADER, 16, 4);
    pod_nft_lookup(&n, "own", 1);
    pod_nft_verdict(&n, POD_NFT_ACCEPT, NULL);
    pod_nft_rule_end(&n, &table);
    pod_nft_rule(&n, &table, "in");
    pod_nft_fib(&n, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT, NFT_FIB_RESULT_OIF);
    pod_nft_equal(&n, &none, sizeof none);
    pod_nft_verdict(&n, POD_NFT_DROP, NULL);
    pod_nft_rule_end(&n, &table);
    pod_nft_rule(&n, &table, "in");
    pod_nft_meta(&n, NFT_META_L4PROTO);
    pod_nft_equal(&n, &protocol, sizeof protocol);
    pod_nft_tproxy(&n, PORT);
    pod_nft_verdict(&n, POD_NFT_ACCEPT, NULL);
    pod_nft_rule_end(&n, &table);
    pod_nft_rule(&n, &table, "in");
    pod_nft_reject(&n, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH);
    pod_nft_rule_end(&n, &table);
    return pod_nft_commit(fd, &n, "nf_tables with tproxy, fib and reject", err);
}

int pod_try_gateway(const char *scratch, struct pod_err *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int on = 1;

    (void)scratch;
    POD_AUTO_FD int rules = open_netlink(NETLINK_NETFILTER, err);
    if (rules < 0 || try_rules(rules, err))
        return -1;
    POD_AUTO_FD int transparent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (transparent < 0 || setsockopt(transparent, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on) ||
        bind(transparent, (struct sockaddr *)(void *)&address, sizeof address))
        return pod_fail(err, POD_SOCKET, "a transparent socket");
    POD_AUTO_FD int packets = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_IP));
    return packets < 0 ? pod_fail(err, POD_SOCKET, "a packet socket") : 0;
}

int pod_try_ipv6(const char *scratch, struct pod_err *err)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    POD_AUTO_FD int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return pod_fail(err, POD_SOCKET, "IPv6");
    if (pod_try_loopback(scratch, err))
        return -1;
    return bind(fd, (struct sockaddr *)(void *)&address, sizeof address)
               ? pod_fail(err, POD_SOCKET, "::1")
               : 0;
}
