/* The resolver's sockets and their life: datagrams come and go by the batch, answers of the world at once. */
#include "resolver.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver_parts.h"

#define BACKLOG 64
#define SOCKETS 1024 /* to servers; a quarter of what may be open is enough */

/* --- one question ------------------------------------------------------------------------------------------------ */

static size_t refuse(uint8_t *answer, size_t room, const uint8_t *packet,
                     const struct pod_question *question, int code)
{
    struct pod_reply reply;

    pod_dns_begin(&reply, answer, room, packet, question, code, code != POD_DNS_REFUSED);
    return pod_dns_finish(&reply);
}

size_t pod_resolver_answer(struct pod_resolver *resolver, struct pod_waiter *waiter, int names,
                           const uint8_t *packet, size_t length, uint8_t *answer, size_t room)
{
    struct pod_question question;
    struct pod_reply reply;
    int code = pod_dns_question(packet, length, &question);

    if (code < 0)
        return 0;
    waiter->id = question.id;
    waiter->room = question.room;
    if (code > 0)
        return pod_dns_refuse(answer, packet, code);
    if (!waiter->stream && room > question.room)
        room = question.room;
    if (question.version)
        return refuse(answer, room, packet, &question, POD_DNS_BADVERS);
    if (names && question.class == 1 &&
        pod_names_answer(resolver, waiter->asker->box, packet, &question, &reply, answer, room))
        return pod_dns_finish(&reply);
    code = pod_upstream_ask(resolver, waiter, packet, length, &question);
    return code > 0 ? refuse(answer, room, packet, &question, code) : 0;
}

void pod_resolver_deliver(struct pod_resolver *resolver, const struct pod_waiter *waiter,
                          uint8_t *answer, size_t length, size_t question)
{
    pod_dns_put16(answer, waiter->id);
    if (waiter->stream) {
        pod_stream_answer(resolver, waiter->stream, answer, length);
        return;
    }
    if (length > waiter->room)
        length = pod_dns_cut(answer, question);
    sendto(waiter->fd, answer, length, MSG_DONTWAIT | MSG_NOSIGNAL, &waiter->from.any,
           pod_dns_place_length(&waiter->from));
}

struct pod_asker *pod_resolver_asker(struct pod_asker *socket, const union pod_dns_place *from)
{
    struct in6_addr address = pod_dns_address_of(from);
    struct pod_end *end;

    if (socket->box)
        return socket;
    if (!pod_subnet_has(&socket->net->v4, &address) && !pod_subnet_has(&socket->net->v6, &address))
        return NULL;
    end = pod_world_address(socket->resolver->world, socket->net, &address);
    return end && end->box->dns ? end->box->dns : socket;
}

/* --- datagrams --------------------------------------------------------------------------------------------------- */

static void send_all(int fd, struct mmsghdr *messages, int count)
{
    while (count > 0) {
        int sent = sendmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
        /* The first is one that cannot be sent (its client is gone, the buffer is full): it asks again. */
        if (sent < 1)
            sent = 1;
        messages += sent;
        count -= sent;
    }
}

static void datagrams(struct pod_watch *watch, uint32_t events)
{
    struct pod_asker *socket = POD_OF(watch, struct pod_dns_socket, watch)->asker;
    struct pod_resolver *resolver = socket->resolver;
    struct mmsghdr messages[POD_DNS_BATCH];
    struct iovec parts[POD_DNS_BATCH];
    int count, answers = 0;

    (void)events;
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < POD_DNS_BATCH; i++) {
        parts[i].iov_base = resolver->in[i];
        parts[i].iov_len = POD_DNS_QUESTION;
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_name = &resolver->from[i];
        messages[i].msg_hdr.msg_namelen = sizeof resolver->from[i];
    }
    memset(resolver->from, 0, sizeof resolver->from);
    count = recvmmsg(watch->fd, messages, POD_DNS_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        struct pod_waiter waiter = {.socket = socket, .fd = watch->fd, .from = resolver->from[i]};
        size_t length;
        waiter.asker = pod_resolver_asker(socket, &resolver->from[i]);
        if (!waiter.asker || (messages[i].msg_hdr.msg_flags & MSG_TRUNC))
            continue;
        length = pod_resolver_answer(resolver, &waiter, socket->box != NULL, resolver->in[i],
                                     messages[i].msg_len, resolver->out[answers], POD_DNS_ROOM);
        if (!length)
            continue;
        parts[answers].iov_base = resolver->out[answers];
        parts[answers].iov_len = length;
        messages[answers].msg_hdr.msg_name = &resolver->from[i];
        messages[answers].msg_hdr.msg_namelen = pod_dns_place_length(&resolver->from[i]);
        messages[answers++].msg_hdr.msg_flags = 0;
    }
    send_all(watch->fd, messages, answers);
}

