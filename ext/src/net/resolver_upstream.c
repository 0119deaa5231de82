/* Foreign names: asked of the servers of the host's resolv.conf, or of --dns, from the host's network namespace.
 *
 * Each question has a socket of its own for each server, connected: the kernel chooses its port at random and lets only that
 * server's answers in. Servers are asked in their order, the next one when one refuses or is silent for PAUSE; earlier ones may
 * still answer. By UDP as by TCP, as the client asked (who gets a cut answer asks again by TCP). */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "resolver_pending.h"

#define PAUSE (3 * POD_DNS_SECOND / 2) /* a client asks again after 5 s */
#define WHOLE (10 * POD_DNS_SECOND) /* then SERVFAIL */
#define ROUNDS 3 /* how often each server is asked */
#define LIES 32 /* wrong answers at one socket, then its server has failed */
#define READS 8 /* datagrams of one socket in one turn */

static void close_attempt(struct pod_attempt *attempt)
{
    struct pod_resolver *resolver = attempt->pending->resolver;

    if (attempt->watch.fd < 0)
        return;
    pod_loop_forget(resolver->world->loop, &attempt->watch);
    close(attempt->watch.fd);
    attempt->watch.fd = -1;
    resolver->sockets--;
    resolver->held -= attempt->room;
    free(attempt->in);
    attempt->in = NULL;
    attempt->room = 0;
}

static void end(struct pod_pending *pending)
{
    for (int i = 0; i < pending->count; i++)
        close_attempt(&pending->attempts[i]);
    for (int i = 0; i < pending->waiter_count; i++)
        pending->waiters[i].asker->waiting--;
    pending->resolver->waiting -= pending->waiter_count;
    pod_dns_unlink(&pending->ring);
    free(pending);
}

/* Ended before the answer goes out: whoever hears it may ask the next at once. */
static void finish(struct pod_pending *pending, uint8_t *answer, size_t length)
{
    struct pod_waiter waiters[POD_DNS_SHARED];
    struct pod_resolver *resolver = pending->resolver;
    int count = pending->waiter_count;
    size_t question = pending->question;

    memcpy(waiters, pending->waiters, sizeof waiters);
    end(pending);
    for (int i = 0; i < count; i++)
        pod_resolver_deliver(resolver, &waiters[i], answer, length, question);
}

static void finish_failed(struct pod_pending *pending)
{
    uint8_t answer[POD_DNS_LEAST];
    size_t length = pending->question;

    memcpy(answer, pod_pending_message(pending), length);
    answer[2] = (uint8_t)(0x80 | (answer[2] & 0x01));
    answer[3] = (uint8_t)(0x80 | (answer[3] & 0x10) | pending->code);
    memset(answer + 6, 0, 6);
    finish(pending, answer, length);
}

/* --- one server ------------------------------------------------------------------------------------------------- */

static void attempt_ready(struct pod_watch *watch, uint32_t events);

static int attempt_open(struct pod_pending *pending, struct pod_attempt *attempt,
                        const struct pod_dns_server *server)
{
    struct pod_world *world = pending->resolver->world;
    int type = pending->stream ? SOCK_STREAM : SOCK_DGRAM, family = server->place.any.sa_family;
    struct pod_err err;

    attempt->watch.fd = server->inside ? pod_holder_socket(world->holder, family, type, 0, &err)
                                       : socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    attempt->watch.ready = attempt_ready;
    if (attempt->watch.fd < 0)
        return -1;
    if ((connect(attempt->watch.fd, &server->place.any, pod_dns_place_length(&server->place)) &&
         errno != EINPROGRESS) ||
        getrandom(&attempt->id, sizeof attempt->id, GRND_NONBLOCK) != sizeof attempt->id ||
        pod_loop_watch(world->loop, &attempt->watch, pending->stream ? EPOLLOUT : EPOLLIN, &err)) {
        close(attempt->watch.fd);
        attempt->watch.fd = -1;
        return -1;
    }
    pending->resolver->sockets++;
    return 0;
}

/* From the half on for those alone who have few. */
static int may_open(const struct pod_resolver *resolver, const struct pod_asker *asker)
{
    return resolver->sockets < resolver->sockets_most &&
           (resolver->sockets < resolver->sockets_most / 2 || asker->waiting < POD_DNS_FEW);
}

static int attempt_send(struct pod_pending *pending, struct pod_attempt *attempt,
                        const struct pod_dns_server *server)
{
    if (attempt->watch.fd < 0 && attempt_open(pending, attempt, server))
        return -1;
    if (pending->stream)
        return 0; /* when it is connected */
    pod_dns_put16(pod_pending_message(pending), attempt->id);
    return send(attempt->watch.fd, pod_pending_message(pending), pending->length, MSG_NOSIGNAL) <
                       0 &&
                   errno != EAGAIN && errno != ENOBUFS
               ? -1
               : 0;
}

