/* A server asked by TCP. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "resolver_pending.h"

#define ANSWER_MAX 65535
#define FIRST_ROOM 2048

int pod_attempt_write(struct pod_attempt *attempt)
{
    struct pod_pending *pending = attempt->pending;
    size_t whole = pending->length + 2u;
    ssize_t sent;
    struct pod_err err;

    pod_dns_put16(pending->query, pending->length);
    pod_dns_put16(pod_pending_message(pending), attempt->id);
    sent = send(attempt->watch.fd, pending->query + attempt->sent, whole - attempt->sent,
                MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN ? 0 : -1;
    attempt->sent += (size_t)sent;
    return attempt->sent < whole
               ? 0
               : pod_loop_change(pending->resolver->world->loop, &attempt->watch, EPOLLIN, &err);
}

/* Room as it fills, not as the peer says: its length costs nothing until the bytes are there. */
static int grow(struct pod_attempt *attempt)
{
    struct pod_resolver *resolver = attempt->pending->resolver;
    size_t room = attempt->room ? attempt->room * 2 : FIRST_ROOM;
    uint8_t *in;

    if (attempt->have < attempt->room)
        return 0;
    if (room > ANSWER_MAX + 2)
        room = ANSWER_MAX + 2;
    if (resolver->held + room - attempt->room > POD_DNS_HELD || !(in = realloc(attempt->in, room)))
        return -1;
    resolver->held += room - attempt->room;
    attempt->in = in;
    attempt->room = room;
    return 0;
}

int pod_attempt_read(struct pod_attempt *attempt)
{
    size_t whole = 2;
    ssize_t got;

    if (grow(attempt))
        return -1;
    if (attempt->have >= 2)
        whole += pod_dns_u16(attempt->in);
    if (whole > attempt->room)
        whole = attempt->room;
    got = recv(attempt->watch.fd, attempt->in + attempt->have, whole - attempt->have, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    attempt->have += (size_t)got;
    return attempt->have >= 2 && attempt->have == pod_dns_u16(attempt->in) + 2u;
}