/* --- time -------------------------------------------------------------------------------------------------------- */

static void ticks(struct pod_timer *timer)
{
    struct pod_resolver *resolver = POD_OF(timer, struct pod_resolver, tick);
    int64_t now = pod_loop_now();

    pod_upstream_tick(resolver, now);
    pod_stream_tick(resolver, now);
    pod_resolver_tick(resolver);
}

/* One timer for all, and none while nobody waits. */
void pod_resolver_tick(struct pod_resolver *resolver)
{
    if (!resolver->tick.due && (resolver->waiting || resolver->stream_count))
        pod_loop_ring_at(resolver->world->loop, &resolver->tick, pod_loop_now() + POD_DNS_TICK);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

int pod_resolver_open(struct pod_world *world, struct pod_err *err)
{
    struct pod_resolver *resolver = calloc(1, sizeof *resolver);
    struct rlimit files;

    if (!resolver)
        return pod_fail(err, POD_MEMORY, "resolver");
    resolver->sockets_most = getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur / 4 > SOCKETS
                                 ? SOCKETS
                                 : (int)(files.rlim_cur / 4);
    resolver->world = world;
    resolver->tick.rings = ticks;
    resolver->pending.next = resolver->pending.before = &resolver->pending;
    resolver->streams.next = resolver->streams.before = &resolver->streams;
    world->resolver = resolver;
    return 0;
}

static struct pod_asker *make(struct pod_world *world, struct pod_box *box, struct pod_net *net,
                              struct pod_err *err)
{
    struct pod_asker *asker = calloc(1, sizeof *asker);

    if (!asker) {
        pod_fail(err, POD_MEMORY, "resolver");
        return NULL;
    }
    asker->resolver = world->resolver;
    asker->box = box;
    asker->net = net;
    for (int i = 0; i < 2 * POD_DNS_QUEUES; i++)
        asker->udp[i] = (struct pod_dns_socket){{.fd = -1, .ready = datagrams}, asker};
    for (int i = 0; i < 2; i++)
        asker->listener[i] = (struct pod_dns_socket){{.fd = -1, .ready = pod_stream_accept}, asker};
    return asker;
}

static void close_socket(struct pod_resolver *resolver, struct pod_watch *watch)
{
    if (watch->fd < 0)
        return;
    pod_loop_forget(resolver->world->loop, watch);
    close(watch->fd);
}

static void unmake(struct pod_asker *asker)
{
    struct pod_resolver *resolver = asker->resolver;

    pod_stream_forget(resolver, asker);
    pod_upstream_forget(resolver, asker, NULL);
    for (int i = 0; i < 2 * POD_DNS_QUEUES; i++)
        close_socket(resolver, &asker->udp[i].watch);
    for (int i = 0; i < 2; i++)
        close_socket(resolver, &asker->listener[i].watch);
    free(asker);
}

/* The socket belongs to the resolver from here on, watched or closed. */
static int take(struct pod_asker *asker, struct pod_dns_socket *place, int fd, struct pod_err *err)
{
    place->watch.fd = fd;
    if (fd < 0)
        return 0;
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
        return pod_fail(err, POD_SOCKET, "resolver");
    return pod_loop_watch(asker->resolver->world->loop, &place->watch, EPOLLIN, err);
}

int pod_resolver_box(struct pod_world *world, struct pod_box *box, int udp, int tcp,
                     struct pod_err *err)
{
    struct pod_asker *asker;

    pod_resolver_box_gone(world, box);
    asker = make(world, box, NULL, err);
    if (!asker) {
        if (udp >= 0)
            close(udp);
        if (tcp >= 0)
            close(tcp);
        return -1;
    }
    if (take(asker, &asker->udp[0], udp, err) | take(asker, &asker->listener[0], tcp, err)) {
        unmake(asker);
        return -1;
    }
    box->dns = asker;
    return 0;
}

void pod_resolver_box_gone(struct pod_world *world, struct pod_box *box)
{
    (void)world;
    if (box->dns)
        unmake(box->dns);
    box->dns = NULL;
}

/* Which of a gateway's sockets a datagram goes to: by the last bits of where it is from. */
static int by_source(int fd, int six)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_NET_OFF + (six ? 20 : 12)),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, POD_DNS_QUEUES - 1),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program = {.len = 3, .filter = code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
}