/* Asks the next server that has not failed. -1: there is none. */
static int ask_next(struct pod_pending *pending, int64_t now)
{
    pending->next = now + PAUSE;
    for (int i = 0; i < pending->count && pending->turn < ROUNDS * pending->count; i++) {
        int which = pending->turn++ % pending->count;
        struct pod_attempt *attempt = &pending->attempts[which];
        if (attempt->failed ||
            (attempt->watch.fd < 0 && !may_open(pending->resolver, pending->asker)))
            continue;
        if (!attempt_send(pending, attempt, &pending->servers[which]))
            return 0;
        attempt->failed = 1;
        close_attempt(attempt);
    }
    for (int i = 0; i < pending->count; i++)
        if (!pending->attempts[i].failed)
            return 0;
    return -1;
}

static void attempt_failed(struct pod_attempt *attempt, int code)
{
    struct pod_pending *pending = attempt->pending;
    int others = 0;

    attempt->failed = 1;
    close_attempt(attempt);
    pending->code = code;
    for (int i = 0; i < pending->count; i++)
        others |= pending->attempts[i].watch.fd >= 0;
    /* Another one is being asked: it has its time. */
    if (others && pending->turn >= pending->count)
        return;
    if (ask_next(pending, pod_loop_now()))
        finish_failed(pending);
}

/* An answer that is ours to judge: passes it on, or takes the next server. */
static void attempt_answered(struct pod_attempt *attempt, uint8_t *answer, size_t length)
{
    struct pod_pending *pending = attempt->pending;
    int code = pod_dns_check(pod_pending_message(pending), pending->question, answer, &length);

    if (code < 0 || code == POD_DNS_SERVFAIL || code == POD_DNS_NOTIMP || code == POD_DNS_REFUSED) {
        attempt_failed(attempt, code < 0 ? POD_DNS_SERVFAIL : code);
        return;
    }
    /* Without its question (FORMERR): this server's, but not what a client takes. */
    if (length < pending->question) {
        pending->code = code;
        finish_failed(pending);
        return;
    }
    for (int i = 0; i < pending->count; i++)
        if (&pending->attempts[i] != attempt && pending->attempts[i].watch.fd >= 0)
            pod_dns_conf_slow(&pending->resolver->conf, &pending->servers[i], pod_loop_now());
    finish(pending, answer, length);
}

/* Whether it is an answer to what was asked: by id and question. Others are somebody's guesses. */
static int is_answer(struct pod_attempt *attempt, const uint8_t *answer, size_t length)
{
    struct pod_pending *pending = attempt->pending;

    return length >= POD_DNS_HEAD && pod_dns_u16(answer) == attempt->id &&
           pod_dns_answers(pod_pending_message(pending), pending->question, answer, length);
}

static void read_datagram(struct pod_attempt *attempt)
{
    struct pod_resolver *resolver = attempt->pending->resolver;
    uint8_t *answer = resolver->in[0];

    for (int i = 0; i < READS; i++) {
        ssize_t length = recv(attempt->watch.fd, answer, sizeof resolver->in, MSG_TRUNC);
        if (length < 0) {
            if (errno != EAGAIN && errno != EINTR)
                attempt_failed(attempt, POD_DNS_SERVFAIL); /* ICMP: nobody is there */
            return;
        }
        if ((size_t)length > sizeof resolver->in)
            length = (ssize_t)pod_dns_cut(answer, attempt->pending->question);
        if (is_answer(attempt, answer, (size_t)length)) {
            attempt_answered(attempt, answer, (size_t)length);
            return;
        }
        if (++attempt->lies >= LIES) {
            attempt_failed(attempt, POD_DNS_SERVFAIL);
            return;
        }
    }
}

static void attempt_ready(struct pod_watch *watch, uint32_t events)
{
    struct pod_attempt *attempt = POD_OF(watch, struct pod_attempt, watch);
    int state;

    if (!attempt->pending->stream) {
        read_datagram(attempt);
        return;
    }
    state = events & EPOLLOUT ? pod_attempt_write(attempt) : pod_attempt_read(attempt);
    if (state < 0) {
        attempt_failed(attempt, POD_DNS_SERVFAIL);
    } else if (state > 0) {
        uint8_t *in = attempt->in;
        size_t length = attempt->have - 2;
        if (!is_answer(attempt, in + 2, length)) {
            attempt_failed(attempt, POD_DNS_SERVFAIL);
            return;
        }
        /* Out of the attempt, which ends before the answer is delivered. */
        attempt->pending->resolver->held -= attempt->room;
        attempt->in = NULL;
        attempt->room = 0;
        attempt_answered(attempt, in + 2, length);
        free(in);
    }
}

