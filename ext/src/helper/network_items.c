#include <stdlib.h>
#include <string.h>

#include "network.h"
#include "text.h"

static size_t padded(size_t length)
{
    return (length + 3) & ~(size_t)3;
}

static const char *value_of(const struct pod_wire_item *item)
{
    return (const char *)(item + 1);
}

const struct pod_wire_item *pod_items_next(const uint8_t *items, size_t length, size_t *at)
{
    const struct pod_wire_item *item;

    if (*at > length || length - *at < sizeof *item) /* ITEMS may be NULL then */
        return NULL;
    item = (const void *)(items + *at);
    if (length - *at - sizeof *item < item->length)
        return NULL;
    *at += sizeof *item + padded(item->length);
    return item;
}

static int same(const struct pod_wire_item *one, const struct pod_wire_item *other)
{
    return one->length == other->length && !memcmp(value_of(one), value_of(other), one->length);
}

static const struct pod_wire_item *first(const uint8_t *items, size_t length, uint16_t tag)
{
    const struct pod_wire_item *item;

    for (size_t at = 0; (item = pod_items_next(items, length, &at));)
        if (item->tag == tag)
            return item;
    return NULL;
}

/* The LEASE that follows this NET_ID among LEASES. */
static const struct pod_wire_item *lease_of(const struct pod_wire_item *net, const uint8_t *leases,
                                            size_t length)
{
    const struct pod_wire_item *item;
    int found = 0;

    for (size_t at = 0; leases && (item = pod_items_next(leases, length, &at));) {
        if (item->tag == POD_ITEM_NET_ID)
            found = same(item, net);
        else if (found && item->tag == POD_ITEM_LEASE)
            return item;
    }
    return NULL;
}

void pod_items_put(struct pod_wire *wire, const uint8_t *items, size_t length,
                   const uint8_t *leases, size_t lease_length)
{
    const struct pod_wire_item *item;

    item = leases ? first(leases, lease_length, POD_ITEM_PORTS) : NULL;
    if (item)
        pod_wire_put(wire, item->tag, value_of(item), item->length);
    for (size_t at = 0; (item = pod_items_next(items, length, &at));) {
        pod_wire_put(wire, item->tag, value_of(item), item->length);
        const struct pod_wire_item *lease =
            item->tag == POD_ITEM_NET_ID ? lease_of(item, leases, lease_length) : NULL;
        if (lease)
            pod_wire_put(wire, POD_ITEM_LEASE, value_of(lease), lease->length);
    }
}

static void add(struct pod_text *text, const struct pod_wire_item *item)
{
    static const char zeros[4];

    pod_text_add(text, item, sizeof *item + item->length);
    pod_text_add(text, zeros, padded(item->length) - item->length);
}

/* Whether the interface whose items begin at AT is on that network. */
static int is_on(const uint8_t *items, size_t length, size_t at, const struct pod_wire_item *net)
{
    const struct pod_wire_item *item;

    while ((item = pod_items_next(items, length, &at)) && item->tag != POD_ITEM_END)
        if (item->tag == POD_ITEM_NET_ID)
            return same(item, net);
    return 0;
}

int pod_items_change(uint8_t **items, size_t *length, const struct pod_question *question)
{
    const struct pod_wire_item *item, *net = NULL, *name = NULL;
    struct pod_text text = {0};
    int gone = 0;

    if (question->type == POD_WIRE_DISCONNECT)
        net = first(question->items, question->length, POD_ITEM_NET_ID);
    if (question->type == POD_WIRE_RENAME)
        name = first(question->items, question->length, POD_ITEM_NAME);
    for (size_t at = 0; (item = pod_items_next(*items, *length, &at));) {
        if (item->tag == POD_ITEM_END)
            gone = net && is_on(*items, *length, at, net);
        if (!gone)
            add(&text, name && item->tag == POD_ITEM_NAME ? name : item);
    }
    if (question->type == POD_WIRE_CONNECT)
        for (size_t at = 0; (item = pod_items_next(question->items, question->length, &at));)
            add(&text, item);
    if (text.failed) {
        free(text.bytes);
        return -1;
    }
    free(*items);
    *items = (uint8_t *)text.bytes;
    *length = text.used;
    return 0;
}

uint8_t *pod_items_leases(const struct pod_wire *wire, size_t *length)
{
    struct pod_text text = {0};

    for (const struct pod_wire_item *item = pod_wire_next(wire, NULL); item;
         item = pod_wire_next(wire, item))
        if (item->tag == POD_ITEM_NET_ID || item->tag == POD_ITEM_LEASE ||
            item->tag == POD_ITEM_PORTS)
            add(&text, item);
    if (text.failed) {
        free(text.bytes);
        text.bytes = NULL;
        text.used = 0;
    }
    *length = text.used;
    return (uint8_t *)text.bytes;
}

char *pod_items_text(const struct pod_wire *wire, uint16_t tag)
{
    struct pod_text text = {0};
    int there = 0;

    for (const struct pod_wire_item *item = pod_wire_next(wire, NULL); item;
         item = pod_wire_next(wire, item))
        if (item->tag == tag) {
            pod_text_add(&text, value_of(item), item->length);
            there = 1;
        }
    pod_text_add(&text, "", 1);
    if (!there || text.failed) {
        free(text.bytes);
        return NULL;
    }
    return text.bytes;
}

uint32_t pod_items_number(const struct pod_wire *wire, uint16_t tag)
{
    uint32_t number = 0;

    for (const struct pod_wire_item *item = pod_wire_next(wire, NULL); item;
         item = pod_wire_next(wire, item))
        if (item->tag == tag && item->length == sizeof number)
            memcpy(&number, value_of(item), sizeof number);
    return number;
}
