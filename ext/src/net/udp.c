/* Datagrams between containers and the world: what leaves a bridge for a foreign address comes to the listeners here (nft tproxy),
 * and goes on through a socket of the host's. */
#include "udp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LISTENERS \
    4 /* of a family: the kernel spreads flows over them, so that one that floods fills the queue of some */
#define STREAK 16 /* datagrams to one remote, then they get a way of their own */
#define ERRORS 16 /* told at once */

static struct {
    struct pod_world *world;
    struct pod_watch watches[2 * LISTENERS];
} udp;

/* Where END's datagram to TO really goes. 0; -1 where nobody is told; 1 with the reason for its sender. */
static int judge(const struct pod_end *end, const struct pod_peer *to, struct pod_peer *target,
                 enum pod_icmp_why *why)
{
    int v4 = pod_is_v4(&to->address);

    *target = *to;
    if (!to->port)
        return -1;
    *why = POD_ICMP_PORT;
    if (pod_same_address(&to->address, pod_gateway_of(end->net, v4))) {
        if (!end->box->host_gateway)
            return 1;
        target->address = v4 ? pod_v4((struct in_addr){htonl(INADDR_LOOPBACK)}) : in6addr_loopback;
        return 0;
    }
    if (!pod_is_foreign(&to->address))
        return -1;
    *why = POD_ICMP_PROHIBITED;
    return (end->net->flags & POD_NET_INTERNAL) || pod_is_ours(udp.world, &to->address);
}

/* How MAPPING's container knows who is REMOTE for the host. -1: it may not know it. */
static int as_inside(const struct pod_mapping *mapping, struct pod_peer *remote)
{
    if (!pod_is_loopback(&remote->address))
        return pod_is_ours(udp.world, &remote->address) ? -1 : 0;
    if (!mapping->end->box->host_gateway)
        return -1;
    remote->address = *pod_gateway_of(mapping->end->net, pod_is_v4(&remote->address));
    return pod_no_address(&remote->address) ? -1 : 0;
}

/* One error of the queue; 0: there is none. */
static int tell_error(struct pod_mapping *mapping)
{
    struct pod_socket_error error;
    int found = pod_socket_error(mapping->watch.fd, &error);

    if (found || as_inside(mapping, &error.remote))
        return found >= 0;
    if (pod_no_address(&error.offender.address) || as_inside(mapping, &error.offender))
        error.offender = error.remote;
    if (error.too_big) {
        int v4 = pod_is_v4(&error.remote.address);
        error.offender.address = *pod_gateway_of(mapping->end->net, v4);
        error.code = pod_icmp_code(POD_ICMP_TOO_BIG, v4, error.code.number);
    }
    pod_icmp_tell_udp(&error.offender.address, error.code, &mapping->inside, &error.remote,
                      error.content, error.length, error.length);
    return 1;
}

static int tell_errors(struct pod_mapping *mapping)
{
    int told = 0;

    while (told < ERRORS && tell_error(mapping))
        told++;
    return told;
}

static void refuse(const struct pod_end *end, enum pod_icmp_why why,
                   const struct pod_datagram *datagram)
{
    int v4 = pod_is_v4(&datagram->from.address);
    const struct in6_addr *gateway = pod_gateway_of(end->net, v4);

    if (!pod_no_address(gateway))
        pod_icmp_tell_udp(gateway, pod_icmp_code(why, v4, 0), &datagram->from, &datagram->to,
                          datagram->bytes, datagram->length, datagram->length);
}

/* What traceroute counts on: few hops left in a container are one less outside. */
static void set_ttl(struct pod_mapping *mapping, int ttl)
{
    int v4 = pod_is_v4(&mapping->inside.address);
    int wanted = ttl > 1 && ttl <= 32 ? ttl - 1 : 0, value = wanted ? wanted : -1;

    if (wanted == mapping->ttl)
        return;
    setsockopt(mapping->watch.fd, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_TTL : IPV6_UNICAST_HOPS, &value,
               sizeof value);
    mapping->ttl = (uint8_t)wanted;
}

