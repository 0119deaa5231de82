#include "nft.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

#define REGISTER NFT_REG32_00

static void begin(struct pod_netlink *n, int type, uint16_t flags, uint8_t family, uint16_t res)
{
    struct nfgenmsg head = {.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(res)};

    pod_netlink_begin(n, (uint16_t)type, flags, &head, sizeof head);
}

static void begin_nft(struct pod_netlink *n, int type, uint16_t flags, const struct pod_nft *t)
{
    begin(n, NFNL_SUBSYS_NFTABLES << 8 | type, (uint16_t)(flags | NLM_F_ACK), t->family, 0);
}

void pod_nft_begin(struct pod_netlink *n)
{
    n->sequence = 0;
    pod_netlink_reset(n);
    begin(n, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
}

/* The first error among answers; the kernel has answered all when sendto(2) returns. */
static int first_error(int nfnl, int *answers)
{
    char bytes[8192] __attribute__((aligned(8)));
    int first = 0;

    for (;;) {
        ssize_t got = recv(nfnl, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return first;
        size_t at = 0, length = (size_t)got;
        while (at + sizeof(struct nlmsghdr) <= length) {
            const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(bytes + at);
            if (message->nlmsg_len < sizeof *message || message->nlmsg_len > length - at)
                break;
            if (message->nlmsg_type == NLMSG_ERROR &&
                message->nlmsg_len >= sizeof *message + sizeof(struct nlmsgerr)) {
                int error = -((const struct nlmsgerr *)(const void *)(message + 1))->error;
                ++*answers;
                first = first ? first : error;
            }
            at += (message->nlmsg_len + 3) & ~3u;
        }
    }
}

int pod_nft_commit(int nfnl, struct pod_netlink *n, const char *what, struct pod_err *err)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int answers = 0, error;

    begin(n, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    if (n->overflow)
        return pod_fail_errno(err, POD_NFT, EMSGSIZE, what);
    first_error(nfnl, &answers); /* of an earlier batch that was cut short */
    while (sendto(nfnl, n->bytes, n->used, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
        if (errno != EINTR)
            return pod_fail(err, POD_NFT, what);
    answers = 0;
    error = first_error(nfnl, &answers);
    if (!error && !answers)
        error = EPROTO;
    return error ? pod_fail_errno(err, POD_NFT, error, what) : 0;
}

void pod_nft_table(struct pod_netlink *n, const struct pod_nft *t)
{
    pod_nft_table_gone(n, t);
    begin_nft(n, NFT_MSG_NEWTABLE, NLM_F_CREATE, t);
    pod_netlink_str(n, NFTA_TABLE_NAME, t->table);
}

void pod_nft_table_gone(struct pod_netlink *n, const struct pod_nft *t)
{
    /* Made first, so that there is one to be taken away. */
    begin_nft(n, NFT_MSG_NEWTABLE, NLM_F_CREATE, t);
    pod_netlink_str(n, NFTA_TABLE_NAME, t->table);
    begin_nft(n, NFT_MSG_DELTABLE, 0, t);
    pod_netlink_str(n, NFTA_TABLE_NAME, t->table);
}

void pod_nft_chain(struct pod_netlink *n, const struct pod_nft *t, const char *name,
                   const char *type, uint32_t hook, int priority)
{
    begin_nft(n, NFT_MSG_NEWCHAIN, NLM_F_CREATE, t);
    pod_netlink_str(n, NFTA_CHAIN_TABLE, t->table);
    pod_netlink_str(n, NFTA_CHAIN_NAME, name);
    if (!type)
        return;
    size_t nest = pod_netlink_nest(n, NFTA_CHAIN_HOOK);
    pod_netlink_be32(n, NFTA_HOOK_HOOKNUM, hook);
    pod_netlink_be32(n, NFTA_HOOK_PRIORITY, (uint32_t)priority);
    pod_netlink_end(n, nest);
    pod_netlink_str(n, NFTA_CHAIN_TYPE, type);
}

void pod_nft_set(struct pod_netlink *n, const struct pod_nft *t, const char *name, uint32_t id,
                 uint32_t length)
{
    begin_nft(n, NFT_MSG_NEWSET, NLM_F_CREATE, t);
    pod_netlink_str(n, NFTA_SET_TABLE, t->table);
    pod_netlink_str(n, NFTA_SET_NAME, name);
    pod_netlink_be32(n, NFTA_SET_KEY_TYPE, 0);
    pod_netlink_be32(n, NFTA_SET_KEY_LEN, length);
    pod_netlink_be32(n, NFTA_SET_ID, id);
}

void pod_nft_element(struct pod_netlink *n, const struct pod_nft *t, const char *set, int add,
                     const void *key, size_t length)
{
    size_t list, element, value;

    begin_nft(n, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0, t);
    pod_netlink_str(n, NFTA_SET_ELEM_LIST_TABLE, t->table);
    pod_netlink_str(n, NFTA_SET_ELEM_LIST_SET, set);
    list = pod_netlink_nest(n, NFTA_SET_ELEM_LIST_ELEMENTS);
    element = pod_netlink_nest(n, NFTA_LIST_ELEM);
    value = pod_netlink_nest(n, NFTA_SET_ELEM_KEY);
    pod_netlink_put(n, NFTA_DATA_VALUE, key, length);
    pod_netlink_end(n, value);
    pod_netlink_end(n, element);
    pod_netlink_end(n, list);
}

void pod_nft_rule(struct pod_netlink *n, struct pod_nft *t, const char *chain)
{
    begin_nft(n, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, t);
    pod_netlink_str(n, NFTA_RULE_TABLE, t->table);
    pod_netlink_str(n, NFTA_RULE_CHAIN, chain);
    t->expressions = pod_netlink_nest(n, NFTA_RULE_EXPRESSIONS);
}

void pod_nft_rule_end(struct pod_netlink *n, const struct pod_nft *t)
{
    pod_netlink_end(n, t->expressions);
}

/* --- expressions: an element of the list, its name, its data -------------------------------------------------------- */
struct place {
    size_t element, data;
};

static struct place expression(struct pod_netlink *n, const char *name)
{
    struct place at;

    at.element = pod_netlink_nest(n, NFTA_LIST_ELEM);
    pod_netlink_str(n, NFTA_EXPR_NAME, name);
    at.data = pod_netlink_nest(n, NFTA_EXPR_DATA);
    return at;
}

static void expression_end(struct pod_netlink *n, struct place at)
{
    pod_netlink_end(n, at.data);
    pod_netlink_end(n, at.element);
}

static void data(struct pod_netlink *n, uint16_t type, const void *value, size_t length)
{
    size_t nest = pod_netlink_nest(n, type);

    pod_netlink_put(n, NFTA_DATA_VALUE, value, length);
    pod_netlink_end(n, nest);
}

void pod_nft_meta_into(struct pod_netlink *n, uint32_t reg, uint32_t key)
{
    struct place at = expression(n, "meta");

    pod_netlink_be32(n, NFTA_META_KEY, key);
    pod_netlink_be32(n, NFTA_META_DREG, reg);
    expression_end(n, at);
}

void pod_nft_meta(struct pod_netlink *n, uint32_t key)
{
    pod_nft_meta_into(n, REGISTER, key);
}

void pod_nft_payload_into(struct pod_netlink *n, uint32_t reg, uint32_t base, uint32_t offset,
                          uint32_t length)
{
    struct place at = expression(n, "payload");

    pod_netlink_be32(n, NFTA_PAYLOAD_DREG, reg);
    pod_netlink_be32(n, NFTA_PAYLOAD_BASE, base);
    pod_netlink_be32(n, NFTA_PAYLOAD_OFFSET, offset);
    pod_netlink_be32(n, NFTA_PAYLOAD_LEN, length);
    expression_end(n, at);
}

void pod_nft_payload(struct pod_netlink *n, uint32_t base, uint32_t offset, uint32_t length)
{
    pod_nft_payload_into(n, REGISTER, base, offset, length);
}

void pod_nft_mask(struct pod_netlink *n, const void *mask, uint32_t length)
{
    static const uint8_t zeros[16];
    struct place at = expression(n, "bitwise");

    pod_netlink_be32(n, NFTA_BITWISE_SREG, REGISTER);
    pod_netlink_be32(n, NFTA_BITWISE_DREG, REGISTER);
    pod_netlink_be32(n, NFTA_BITWISE_LEN, length);
    data(n, NFTA_BITWISE_MASK, mask, length);
    data(n, NFTA_BITWISE_XOR, zeros, length);
    expression_end(n, at);
}

static void compare(struct pod_netlink *n, uint32_t how, const void *value, size_t length)
{
    struct place at = expression(n, "cmp");

    pod_netlink_be32(n, NFTA_CMP_SREG, REGISTER);
    pod_netlink_be32(n, NFTA_CMP_OP, how);
    data(n, NFTA_CMP_DATA, value, length);
    expression_end(n, at);
}

void pod_nft_equal(struct pod_netlink *n, const void *value, size_t length)
{
    compare(n, NFT_CMP_EQ, value, length);
}

void pod_nft_differs(struct pod_netlink *n, const void *value, size_t length)
{
    compare(n, NFT_CMP_NEQ, value, length);
}

static void look_up(struct pod_netlink *n, const char *set, uint32_t id, uint32_t flags)
{
    struct place at = expression(n, "lookup");

    pod_netlink_str(n, NFTA_LOOKUP_SET, set);
    pod_netlink_be32(n, NFTA_LOOKUP_SREG, REGISTER);
    pod_netlink_be32(n, NFTA_LOOKUP_SET_ID, id);
    if (flags)
        pod_netlink_be32(n, NFTA_LOOKUP_FLAGS, flags);
    expression_end(n, at);
}

void pod_nft_lookup(struct pod_netlink *n, const char *set, uint32_t id)
{
    look_up(n, set, id, 0);
}

void pod_nft_lookup_not(struct pod_netlink *n, const char *set, uint32_t id)
{
    look_up(n, set, id, NFT_LOOKUP_F_INV);
}

void pod_nft_fib(struct pod_netlink *n, uint32_t flags, uint32_t result)
{
    struct place at = expression(n, "fib");

    pod_netlink_be32(n, NFTA_FIB_DREG, REGISTER);
    pod_netlink_be32(n, NFTA_FIB_RESULT, result);
    pod_netlink_be32(n, NFTA_FIB_FLAGS, flags);
    expression_end(n, at);
}

void pod_nft_socket(struct pod_netlink *n, uint32_t key)
{
    struct place at = expression(n, "socket");

    pod_netlink_be32(n, NFTA_SOCKET_KEY, key);
    pod_netlink_be32(n, NFTA_SOCKET_DREG, REGISTER);
    expression_end(n, at);
}

static void immediate(struct pod_netlink *n, const void *value, size_t length)
{
    struct place at = expression(n, "immediate");

    pod_netlink_be32(n, NFTA_IMMEDIATE_DREG, REGISTER);
    data(n, NFTA_IMMEDIATE_DATA, value, length);
    expression_end(n, at);
}

void pod_nft_tproxy(struct pod_netlink *n, uint16_t port)
{
    uint16_t wire = htons(port);
    struct place at;

    immediate(n, &wire, sizeof wire);
    at = expression(n, "tproxy");
    pod_netlink_be32(n, NFTA_TPROXY_FAMILY, 0 /* both */);
    pod_netlink_be32(n, NFTA_TPROXY_REG_PORT, REGISTER);
    expression_end(n, at);
}

void pod_nft_mark(struct pod_netlink *n, uint32_t mark)
{
    struct place at;

    immediate(n, &mark, sizeof mark);
    at = expression(n, "meta");
    pod_netlink_be32(n, NFTA_META_KEY, NFT_META_MARK);
    pod_netlink_be32(n, NFTA_META_SREG, REGISTER);
    expression_end(n, at);
}

void pod_nft_rewrite(struct pod_netlink *n, uint32_t offset, const void *value, uint32_t length,
                     uint32_t checksum)
{
    struct place at;

    immediate(n, value, length);
    at = expression(n, "payload");
    pod_netlink_be32(n, NFTA_PAYLOAD_SREG, REGISTER);
    pod_netlink_be32(n, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
    pod_netlink_be32(n, NFTA_PAYLOAD_OFFSET, offset);
    pod_netlink_be32(n, NFTA_PAYLOAD_LEN, length);
    pod_netlink_be32(n, NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
    pod_netlink_be32(n, NFTA_PAYLOAD_CSUM_OFFSET, checksum);
    expression_end(n, at);
}

void pod_nft_counter(struct pod_netlink *n)
{
    expression_end(n, expression(n, "counter"));
}

void pod_nft_reject(struct pod_netlink *n, uint32_t type, uint8_t code)
{
    struct place at = expression(n, "reject");

    pod_netlink_be32(n, NFTA_REJECT_TYPE, type);
    pod_netlink_u8(n, NFTA_REJECT_ICMP_CODE, code);
    expression_end(n, at);
}

void pod_nft_verdict(struct pod_netlink *n, int code, const char *chain)
{
    struct place at = expression(n, "immediate");
    size_t value, verdict;

    pod_netlink_be32(n, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    value = pod_netlink_nest(n, NFTA_IMMEDIATE_DATA);
    verdict = pod_netlink_nest(n, NFTA_DATA_VERDICT);
    pod_netlink_be32(n, NFTA_VERDICT_CODE, (uint32_t)code);
    if (chain)
        pod_netlink_str(n, NFTA_VERDICT_CHAIN, chain);
    pod_netlink_end(n, verdict);
    pod_netlink_end(n, value);
    expression_end(n, at);
}
