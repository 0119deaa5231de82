/* "connect" and "disconnect" of the networks that a container has, as Docker tells them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event.h"
#include "network.h"
#include "text.h"

struct value {
    const char *bytes; /* NULL: there is none */
    size_t length;
};

static void add(struct pod_text *text, const struct pod_plan *plan, const char *action,
                struct value id, struct value name, struct value driver)
{
    struct timespec now;
    char end[96];

    pod_text_add_words(text, "{\"Type\":\"network\",\"Action\":\"");
    pod_text_add_words(text, action);
    pod_text_add_words(text, "\",\"Actor\":{\"ID\":");
    pod_text_add_string(text, id.bytes, id.length);
    pod_text_add_words(text, ",\"Attributes\":{\"container\":\"");
    pod_text_add_words(text, pod_plan_str(plan, POD_KEY_ID));
    pod_text_add_words(text, "\",\"name\":");
    pod_text_add_string(text, name.bytes, name.length);
    pod_text_add_words(text, ",\"type\":");
    pod_text_add_string(text, driver.bytes, driver.length);
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(end, sizeof end, "}},\"scope\":\"local\",\"time\":%lld,\"timeNano\":%lld%09ld}\n",
             (long long)now.tv_sec, (long long)now.tv_sec, now.tv_nsec);
    pod_text_add_words(text, end);
}

static struct value value_of(const struct pod_wire_item *item)
{
    return (struct value){(const char *)(item + 1), item->length};
}

static struct value word(const char *text)
{
    return (struct value){text, strlen(text)};
}

/* Those with an interface, as they are just now. */
static void add_interfaces(struct pod_text *text, const struct pod_plan *plan, const char *action,
                           const uint8_t *items, size_t length)
{
    const struct value none = {NULL, 0}, bridge = word("bridge");
    const struct pod_wire_item *item;
    struct value id = none, name = none, driver = bridge;

    for (size_t at = 0; items;) {
        item = pod_items_next(items, length, &at);
        if (!item || item->tag == POD_ITEM_END) {
            if (id.bytes && name.bytes)
                add(text, plan, action, id, name, driver);
            id = name = none;
            driver = bridge;
        }
        if (!item)
            return;
        if (item->tag == POD_ITEM_NET_ID)
            id = value_of(item);
        else if (item->tag == POD_ITEM_NET_NAME)
            name = value_of(item);
        else if (item->tag == POD_ITEM_KIND)
            driver = value_of(item);
    }
}

void pod_event_networks(struct pod_text *text, const struct pod_plan *plan, const char *action,
                        const struct pod_network *network)
{
    const char *id = pod_plan_str(plan, POD_KEY_NET_APART);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_NET_APART);

    add_interfaces(text, plan, action, network->items, network->length);
    for (uint32_t i = 0; i + 2 < count; i += 3) {
        const char *name = id + strlen(id) + 1, *driver = name + strlen(name) + 1;
        add(text, plan, action, word(id), word(name), word(driver));
        id = driver + strlen(driver) + 1;
    }
}
