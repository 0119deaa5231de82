/* Bytes from one socket of a pair to the other. Little is copied (recv, send); who fills the buffer gets a pipe, and the bytes stay
 * in the kernel (splice). Half-close, resets and back-pressure pass through: what the receiver does not take is not read. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "splice.h"

#define COPY 16384 /* more than that at once, and a pipe pays */
#define SPLICE (1 << 20)
#define ROUNDS 8 /* reads of one side before others have their turn */

void pod_pairs_init(struct pod_pairs *pairs, struct pod_loop *loop)
{
    *pairs = (struct pod_pairs){.loop = loop};
    pairs->head.next = pairs->head.before = &pairs->head;
}

static int holds(const struct pod_side *side)
{
    return side->piped || side->rest;
}

static void detach(struct pod_pair *pair)
{
    struct pod_pairs *pairs = pair->pairs;

    for (int i = 0; i < 2; i++) {
        struct pod_side *side = &pair->side[i];
        pod_loop_forget(pairs->loop, &side->watch);
        pod_pipe_give(side->pipe, !side->piped);
        free(side->rest);
    }
    pair->before->next = pair->next;
    pair->next->before = pair->before;
    pairs->count--;
}

void pod_pair_end(struct pod_pair *pair, int reset)
{
    struct pod_pairs *pairs = pair->pairs;
    struct linger now = {.l_onoff = 1};
    uint32_t serial = pair->serial;

    detach(pair);
    for (int i = 0; i < 2; i++) {
        if (reset)
            setsockopt(pair->side[i].watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(pair->side[i].watch.fd);
    }
    free(pair);
    pairs->ended(pairs, serial);
}

void pod_pair_leave(struct pod_pair *pair, struct pod_hand *hand, int fds[2])
{
    *hand = (struct pod_hand){.address = pair->address, .serial = pair->serial};
    for (int i = 0; i < 2; i++) {
        fds[i] = pair->side[i].watch.fd;
        hand->eof[i] = pair->side[i].eof;
        hand->shut[i] = pair->side[i].shut;
    }
    detach(pair);
    free(pair);
}

void pod_pairs_gone(struct pod_pairs *pairs, uint32_t serial, const struct in6_addr *address)
{
    for (struct pod_pair *pair = pairs->head.next, *next; pair != &pairs->head; pair = next) {
        next = pair->next;
        if (pair->serial == serial && (!address || pod_same_address(&pair->address, address)))
            pod_pair_end(pair, 1);
    }
}

/* What SIDE holds, to TO. 0 also where the other side takes no more now. */
static int flush(struct pod_side *side, const struct pod_side *to)
{
    while (side->rest) {
        ssize_t sent = send(to->watch.fd, side->rest + side->rest_at,
                            side->rest_end - side->rest_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        side->rest_at += (uint32_t)sent;
        if (side->rest_at == side->rest_end) {
            free(side->rest);
            side->rest = NULL;
        }
    }
    while (side->piped) {
        ssize_t sent = splice(side->pipe[0], NULL, to->watch.fd, NULL, side->piped,
                              SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (sent <= 0)
            return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
        side->piped -= (uint32_t)sent;
    }
    return 0;
}

static int keep_rest(struct pod_side *side, const uint8_t *bytes, size_t length)
{
    if (!(side->rest = malloc(length)))
        return -1;
    memcpy(side->rest, bytes, length);
    side->rest_at = 0;
    side->rest_end = (uint32_t)length;
    return 0;
}

/* How many bytes were read; 0: no more for now (or the end); -1: it broke. */
static ssize_t copy(struct pod_side *side, const struct pod_side *to)
{
    static uint8_t buffer[COPY];
    ssize_t got = recv(side->watch.fd, buffer, sizeof buffer, MSG_DONTWAIT), sent;

    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (!got)
        side->eof = 1;
    if (!got)
        return 0;
    sent = send(to->watch.fd, buffer, (size_t)got, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return -1;
    sent = sent < 0 ? 0 : sent;
    if (sent < got && keep_rest(side, buffer + sent, (size_t)(got - sent)))
        return -1;
    side->bulk = got == sizeof buffer;
    return got;
}

static ssize_t move(struct pod_side *side, const struct pod_side *to)
{
    ssize_t got;

    if (side->pipe[0] < 0 && pod_pipe_take(side->pipe))
        return copy(side, to);
    got = splice(side->watch.fd, NULL, side->pipe[1], NULL, SPLICE,
                 SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (!got)
        side->eof = 1;
    side->piped += (uint32_t)got;
    side->bulk = got >= COPY;
    return got && flush(side, to) ? -1 : got;
}

/* Reads from side I as long as the other takes it. 0; 1: the pair is somebody else's now; -1: it broke. */
static int pump(struct pod_pair *pair, int i)
{
    struct pod_side *side = &pair->side[i], *to = &pair->side[!i];

    if (flush(side, to))
        return -1;
    for (int round = 0; round < ROUNDS && !holds(side) && !side->eof; round++) {
        if (pair->moved >= POD_HEAVY && pair->pairs->heavy && !holds(to)) {
            pair->moved = 0;
            if (pair->pairs->heavy(pair->pairs, pair))
                return 1;
        }
        ssize_t got = side->bulk ? move(side, to) : copy(side, to);
        if (got < 0)
            return -1;
        pair->moved += (uint32_t)got;
        if (got < COPY)
            break;
    }
    if (side->eof && !holds(side) && !side->shut) {
        shutdown(to->watch.fd, SHUT_WR);
        side->shut = 1;
    }
    if (!side->piped)
        pod_pipe_give(side->pipe, 1);
    return 0;
}

static int watch(struct pod_pair *pair, int i)
{
    struct pod_side *side = &pair->side[i];
    struct pod_err err;
    uint32_t events = 0;

    if (!side->eof && !holds(side))
        events |= EPOLLIN;
    if (holds(&pair->side[!i]))
        events |= EPOLLOUT;
    if (side->hung_up || (side->watched && events == side->events))
        return 0;
    int failed = side->watched ? pod_loop_change(pair->pairs->loop, &side->watch, events, &err)
                               : pod_loop_watch(pair->pairs->loop, &side->watch, events, &err);
    side->events = events;
    side->watched = 1;
    return failed;
}

static void ready(struct pod_watch *watched, uint32_t events)
{
    struct pod_side *side = (struct pod_side *)watched;
    struct pod_pair *pair =
        (struct pod_pair *)((char *)(side - side->which) - offsetof(struct pod_pair, side));
    int i = side->which, error = 0;
    socklen_t size = sizeof error;

    if (!(side->events & EPOLLIN) && (events & EPOLLERR) &&
        !getsockopt(watched->fd, SOL_SOCKET, SO_ERROR, &error, &size) && error) {
        pod_pair_end(pair, 1);
        return;
    }
    if (!side->events && (events & EPOLLHUP)) {
        /* Nothing more is to be had of it, and the kernel would say so again and again. */
        pod_loop_forget(pair->pairs->loop, watched);
        side->hung_up = 1;
        return;
    }
    int done = events & EPOLLOUT ? pump(pair, !i) : 0;
    if (!done && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && (side->events & EPOLLIN))
        done = pump(pair, i);
    if (done > 0)
        return;
    if (done < 0)
        pod_pair_end(pair, 1);
    else if (pair->side[0].shut && pair->side[1].shut)
        pod_pair_end(pair, 0);
    else if (watch(pair, i) || watch(pair, !i))
        pod_pair_end(pair, 1);
}

int pod_pair_add(struct pod_pairs *pairs, const struct pod_hand *hand, const int fds[2],
                 struct pod_err *err)
{
    struct pod_pair *pair = calloc(1, sizeof *pair);

    if (!pair)
        return pod_fail(err, POD_MEMORY, "connection");
    pair->pairs = pairs;
    pair->address = hand->address;
    pair->serial = hand->serial;
    for (int i = 0; i < 2; i++)
        pair->side[i] = (struct pod_side){.watch = {.fd = fds[i], .ready = ready},
                                          .pipe = {-1, -1},
                                          .which = (uint8_t)i,
                                          .eof = hand->eof[i],
                                          .shut = hand->shut[i]};
    pair->before = pairs->head.before;
    pair->next = &pairs->head;
    pair->before->next = pair->next->before = pair;
    pairs->count++;
    if (watch(pair, 0) || watch(pair, 1)) {
        detach(pair);
        free(pair);
        return pod_fail(err, POD_WAIT, "connection");
    }
    return 0;
}
