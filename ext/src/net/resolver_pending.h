/* A question under way to servers: shared by resolver_upstream.c, which asks, and resolver_attempt.c, which does so by TCP. */
#ifndef POD_RESOLVER_PENDING_H
#define POD_RESOLVER_PENDING_H

#include "resolver_parts.h"

#define POD_DNS_SHARED 4 /* who waits for one and the same */

struct pod_pending;

struct pod_attempt {
    struct pod_watch watch;
    struct pod_pending *pending;
    uint8_t failed, lies;
    uint16_t id;
    /* of TCP: */
    size_t sent, have, room;
    uint8_t *in;
};

struct pod_pending {
    struct pod_dns_ring ring;
    struct pod_resolver *resolver;
    struct pod_asker *asker;
    int64_t end, next;
    struct pod_dns_server servers[POD_SERVERS];
    struct pod_attempt attempts[POD_SERVERS];
    int count, turn, stream, code;
    struct pod_waiter waiters[POD_DNS_SHARED];
    int waiter_count;
    uint16_t question; /* bytes of head and question */
    uint16_t length;
    uint8_t query[]; /* two bytes of length before it, as TCP has it */
};

static inline uint8_t *pod_pending_message(struct pod_pending *pending)
{
    return pending->query + 2;
}

/* Two bytes of length, then the message. -1: this server has failed. */
int pod_attempt_write(struct pod_attempt *attempt);
/* 1: the answer is whole, after its two bytes of length. */
int pod_attempt_read(struct pod_attempt *attempt);

#endif