/* On port 53 of a gateway address, for what comes by this bridge. */
static int gateway_socket(struct pod_world *world, const struct pod_net *net,
                          const struct pod_subnet *subnet, int type, struct pod_err *err)
{
    union pod_dns_place place = {.v4 = {.sin_family = AF_INET, .sin_port = htons(53)}};
    int yes = 1, six = subnet->family == AF_INET6;
    POD_AUTO_FD int fd = pod_holder_socket(world->holder, subnet->family, type, 0, err);

    if (fd < 0)
        return -1;
    if (six) {
        place.v6 = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = htons(53), .sin6_addr = subnet->gateway};
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    } else {
        memcpy(&place.v4.sin_addr, &subnet->gateway.s6_addr[12], 4);
    }
    setsockopt(fd, SOL_SOCKET, type == SOCK_DGRAM ? SO_REUSEPORT : SO_REUSEADDR, &yes, sizeof yes);
    if (setsockopt(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_FREEBIND : IP_FREEBIND, &yes,
                   sizeof yes) ||
        (net->bridge[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, net->bridge,
                                      (socklen_t)strlen(net->bridge))) ||
        bind(fd, &place.any, pod_dns_place_length(&place)) ||
        (type == SOCK_STREAM && listen(fd, BACKLOG)))
        return pod_fail(err, POD_SOCKET, net->bridge);
    return pod_steal_fd(&fd);
}

static int open_gateway(struct pod_world *world, struct pod_asker *asker, int which,
                        const struct pod_subnet *subnet, struct pod_err *err)
{
    int udp, tcp;

    if (!subnet->family || IN6_IS_ADDR_UNSPECIFIED(&subnet->gateway))
        return 0;
    for (int i = 0; i < POD_DNS_QUEUES; i++) {
        udp = gateway_socket(world, asker->net, subnet, SOCK_DGRAM, err);
        if (udp < 0 && which && err->errnum == EAFNOSUPPORT)
            return 0; /* a kernel without IPv6: no container has such an address either */
        if (udp < 0 || take(asker, &asker->udp[which * POD_DNS_QUEUES + i], udp, err))
            return -1;
        if (!i && by_source(udp, which))
            return pod_fail(err, POD_SOCKET, asker->net->bridge);
    }
    tcp = gateway_socket(world, asker->net, subnet, SOCK_STREAM, err);
    return tcp < 0 || take(asker, &asker->listener[which], tcp, err) ? -1 : 0;
}

int pod_resolver_net(struct pod_world *world, struct pod_net *net, struct pod_err *err)
{
    struct pod_asker *asker;

    pod_resolver_net_gone(world, net);
    if (net->flags & (POD_NET_INTERNAL | POD_NET_NAMES))
        return 0; /* its containers ask 127.0.0.11 */
    asker = make(world, NULL, net, err);
    if (!asker)
        return -1;
    if (open_gateway(world, asker, 0, &net->v4, err) ||
        open_gateway(world, asker, 1, &net->v6, err)) {
        unmake(asker);
        return -1;
    }
    net->dns = asker;
    return 0;
}

void pod_resolver_net_gone(struct pod_world *world, struct pod_net *net)
{
    (void)world;
    if (net->dns)
        unmake(net->dns);
    net->dns = NULL;
}