static void send_out(struct pod_mapping *mapping, const struct pod_datagram *datagrams, int count,
                     const struct pod_peer *target)
{
    int again = 1;

    for (int done = 0; done < count;) {
        int sent = pod_batch_send(mapping->watch.fd, datagrams + done, count - done, target, NULL);
        int why = sent ? -1 : pod_icmp_why(errno), too_big = !sent && errno == EMSGSIZE;
        if (sent == 0 && (errno == EAGAIN || errno == ENOBUFS))
            return;
        if (sent == 0) {
            /* The error of an earlier datagram, maybe: then this one has not been tried. */
            int told = tell_errors(mapping);
            if (told && again && !too_big) {
                again = 0;
                continue;
            }
            if (!told && why >= 0)
                refuse(mapping->end, (enum pod_icmp_why)why, datagrams + done);
        }
        again = 1;
        done += sent ? sent : 1;
    }
}

static void way_ready(struct pod_watch *watch, uint32_t events)
{
    struct pod_way *way = (struct pod_way *)(void *)watch;
    struct pod_mapping *mapping = way->mapping;
    struct pod_datagram datagrams[POD_BATCH];
    struct pod_peer target;
    enum pod_icmp_why why;
    int count = pod_batch_receive(watch->fd, datagrams);

    (void)events;
    if (count <= 0)
        return;
    for (int i = 0; i < count; i++)
        datagrams[i].to = way->remote;
    if (judge(mapping->end, &way->remote, &target, &why))
        return;
    pod_mapping_used(mapping, 1, pod_loop_now());
    send_out(mapping, datagrams, count, &target);
}

/* COUNT that came from one remote. */
static void bring_in(struct pod_mapping *mapping, const struct pod_datagram *datagrams, int count)
{
    struct pod_peer remote = datagrams->from;
    struct pod_way *way;

    if (as_inside(mapping, &remote))
        return;
    way = pod_way_find(mapping, &remote);
    if (way)
        pod_batch_pour(way->watch.fd, datagrams, count, NULL, NULL);
    else
        pod_reply(udp.world, datagrams, count, &remote, &mapping->inside);
    pod_mapping_used(mapping, 0, pod_loop_now());
}

static void host_ready(struct pod_watch *watch, uint32_t events)
{
    struct pod_mapping *mapping = (struct pod_mapping *)(void *)watch;
    struct pod_datagram datagrams[POD_BATCH];
    int count, run;

    if (events & EPOLLERR)
        tell_errors(mapping);
    count = pod_batch_receive(watch->fd, datagrams);
    for (int i = 0; i < count; i += run) {
        for (run = 1; i + run < count; run++)
            if (!pod_same_peer(&datagrams[i].from, &datagrams[i + run].from))
                break;
        bring_in(mapping, datagrams + i, run);
    }
}

/* A socket of the host's; where there are no more descriptors some other mapping's. */
static int open_host(int v4)
{
    int fd = -1, on = 1;

    for (int tries = 0; fd < 0 && tries < 2; tries++) {
        fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 && ((errno != EMFILE && errno != ENFILE) || !pod_mapping_sacrifice()))
            return -1;
    }
    if (fd < 0)
        return -1;
    if (!v4)
        setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &on, sizeof on);
    setsockopt(fd, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on);
    return fd;
}

static struct pod_mapping *new_mapping(struct pod_end *end, const struct pod_datagram *datagram)
{
    int fd = open_host(pod_is_v4(&datagram->from.address));

    if (fd < 0) {
        int why = pod_icmp_why(errno);
        refuse(end, why < 0 ? POD_ICMP_PROHIBITED : (enum pod_icmp_why)why, datagram);
        return NULL;
    }
    return pod_mapping_add(end, NULL, &datagram->from, fd, host_ready);
}

