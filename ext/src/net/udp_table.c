/* The mappings: found by their address, ended when nobody uses them, bounded for each container and for all. */
#include "udp.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#define SLOTS 4096 /* a power of two */
#define SWEEP 2000 /* ms between two looks at what is idle */

static struct {
    struct pod_world *world;
    struct pod_mapping *slots[SLOTS];
    struct pod_udp_owner *owners;
    struct pod_timer sweep;
    uint32_t seed;
    int count, most;
} table;

static unsigned int slot_of(const struct pod_udp_port *port, const struct pod_peer *peer)
{
    uint32_t words[4], hash = table.seed ^ (uint32_t)((uintptr_t)port >> 4);

    memcpy(words, &peer->address, sizeof words);
    for (int i = 0; i < 4; i++)
        hash = (hash ^ words[i]) * 0x9e3779b1u, hash ^= hash >> 15;
    hash = (hash ^ peer->port) * 0x85ebca6bu;
    return (hash ^ hash >> 13) & (SLOTS - 1);
}

/* What a mapping is found by: the container's address, or of a published port the client's. */
static const struct pod_peer *key_of(const struct pod_mapping *mapping)
{
    return mapping->port ? &mapping->outside : &mapping->inside;
}

struct pod_mapping *pod_mapping_find(const struct pod_udp_port *port, const struct pod_peer *peer)
{
    struct pod_mapping *mapping = table.slots[slot_of(port, peer)];

    while (mapping && (mapping->port != port || !pod_same_peer(key_of(mapping), peer)))
        mapping = mapping->chain;
    return mapping;
}

static struct pod_udp_owner *owner_of(struct pod_box *box)
{
    struct pod_udp_owner *owner = table.owners;

    while (owner && owner->box != box)
        owner = owner->next;
    if (owner)
        return owner;
    owner = calloc(1, sizeof *owner);
    if (!owner)
        return NULL;
    owner->box = box;
    owner->next = table.owners;
    table.owners = owner;
    return owner;
}

static void owner_done(struct pod_udp_owner *owner)
{
    struct pod_udp_owner **at = &table.owners;

    if (owner->count)
        return;
    while (*at != owner)
        at = &(*at)->next;
    *at = owner->next;
    free(owner);
}

static void take_out(struct pod_mapping *mapping)
{
    struct pod_udp_owner *owner = mapping->owner;

    *(mapping->older ? &mapping->older->newer : &owner->oldest) = mapping->newer;
    *(mapping->newer ? &mapping->newer->older : &owner->newest) = mapping->older;
}

static void put_last(struct pod_mapping *mapping)
{
    struct pod_udp_owner *owner = mapping->owner;

    mapping->older = owner->newest;
    mapping->newer = NULL;
    *(owner->newest ? &owner->newest->newer : &owner->oldest) = mapping;
    owner->newest = mapping;
}

/* Its owner is left, though it may have none any more. */
static struct pod_udp_owner *end_mapping(struct pod_mapping *mapping)
{
    struct pod_mapping **at = &table.slots[slot_of(mapping->port, key_of(mapping))];
    struct pod_udp_owner *owner = mapping->owner;

    while (*at != mapping)
        at = &(*at)->chain;
    *at = mapping->chain;
    take_out(mapping);
    pod_ways_end(mapping);
    pod_loop_forget(table.world->loop, &mapping->watch);
    close(mapping->watch.fd);
    free(mapping);
    owner->count--;
    table.count--;
    return owner;
}

void pod_mapping_end(struct pod_mapping *mapping)
{
    owner_done(end_mapping(mapping));
}

int pod_mapping_sacrifice(void)
{
    struct pod_udp_owner *most = NULL;

    for (struct pod_udp_owner *owner = table.owners; owner; owner = owner->next)
        if (owner->oldest && (!most || owner->count > most->count))
            most = owner;
    if (!most)
        return 0;
    pod_mapping_end(most->oldest);
    return 1;
}