/* --- questions -------------------------------------------------------------------------------------------------- */

static int same_waiter(const struct pod_waiter *one, const struct pod_waiter *other)
{
    return one->id == other->id && !memcmp(&one->from, &other->from, sizeof one->from);
}

/* The same bytes from the same socket and container, under way: 1 with the waiter added, -1 where it waits already, 0: ask. */
static int share(struct pod_resolver *resolver, const struct pod_waiter *waiter,
                 const uint8_t *packet, size_t length)
{
    for (struct pod_dns_ring *ring = resolver->pending.next; ring != &resolver->pending;
         ring = ring->next) {
        struct pod_pending *pending = POD_OF(ring, struct pod_pending, ring);
        if (pending->asker != waiter->asker || pending->waiters[0].fd != waiter->fd ||
            pending->length != length ||
            memcmp(pod_pending_message(pending) + 2, packet + 2, length - 2))
            continue;
        for (int i = 0; i < pending->waiter_count; i++)
            if (same_waiter(&pending->waiters[i], waiter))
                return -1;
        if (pending->waiter_count == POD_DNS_SHARED)
            continue;
        pending->waiters[pending->waiter_count++] = *waiter;
        return 1;
    }
    return 0;
}

static int admitted(const struct pod_resolver *resolver, const struct pod_asker *asker)
{
    return may_open(resolver, asker) && resolver->waiting < POD_DNS_WAITING &&
           asker->waiting < POD_DNS_WAITING_EACH &&
           (resolver->waiting < POD_DNS_WAITING / 2 || asker->waiting < POD_DNS_FEW);
}

static struct pod_pending *make(struct pod_resolver *resolver, const struct pod_waiter *waiter,
                                const uint8_t *packet, size_t length, uint16_t question,
                                int64_t now)
{
    struct pod_pending *pending = calloc(1, sizeof *pending + length + 2);

    if (!pending)
        return NULL;
    pending->resolver = resolver;
    pending->asker = waiter->asker;
    pending->waiters[0] = *waiter;
    pending->stream = waiter->stream != NULL;
    pending->end = now + WHOLE;
    pending->code = POD_DNS_SERVFAIL;
    pending->question = question;
    pending->length = (uint16_t)length;
    memcpy(pod_pending_message(pending), packet, length);
    for (int i = 0; i < POD_SERVERS; i++) {
        pending->attempts[i].pending = pending;
        pending->attempts[i].watch.fd = -1;
    }
    pod_dns_link(&resolver->pending, &pending->ring);
    pending->count = pod_servers_choose(resolver, waiter->asker, pending->servers, now);
    return pending;
}

int pod_upstream_ask(struct pod_resolver *resolver, const struct pod_waiter *waiter,
                     const uint8_t *packet, size_t length, const struct pod_question *question)
{
    int64_t now = pod_loop_now();
    struct pod_pending *pending;
    int shared = 0, refused;

    if (!admitted(resolver, waiter->asker))
        return POD_DNS_SERVFAIL;
    if (!waiter->stream)
        shared = share(resolver, waiter, packet, length);
    if (shared < 0)
        return -1;
    if (!shared) {
        pending = make(resolver, waiter, packet, length, question->length, now);
        if (!pending)
            return POD_DNS_SERVFAIL;
        refused = !pending->count;
        if (refused || ask_next(pending, now)) {
            end(pending);
            return refused ? POD_DNS_REFUSED : POD_DNS_SERVFAIL;
        }
        pending->waiter_count = 1;
    }
    waiter->asker->waiting++;
    resolver->waiting++;
    pod_resolver_tick(resolver);
    return 0;
}

void pod_upstream_tick(struct pod_resolver *resolver, int64_t now)
{
    for (struct pod_dns_ring *ring = resolver->pending.next, *next; ring != &resolver->pending;
         ring = next) {
        struct pod_pending *pending = POD_OF(ring, struct pod_pending, ring);
        next = ring->next;
        if (now >= pending->end || (now >= pending->next && ask_next(pending, now)))
            finish_failed(pending);
    }
}

void pod_upstream_forget(struct pod_resolver *resolver, const struct pod_asker *asker,
                         const struct pod_stream *stream)
{
    for (struct pod_dns_ring *ring = resolver->pending.next, *next; ring != &resolver->pending;
         ring = next) {
        struct pod_pending *pending = POD_OF(ring, struct pod_pending, ring);
        const struct pod_waiter *first = &pending->waiters[0];
        next = ring->next;
        if (stream ? first->stream == stream : first->asker == asker || first->socket == asker)
            end(pending);
    }
}
