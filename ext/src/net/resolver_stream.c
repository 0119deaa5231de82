/* Clients that ask by TCP (RFC 7766): one question after the other of a connection, each answered before the next is read. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver_parts.h"

#define IDLE \
    (10 * POD_DNS_SECOND) /* without a whole question, or with an answer that nobody takes */
#define PATIENCE (15 * POD_DNS_SECOND) /* while others are asked: they end first */
#define TURN 16 /* connections in one turn */

struct pod_stream {
    struct pod_dns_ring ring;
    struct pod_resolver *resolver;
    struct pod_asker *asker, *socket;
    struct pod_watch watch;
    int64_t due;
    int waits; /* for others */
    size_t have, sent, length; /* of IN; of OUT */
    uint8_t *out;
    uint8_t in[2 + POD_DNS_QUESTION];
};

static void let_go(struct pod_stream *stream)
{
    stream->resolver->held -= stream->out ? stream->length : 0;
    free(stream->out);
    stream->out = NULL;
    stream->length = stream->sent = 0;
}

static void end(struct pod_stream *stream)
{
    struct pod_resolver *resolver = stream->resolver;

    if (stream->waits)
        pod_upstream_forget(resolver, NULL, stream);
    let_go(stream);
    pod_loop_forget(resolver->world->loop, &stream->watch);
    close(stream->watch.fd);
    pod_dns_unlink(&stream->ring);
    stream->asker->streams--;
    resolver->stream_count--;
    free(stream);
}

static void watch_for(struct pod_stream *stream, uint32_t events)
{
    struct pod_err err;

    pod_loop_change(stream->resolver->world->loop, &stream->watch, events, &err);
}

