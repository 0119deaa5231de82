/* What the parts of the resolver share. A question comes by a socket (resolver.c) or a stream (resolver_stream.c), is answered from
 * what the world knows (resolver_names.c) or asked of others (resolver_upstream.c).
 *
 * Bounds: POD_DNS_WAITING questions of foreign names in all, POD_DNS_WAITING_EACH of one that asks, as many sockets for them as
 * pod_resolver_open found; from the half on only who has few (POD_DNS_FEW) gets more, so that who floods does not shut others out. */
#ifndef POD_RESOLVER_PARTS_H
#define POD_RESOLVER_PARTS_H

#include "resolver_conf.h"
#include "resolver_message.h"
#include "world.h"

#define POD_DNS_BATCH 32 /* datagrams of one socket in one turn */
#define POD_DNS_WAITING 768
#define POD_DNS_WAITING_EACH 192
#define POD_DNS_STREAMS 128
#define POD_DNS_STREAMS_EACH 32
#define POD_DNS_FEW 16
#define POD_DNS_HELD (1 << 20) /* bytes of answers over TCP on their way, both directions */
#define POD_DNS_QUEUES 4 /* sockets of one gateway address: who floods fills one of them */
#define POD_DNS_TICK 100 /* ms */
#ifndef POD_DNS_SECOND
#define POD_DNS_SECOND 1000 /* ms; tests have shorter ones */
#endif
#define POD_DNS_TURNS 64

#define POD_OF(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

struct pod_resolver;
struct pod_asker;

struct pod_dns_socket {
    struct pod_watch watch;
    struct pod_asker *asker;
};

/* A container, or a bridge whose gateway address is asked; those at the gateway count as their container where it is known. */
struct pod_asker {
    struct pod_resolver *resolver;
    struct pod_box *box; /* one of the two */
    struct pod_net *net;
    struct pod_dns_socket udp[2 * POD_DNS_QUEUES], listener[2]; /* of a bridge: IPv4, IPv6 */
    int waiting, streams;
};

struct pod_stream;

/* Whom an answer goes to. */
struct pod_waiter {
    struct pod_asker *asker, *socket; /* who it counts as · whose socket it came by */
    struct pod_stream *stream; /* or, where NULL, by FD to FROM */
    int fd; /* -1 of a stream */
    uint16_t id, room;
    union pod_dns_place from;
};

struct pod_dns_ring {
    struct pod_dns_ring *next, *before;
};

struct pod_resolver {
    struct pod_world *world;
    struct pod_timer tick;
    struct pod_dns_ring pending, streams; /* heads */
    int waiting, stream_count;
    int sockets, sockets_most; /* to servers */
    size_t held;
    unsigned turns[POD_DNS_TURNS]; /* round robin, by the name's hash */
    unsigned first; /* option rotate */
    struct pod_dns_conf conf;
    uint8_t in[POD_DNS_BATCH][POD_DNS_QUESTION], out[POD_DNS_BATCH][POD_DNS_ROOM];
    union pod_dns_place from[POD_DNS_BATCH];
};

static inline void pod_dns_link(struct pod_dns_ring *head, struct pod_dns_ring *one)
{
    one->next = head;
    one->before = head->before;
    one->before->next = head->before = one;
}

static inline void pod_dns_unlink(struct pod_dns_ring *one)
{
    one->before->next = one->next;
    one->next->before = one->before;
}

/* resolver.c: an answer of ROOM bytes at most to one question, at once; its length, or 0: none, or later to WAITER (its ID and ROOM
 * are filled in here). NAMES: those of the world, too. */
size_t pod_resolver_answer(struct pod_resolver *resolver, struct pod_waiter *waiter, int names,
                           const uint8_t *packet, size_t length, uint8_t *answer, size_t room);
/* To who waited; of LENGTH bytes, the id is set here. */
void pod_resolver_deliver(struct pod_resolver *resolver, const struct pod_waiter *waiter,
                          uint8_t *answer, size_t length, size_t question);
/* Who counts for a source: a container of the bridge, else the bridge; NULL: it is none of this bridge. */
struct pod_asker *pod_resolver_asker(struct pod_asker *socket, const union pod_dns_place *from);
void pod_resolver_tick(struct pod_resolver *resolver);

/* resolver_names.c: 1 with REPLY begun and filled, or 0: the world knows nothing of it. */
int pod_names_answer(struct pod_resolver *resolver, const struct pod_box *box,
                     const uint8_t *packet, const struct pod_question *question,
                     struct pod_reply *reply, uint8_t *bytes, size_t room);
/* Whether a container may ask others: it is on a network that is not internal. */
int pod_names_recurses(const struct pod_asker *asker);

/* resolver_servers.c: how many there are; none: it may not ask. */
int pod_servers_choose(struct pod_resolver *resolver, const struct pod_asker *asker,
                       struct pod_dns_server servers[POD_SERVERS], int64_t now);

/* resolver_upstream.c: 0, and an answer comes; or the code to answer with; -1: it is being asked for this waiter already. */
int pod_upstream_ask(struct pod_resolver *resolver, const struct pod_waiter *waiter,
                     const uint8_t *packet, size_t length, const struct pod_question *question);
void pod_upstream_tick(struct pod_resolver *resolver, int64_t now);
/* Nobody waits there any more: all of an asker, or a stream. */
void pod_upstream_forget(struct pod_resolver *resolver, const struct pod_asker *asker,
                         const struct pod_stream *stream);

/* resolver_stream.c */
void pod_stream_accept(struct pod_watch *watch, uint32_t events);
/* The answer that it waited for. */
void pod_stream_answer(struct pod_resolver *resolver, struct pod_stream *stream,
                       const uint8_t *answer, size_t length);
void pod_stream_tick(struct pod_resolver *resolver, int64_t now);
void pod_stream_forget(struct pod_resolver *resolver, const struct pod_asker *asker);

#endif
