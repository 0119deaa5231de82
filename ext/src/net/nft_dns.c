/* The rules inside a container's network namespace, for its resolver. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "nft.h"

#define RESOLVER 0x7f00000bu /* 127.0.0.11 */
#define DNS_PORT 53
#define LOOPBACK 1u /* ifindex of lo, in every network namespace */

static void port_rule(struct pod_netlink *n, struct pod_nft *t, uint8_t protocol, int answer,
                      uint16_t port)
{
    uint32_t address = htonl(RESOLVER);
    uint16_t from = htons(answer ? port : DNS_PORT), to = htons(answer ? DNS_PORT : port);
    uint32_t checksum = protocol == IPPROTO_TCP ? 16 : 6;

    pod_nft_rule(n, t, "out");
    pod_nft_meta(n, NFT_META_L4PROTO);
    pod_nft_equal(n, &protocol, sizeof protocol);
    pod_nft_payload(n, NFT_PAYLOAD_NETWORK_HEADER, answer ? 12 : 16, 4);
    pod_nft_equal(n, &address, sizeof address);
    pod_nft_payload(n, NFT_PAYLOAD_TRANSPORT_HEADER, answer ? 0 : 2, 2);
    pod_nft_equal(n, &from, sizeof from);
    pod_nft_rewrite(n, answer ? 0 : 2, &to, sizeof to, checksum);
    pod_nft_verdict(n, POD_NFT_ACCEPT, NULL);
    pod_nft_rule_end(n, t);
}

int pod_nft_container_dns(int nfnl, uint16_t udp_port, uint16_t tcp_port, struct pod_err *err)
{
    struct pod_nft t = {.family = POD_NFT_IPV4, .table = "pod_resolver"};
    struct pod_netlink n;
    uint32_t loopback = LOOPBACK;

    pod_nft_begin(&n);
    pod_nft_table(&n, &t);
    pod_nft_chain(&n, &t, "out", "filter", POD_NFT_OUTPUT, -100);
    pod_nft_rule(&n, &t, "out"); /* whatever leaves the container passes one comparison */
    pod_nft_meta(&n, NFT_META_OIF);
    pod_nft_differs(&n, &loopback, sizeof loopback);
    pod_nft_verdict(&n, POD_NFT_ACCEPT, NULL);
    pod_nft_rule_end(&n, &t);
    port_rule(&n, &t, IPPROTO_UDP, 0, udp_port);
    port_rule(&n, &t, IPPROTO_TCP, 0, tcp_port);
    port_rule(&n, &t, IPPROTO_UDP, 1, udp_port);
    port_rule(&n, &t, IPPROTO_TCP, 1, tcp_port);
    return pod_nft_commit(nfnl, &n, "127.0.0.11", err);
}