/* As much of LENGTH and the answer as the socket takes, the rest is kept. -1: the connection is of no use. */
static int send_answer(struct pod_stream *stream, const uint8_t *answer, size_t length)
{
    uint8_t head[2];
    struct iovec parts[2] = {{.iov_base = head, .iov_len = 2},
                             {.iov_base = (void *)(uintptr_t)answer, .iov_len = length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    size_t whole = length + 2;
    ssize_t sent;

    pod_dns_put16(head, (unsigned)length);
    sent = sendmsg(stream->watch.fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return -1;
    stream->due = pod_loop_now() + IDLE;
    sent = sent < 0 ? 0 : sent;
    if ((size_t)sent == whole)
        return 0;
    if (stream->resolver->held + whole > POD_DNS_HELD || !(stream->out = malloc(whole)))
        return -1;
    memcpy(stream->out, head, 2);
    memcpy(stream->out + 2, answer, length);
    stream->length = whole;
    stream->sent = (size_t)sent;
    stream->resolver->held += whole;
    return 0;
}

static int send_rest(struct pod_stream *stream)
{
    ssize_t sent = send(stream->watch.fd, stream->out + stream->sent, stream->length - stream->sent,
                        MSG_NOSIGNAL);

    if (sent < 0)
        return errno == EAGAIN ? 0 : -1;
    stream->sent += (size_t)sent;
    if (stream->sent == stream->length)
        let_go(stream);
    return 0;
}

static size_t whole(const struct pod_stream *stream)
{
    return stream->have < 2 ? SIZE_MAX : pod_dns_u16(stream->in) + 2u;
}

/* Answers what IN has whole. -1: the connection has to end. */
static int answer_all(struct pod_stream *stream)
{
    uint8_t *answer = stream->resolver->out[0]; /* of datagrams, none of which is at work now */

    while (!stream->waits && !stream->out && stream->have >= whole(stream)) {
        size_t used = whole(stream), length;
        struct pod_waiter waiter = {
            .asker = stream->asker, .socket = stream->socket, .stream = stream, .fd = -1};
        length =
            pod_resolver_answer(stream->resolver, &waiter, stream->socket->box != NULL,
                                stream->in + 2, used - 2, answer, sizeof stream->resolver->out);
        if (!length && !waiter.room)
            return -1; /* no question */
        stream->have -= used;
        memmove(stream->in, stream->in + used, stream->have);
        stream->waits = !length;
        if (length && send_answer(stream, answer, length))
            return -1;
        if (!length)
            stream->due = pod_loop_now() + PATIENCE;
    }
    watch_for(stream, stream->out ? EPOLLOUT : stream->waits ? 0 : EPOLLIN);
    return 0;
}

static int read_some(struct pod_stream *stream)
{
    ssize_t got;

    if (stream->have == sizeof stream->in ||
        (stream->have >= 2 && whole(stream) > sizeof stream->in))
        return -1;
    got = recv(stream->watch.fd, stream->in + stream->have, sizeof stream->in - stream->have, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    stream->have += (size_t)got;
    return 0;
}

static void ready(struct pod_watch *watch, uint32_t events)
{
    struct pod_stream *stream = POD_OF(watch, struct pod_stream, watch);
    int failed = (events & (EPOLLERR | EPOLLHUP)) != 0;

    if (!failed && (events & EPOLLOUT) && stream->out)
        failed = send_rest(stream);
    if (!failed && (events & EPOLLIN) && !stream->out && !stream->waits)
        failed = read_some(stream);
    if (failed || answer_all(stream))
        end(stream);
}

void pod_stream_answer(struct pod_resolver *resolver, struct pod_stream *stream,
                       const uint8_t *answer, size_t length)
{
    (void)resolver;
    stream->waits = 0;
    if (send_answer(stream, answer, length) || answer_all(stream))
        end(stream);
}

static struct pod_stream *make(struct pod_asker *socket, struct pod_asker *asker, int fd)
{
    struct pod_stream *stream = calloc(1, sizeof *stream);
    struct pod_err err;

    if (!stream)
        return NULL;
    stream->resolver = socket->resolver;
    stream->socket = socket;
    stream->asker = asker;
    stream->watch.fd = fd;
    stream->watch.ready = ready;
    stream->due = pod_loop_now() + IDLE;
    if (pod_loop_watch(socket->resolver->world->loop, &stream->watch, EPOLLIN, &err)) {
        free(stream);
        return NULL;
    }
    pod_dns_link(&socket->resolver->streams, &stream->ring);
    asker->streams++;
    socket->resolver->stream_count++;
    return stream;
}

/* Who has too many, or is nobody here, is hung up on at once. */
void pod_stream_accept(struct pod_watch *watch, uint32_t events)
{
    struct pod_dns_socket *listener = POD_OF(watch, struct pod_dns_socket, watch);
    struct pod_asker *socket = listener->asker, *asker;
    struct pod_resolver *resolver = socket->resolver;

    (void)events;
    for (int i = 0; i < TURN; i++) {
        union pod_dns_place from;
        socklen_t length = sizeof from;
        int fd;
        memset(&from, 0, sizeof from);
        fd = accept4(watch->fd, &from.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            break;
        asker = pod_resolver_asker(socket, &from);
        if (!asker || asker->streams >= POD_DNS_STREAMS_EACH ||
            resolver->stream_count >= POD_DNS_STREAMS ||
            (resolver->stream_count >= POD_DNS_STREAMS / 2 && asker->streams >= POD_DNS_FEW) ||
            !make(socket, asker, fd))
            close(fd);
    }
    pod_resolver_tick(resolver);
}

void pod_stream_tick(struct pod_resolver *resolver, int64_t now)
{
    for (struct pod_dns_ring *ring = resolver->streams.next, *next; ring != &resolver->streams;
         ring = next) {
        struct pod_stream *stream = POD_OF(ring, struct pod_stream, ring);
        next = ring->next;
        if (now >= stream->due)
            end(stream);
    }
}

void pod_stream_forget(struct pod_resolver *resolver, const struct pod_asker *asker)
{
    for (struct pod_dns_ring *ring = resolver->streams.next, *next; ring != &resolver->streams;
         ring = next) {
        struct pod_stream *stream = POD_OF(ring, struct pod_stream, ring);
        next = ring->next;
        if (stream->asker == asker || stream->socket == asker)
            end(stream);
    }
}
