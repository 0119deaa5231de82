/* Packet rules (nf_tables) by raw nfnetlink: a batch is one transaction, so that a rule set is there whole or not at all.
 *
 *   struct pod_netlink n;
 *   pod_nft_begin(&n);
 *   pod_nft_table(&n, &(struct pod_nft){POD_NFT_INET, "pod"});
 *   pod_nft_chain(…);
 *   pod_nft_rule(&n, &table, "pre");
 *   pod_nft_meta(&n, NFT_META_L4PROTO); pod_nft_equal(&n, &udp, 1);
 *   pod_nft_verdict(&n, POD_NFT_ACCEPT, NULL);
 *   pod_nft_rule_end(&n);
 *   pod_nft_commit(nfnl, &n, "rules", err);
 *
 * Every expression loads into, or compares, register 1: one comparison follows its load. Nothing fails but the commit: too long a
 * batch is told there. Source of the format: linux/netfilter/nf_tables.h. */
#ifndef POD_NFT_H
#define POD_NFT_H

#include <linux/netfilter/nf_tables.h>
#include <stdint.h>

#include "netlink.h"

/* Of linux/netfilter.h, which musl's netinet/in.h does not agree with. */
enum { POD_NFT_DROP = 0, POD_NFT_ACCEPT = 1 };
enum { POD_NFT_PREROUTING = 0, POD_NFT_INPUT = 1, POD_NFT_OUTPUT = 3 };
enum {
    POD_NFT_INET = 1,
    POD_NFT_IPV4 = 2,
    POD_NFT_NETDEV = 5,
    POD_NFT_BRIDGE = 7,
    POD_NFT_IPV6 = 10,
};

struct pod_nft {
    uint8_t family; /* POD_NFT_INET, POD_NFT_IPV4 … */
    const char *table;
    size_t expressions; /* of the rule that is being written */
};

void pod_nft_begin(struct pod_netlink *n);
/* As pod_netlink_send, but a batch that was refused whole, with fewer answers, is understood too. */
int pod_nft_commit(int nfnl, struct pod_netlink *n, const char *what, struct pod_err *err);

/* The table, empty: what there was of that name goes in the same transaction. */
void pod_nft_table(struct pod_netlink *n, const struct pod_nft *t);
void pod_nft_table_gone(struct pod_netlink *n, const struct pod_nft *t);
/* TYPE: "filter", "nat", "route"; HOOK: POD_NFT_PREROUTING …; policy accept. TYPE NULL: a chain to be jumped to. */
void pod_nft_chain(struct pod_netlink *n, const struct pod_nft *t, const char *name,
                   const char *type, uint32_t hook, int priority);
/* A set of LENGTH bytes a key (concatenations: each part filled up to 4 bytes), and its elements. */
void pod_nft_set(struct pod_netlink *n, const struct pod_nft *t, const char *name, uint32_t id,
                 uint32_t length);
void pod_nft_element(struct pod_netlink *n, const struct pod_nft *t, const char *set, int add,
                     const void *key, size_t length);

void pod_nft_rule(struct pod_netlink *n, struct pod_nft *t, const char *chain);
void pod_nft_rule_end(struct pod_netlink *n, const struct pod_nft *t);

/* --- expressions ----------------------------------------------------------------------------------------------------- */
void pod_nft_meta(struct pod_netlink *n, uint32_t key); /* NFT_META_* into register 1 */
/* LENGTH bytes at OFFSET of NFT_PAYLOAD_NETWORK_HEADER, …_TRANSPORT_HEADER or …_LL_HEADER into register 1. */
void pod_nft_payload(struct pod_netlink *n, uint32_t base, uint32_t offset, uint32_t length);
/* The same into the 32 bit register REGISTER (NFT_REG32_00 is register 1's beginning), for concatenations. */
void pod_nft_payload_into(struct pod_netlink *n, uint32_t reg, uint32_t base, uint32_t offset,
                          uint32_t length);
void pod_nft_meta_into(struct pod_netlink *n, uint32_t reg, uint32_t key);
void pod_nft_mask(struct pod_netlink *n, const void *mask,
                  uint32_t length); /* register 1 &= MASK */
void pod_nft_equal(struct pod_netlink *n, const void *value, size_t length);
void pod_nft_differs(struct pod_netlink *n, const void *value, size_t length);
/* Register 1 is a key of SET (made in the same batch with that id, or there already). */
void pod_nft_lookup(struct pod_netlink *n, const char *set, uint32_t id);
void pod_nft_lookup_not(struct pod_netlink *n, const char *set, uint32_t id); /* is none */
/* NFTA_FIB_F_* and NFT_FIB_RESULT_* into register 1. With NFTA_FIB_F_PRESENT: one byte, is there a route. */
void pod_nft_fib(struct pod_netlink *n, uint32_t flags, uint32_t result);
/* NFT_SOCKET_TRANSPARENT, _WILDCARD … into register 1, one byte. No socket: the rule ends. */
void pod_nft_socket(struct pod_netlink *n, uint32_t key);
/* To the transparent listener of PORT, of both families in an inet table. No listener: the rule ends. */
void pod_nft_tproxy(struct pod_netlink *n, uint16_t port);
void pod_nft_mark(struct pod_netlink *n, uint32_t mark);
/* Writes register 1 with VALUE, then into the packet; the checksum at CHECKSUM (of a transport header) follows. */
void pod_nft_rewrite(struct pod_netlink *n, uint32_t offset, const void *value, uint32_t length,
                     uint32_t checksum);
void pod_nft_counter(struct pod_netlink *n);
/* NFT_REJECT_ICMPX_UNREACH with NFT_REJECT_ICMPX_*, or NFT_REJECT_TCP_RST. */
void pod_nft_reject(struct pod_netlink *n, uint32_t type, uint8_t code);
/* POD_NFT_ACCEPT, POD_NFT_DROP, NFT_RETURN; NFT_JUMP and NFT_GOTO with CHAIN. */
void pod_nft_verdict(struct pod_netlink *n, int code, const char *chain);

/* --- inside a container ------------------------------------------------------------------------------------------- */
/* 127.0.0.11:53 leads to the resolver's ports, and their answers come from port 53: by rewriting the ports of loopback packets as
 * they are sent, so that the container needs no connection tracking (and the kernel no nat). Ports in the host's order. */
int pod_nft_container_dns(int nfnl, uint16_t udp_port, uint16_t tcp_port, struct pod_err *err);

#endif
