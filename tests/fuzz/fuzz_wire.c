/* netd's protocol (net/wire.h): the input's first byte chooses who reads it, the rest is a packet from the head on (its length is
 * mended, so that most are messages).
 *
 *   0   netd: a message taken apart, an order of it (net/order.c)
 *   1   a supervisor: what an answer tells, its leases put into the next REGISTER, its own items changed by a question */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../ext/src/helper/network.h"
#include "../../ext/src/net/netd.h"
#include "fuzz.h"

static struct pod_wire in, out;

/* As it comes: over a socket. -1: it is no message. */
static int receive(const uint8_t *data, size_t size)
{
    int pair[2], fds[POD_WIRE_FDS];
    struct pod_err err;

    CLAIM(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
    CLAIM(send(pair[0], data, size, 0) == (ssize_t)size);
    int failed = pod_wire_receive(pair[1], &in, fds, &err);
    close(pair[0]);
    close(pair[1]);
    CLAIM(!failed || err.errnum == EPROTO);
    for (int i = 0; i < POD_WIRE_FDS; i++)
        CLAIM(fds[i] < 0);
    return failed;
}

static void ended(const char *text, size_t size)
{
    CLAIM(memchr(text, 0, size) != NULL);
}

static void order(void)
{
    struct pod_order order;
    struct pod_err err;

    if (pod_order_read(&in, &order, &err)) {
        CLAIM(err.errnum == EINVAL || err.errnum == E2BIG);
        return;
    }
    ended(order.id, sizeof order.id);
    ended(order.name, sizeof order.name);
    ended(order.hostname, sizeof order.hostname);
    ended(order.disconnect, sizeof order.disconnect);
    CLAIM(order.port_count <= POD_PORTS_MAX && order.had_count <= POD_PORTS_MAX);
    CLAIM(order.wish_count <= POD_ENDS_MAX && order.server_count <= POD_SERVERS_MAX);
    for (int i = 0; i < order.port_count; i++)
        CLAIM(order.ports[i].first <= order.ports[i].last && order.ports[i].container);
    for (int i = 0; i < order.wish_count; i++) {
        const struct pod_wish *wish = &order.wishes[i];
        ended(wish->bridge, sizeof wish->bridge);
        ended(wish->lease.ifname, sizeof wish->lease.ifname);
        ended(wish->lease.outer, sizeof wish->lease.outer);
        CLAIM(wish->alias_count <= POD_ALIASES_MAX && wish->link_count <= POD_ALIASES_MAX);
        CLAIM(wish->taken_count <= POD_TAKEN_MAX);
        CLAIM(!wish->v4.family || pod_subnet_has(&wish->v4, &wish->v4.first));
        for (int alias = 0; alias < wish->alias_count; alias++)
            ended(wish->aliases[alias], 2 * POD_NAME_MAX);
    }
    pod_order_free(&order);
}

static size_t count_items(const struct pod_wire *wire)
{
    size_t count = 0;

    for (const struct pod_wire_item *item = pod_wire_next(wire, NULL); item; item = pod_wire_next(wire, item))
        count++;
    return count;
}

static void supervisor(const uint8_t *data, size_t size)
{
    const struct pod_wire_head *head = pod_wire_head(&in);
    size_t length = in.used - sizeof *head, lease_length, own = length;
    uint8_t *leases = pod_items_leases(&in, &lease_length), *items = malloc(length + 1);
    char *text = pod_items_text(&in, POD_ITEM_STATE);

    CLAIM(!text || strlen(text) < in.used);
    pod_items_number(&in, POD_ITEM_ERRNO);
    memcpy(items, in.packet + sizeof *head, length);
    struct pod_question question = {.type = head->type, .items = items, .length = length};
    uint8_t *held = malloc(length + 1);
    memcpy(held, items, length);
    CLAIM(!pod_items_change(&held, &own, &question));
    pod_wire_begin(&out, POD_WIRE_REGISTER, 1);
    pod_items_put(&out, held, own, leases, lease_length);
    CLAIM(out.overflow || count_items(&out) <= 3 * count_items(&in) + 1);
    /* What is broken is passed over, never read beyond its end. */
    size_t at = 0;
    uint8_t *raw = malloc(size + 1);
    memcpy(raw, data, size);
    while (pod_items_next(raw, size, &at))
        CLAIM(at <= size + 3);
    free(raw);
    free(held);
    free(items);
    free(leases);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 + sizeof(struct pod_wire_head) || size > POD_WIRE_MAX)
        return 0;
    if (receive(data + 1, size - 1))
        return 0;
    CLAIM(in.used == size - 1 && count_items(&in) <= in.used / 4);
    if (data[0] & 1)
        supervisor(data + 1, size - 1);
    else
        order();
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    struct pod_wire_head head;

    size = LLVMFuzzerMutate(data, size, room);
    if (size < 1 + sizeof head || seed % 16 == 0)
        return size;
    memcpy(&head, data + 1, sizeof head);
    head.magic = POD_WIRE_MAGIC;
    head.version = head.version ? head.version : 1;
    head.length = (uint32_t)(size - 1 - sizeof head);
    memcpy(data + 1, &head, sizeof head);
    return size;
}