/* Room for one of OWNER's, which is counted already; what is in use at this instant may go, for there is a bound. */
static void make_room(struct pod_udp_owner *owner)
{
    if (owner->count > POD_UDP_BOX_MAX)
        end_mapping(owner->oldest);
    else if (table.count >= table.most)
        pod_mapping_sacrifice();
}

struct pod_mapping *pod_mapping_add(struct pod_end *end, struct pod_udp_port *port,
                                    const struct pod_peer *peer, int fd,
                                    void (*ready)(struct pod_watch *, uint32_t))
{
    struct pod_mapping *mapping = calloc(1, sizeof *mapping);
    struct pod_udp_owner *owner;
    struct pod_err err;

    /* The owner is asked for when room was made: that may end an owner. */
    owner = mapping ? owner_of(end->box) : NULL;
    if (owner) {
        owner->count++; /* so that it is not ended along with its last mapping */
        make_room(owner);
        mapping->watch = (struct pod_watch){fd, ready};
        if (pod_loop_watch(table.world->loop, &mapping->watch, EPOLLIN, &err)) {
            owner->count--;
            owner_done(owner);
            owner = NULL;
        }
    }
    if (!owner) {
        free(mapping);
        close(fd);
        return NULL;
    }
    table.count++;
    mapping->owner = owner;
    mapping->end = end;
    mapping->port = port;
    *(port ? &mapping->outside : &mapping->inside) = *peer;
    mapping->used = pod_loop_now();
    mapping->dns = !port;
    mapping->chain = table.slots[slot_of(port, peer)];
    table.slots[slot_of(port, peer)] = mapping;
    put_last(mapping);
    if (!table.sweep.due)
        pod_loop_ring_at(table.world->loop, &table.sweep, mapping->used + SWEEP);
    return mapping;
}

void pod_mapping_used(struct pod_mapping *mapping, int from_inside, int64_t now)
{
    *(from_inside ? &mapping->from_inside : &mapping->from_outside) = 1;
    mapping->used = now;
    if (mapping->newer) {
        take_out(mapping);
        put_last(mapping);
    }
}

static int64_t lifetime(const struct pod_mapping *mapping)
{
    if (mapping->dns)
        return POD_UDP_DNS;
    return mapping->from_inside && mapping->from_outside ? POD_UDP_BOTH : POD_UDP_ONCE;
}

static void sweep(struct pod_timer *timer)
{
    int64_t now = pod_loop_now();
    struct pod_udp_owner *next_owner;

    for (struct pod_udp_owner *owner = table.owners; owner; owner = next_owner) {
        struct pod_mapping *next;
        next_owner = owner->next;
        for (struct pod_mapping *mapping = owner->oldest; mapping; mapping = next) {
            next = mapping->newer;
            if (now - mapping->used >= lifetime(mapping))
                end_mapping(mapping);
        }
        owner_done(owner);
    }
    pod_batch_rest();
    if (table.count)
        pod_loop_ring_at(table.world->loop, timer, now + SWEEP);
}

void pod_mappings_forget(struct pod_box *box, struct pod_end *end, struct pod_udp_port *port)
{
    struct pod_udp_owner *owner = table.owners;
    struct pod_mapping *next;

    while (owner && owner->box != box)
        owner = owner->next;
    if (!owner)
        return;
    for (struct pod_mapping *mapping = owner->oldest; mapping; mapping = next) {
        next = mapping->newer;
        if ((!end || mapping->end == end) && (!port || mapping->port == port))
            end_mapping(mapping);
    }
    owner_done(owner);
}

int pod_mapping_count(void)
{
    return table.count;
}

int pod_mappings_open(struct pod_world *world, struct pod_err *err)
{
    struct rlimit limit = {1024, 1024};

    if (getrandom(&table.seed, sizeof table.seed, 0) != sizeof table.seed)
        return pod_fail(err, POD_NETWORK, "getrandom");
    getrlimit(RLIMIT_NOFILE, &limit);
    table.world = world;
    table.sweep.rings = sweep;
    table.most = limit.rlim_cur / 4 > POD_UDP_MAX ? POD_UDP_MAX : (int)(limit.rlim_cur / 4);
    return 0;
}