/* COUNT from one address of a container to one of the world. */
static void take_out(const struct pod_datagram *datagrams, int count)
{
    struct pod_mapping *mapping = pod_mapping_find(NULL, &datagrams->from);
    struct pod_end *end =
        mapping ? mapping->end : pod_world_address(udp.world, NULL, &datagrams->from.address);
    struct pod_peer target;
    enum pod_icmp_why why;

    int refused = end ? judge(end, &datagrams->to, &target, &why) : -1;
    if (!refused && datagrams->ttl == 1) {
        refused = 1;
        why = POD_ICMP_EXPIRED;
    }
    if (refused) {
        if (refused > 0)
            refuse(end, why, datagrams);
        return;
    }
    if (!mapping)
        mapping = new_mapping(end, datagrams);
    if (!mapping)
        return;
    pod_mapping_used(mapping, 1, pod_loop_now());
    mapping->dns = mapping->dns && target.port == htons(53);
    set_ttl(mapping, datagrams->ttl);
    send_out(mapping, datagrams, count, &target);
    if (!pod_same_peer(&mapping->outside, &datagrams->to)) {
        mapping->outside = datagrams->to;
        mapping->streak = 0;
    }
    mapping->streak = (uint8_t)(mapping->streak + count < 255 ? mapping->streak + count : 255);
    /* Few hops are told by the control messages of the listener alone. */
    if (mapping->streak >= STREAK && !mapping->ttl && !pod_way_find(mapping, &datagrams->to)) {
        mapping->streak = 0;
        pod_way_make(udp.world, mapping, &datagrams->to, way_ready);
    }
}

static void listener_ready(struct pod_watch *watch, uint32_t events)
{
    struct pod_datagram datagrams[POD_BATCH];
    int count = pod_batch_receive(watch->fd, datagrams), run;

    (void)events;
    for (int i = 0; i < count; i += run) {
        for (run = 1; i + run < count; run++)
            if (!pod_same_peer(&datagrams[i].from, &datagrams[i + run].from) ||
                !pod_same_peer(&datagrams[i].to, &datagrams[i + run].to) ||
                datagrams[i].ttl != datagrams[i + run].ttl)
                break;
        take_out(datagrams + i, run);
    }
}

static int open_listener(struct pod_world *world, struct pod_watch *watch, int v4,
                         struct pod_err *err)
{
    struct pod_peer any = {v4 ? pod_v4((struct in_addr){INADDR_ANY}) : in6addr_any,
                           htons(POD_TPROXY_PORT)};
    union pod_sockaddr name;
    socklen_t length = pod_peer_to(&any, &name);
    int level = v4 ? SOL_IP : SOL_IPV6, on = 1;
    POD_AUTO_FD int fd =
        pod_holder_socket(world->holder, v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0, err);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) ||
        (!v4 && setsockopt(fd, level, IPV6_V6ONLY, &on, sizeof on)) ||
        setsockopt(fd, level, v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &on, sizeof on) ||
        setsockopt(fd, level, v4 ? IP_ORIGDSTADDR : IPV6_ORIGDSTADDR, &on, sizeof on) ||
        setsockopt(fd, level, v4 ? IP_RECVTTL : IPV6_RECVHOPLIMIT, &on, sizeof on) ||
        bind(fd, &name.any, length))
        return pod_fail(err, POD_NETWORK, "a listener of datagrams");
    *watch = (struct pod_watch){fd, listener_ready};
    if (pod_loop_watch(world->loop, watch, EPOLLIN, err))
        return -1;
    pod_steal_fd(&fd);
    return 0;
}

int pod_udp_open(struct pod_world *world, struct pod_err *err)
{
    udp.world = world;
    if (pod_mappings_open(world, err))
        return -1;
    for (int i = 0; i < LISTENERS; i++)
        if (open_listener(world, &udp.watches[i], 1, err))
            return -1;
    for (int i = LISTENERS; i < 2 * LISTENERS; i++)
        if (open_listener(world, &udp.watches[i], 0, err))
            return err->errnum == EAFNOSUPPORT ? 0 : -1;
    return 0;
}

void pod_udp_end_gone(struct pod_world *world, struct pod_end *end)
{
    (void)world;
    pod_mappings_forget(end->box, end, NULL);
    pod_icmp_end_gone(end);
}
