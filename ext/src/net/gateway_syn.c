/* "Connect first": a container's SYN is dropped by the rules and read here as a copy; the host connects; only then the SYN goes on
 * to the transparent listener, so that the container is told what the world said: accepted, refused, unreachable, or nothing. */
#include <errno.h>
#include <linux/if_packet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "gateway_own.h"
#include "icmp.h"

#define BUCKETS 1024
#define SYNS_MAX 4096 /* of all containers; of one: */
#define SYNS_BOX_MAX 1024
#define AT_ONCE 64 /* copies read before others have their turn */
#define ACCEPT_MS 8000 /* a SYN that went on, and nobody finished the handshake: two repetitions */
#define DNS_PORT 53

struct syn {
    struct pod_watch watch; /* the upstream */
    struct pod_timer timer;
    struct syn *chain; /* of the bucket */
    struct syn *older, *newer;
    struct pod_end *end;
    struct pod_syn_head head;
    int connected;
    size_t length;
    uint8_t packet[POD_SYN_MAX];
};

static struct {
    struct pod_world *world;
    struct pod_watch listeners[2];
    struct syn *buckets[BUCKETS];
    struct syn *oldest, *newest;
    int count;
} syns;

static struct syn **bucket(const struct pod_peer *from)
{
    uint32_t mix = from->port * 2654435761u;

    for (int i = 0; i < 16; i += 4) {
        uint32_t word;
        memcpy(&word, &from->address.s6_addr[i], sizeof word);
        mix = (mix ^ word) * 2654435761u;
    }
    return &syns.buckets[mix >> 22];
}

static struct syn *find(const struct pod_peer *from, const struct pod_peer *to)
{
    struct syn *syn = *bucket(from);

    while (syn && !(pod_same_peer(&syn->head.from, from) && pod_same_peer(&syn->head.to, to)))
        syn = syn->chain;
    return syn;
}

/* The upstream is the caller's, or closed here. */
static void end_syn(struct syn *syn, int closes)
{
    struct syn **at = bucket(&syn->head.from);

    while (*at != syn)
        at = &(*at)->chain;
    *at = syn->chain;
    *(syn->older ? &syn->older->newer : &syns.oldest) = syn->newer;
    *(syn->newer ? &syn->newer->older : &syns.newest) = syn->older;
    syns.count--;
    ((struct pod_tcp *)syn->end->box->tcp)->syns--;
    pod_loop_unring(syns.world->loop, &syn->timer);
    if (syn->watch.ready)
        pod_loop_forget(syns.world->loop, &syn->watch);
    if (closes && syn->watch.fd >= 0)
        close(syn->watch.fd);
    free(syn);
}

void pod_syns_forget(struct pod_box *box, const struct pod_end *end)
{
    for (struct syn *syn = syns.oldest, *next; syn; syn = next) {
        next = syn->newer;
        if (syn->end->box == box && (!end || syn->end == end))
            end_syn(syn, 1);
    }
}

/* So that a container that asks for more than it may have loses its own oldest. */
static int make_room(struct pod_box *box)
{
    struct pod_tcp *tcp = pod_tcp_of(box);
    struct syn *syn = syns.oldest;

    if (!tcp || !pod_splice_room(box))
        return 0;
    if (tcp->syns < SYNS_BOX_MAX && syns.count < SYNS_MAX)
        return 1;
    while (syn && syn->end->box != box)
        syn = syn->newer;
    if (!syn)
        syn = syns.oldest;
    end_syn(syn, 1);
    return 1;
}

static void accept_ring(struct pod_timer *timer)
{
    end_syn((struct syn *)((char *)timer - offsetof(struct syn, timer)), 1);
}

/* --- the container's side: who came through the listener -------------------------------------------------------------- */

static void take(int fd, const struct pod_peer *from)
{
    union pod_sockaddr own;
    socklen_t size = sizeof own;
    struct pod_peer to;
    struct syn *syn;
    struct pod_err err;
    int one = 1;

    if (getsockname(fd, &own.any, &size) || pod_peer_from(&own, &to) || !(syn = find(from, &to)) ||
        !syn->connected) {
        pod_ports_refuse(fd);
        return;
    }
    int upstream = syn->watch.fd;
    struct pod_end *end = syn->end;
    end_syn(syn, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    pod_splice_pair(syns.world, end, fd, upstream, &err);
}

static void accept_ready(struct pod_watch *watch, uint32_t events)
{
    struct pod_peer peer;

    (void)events;
    for (int i = 0; i < AT_ONCE; i++) {
        int fd = pod_ports_accept(watch->fd, &peer);
        if (fd < 0)
            return;
        take(fd, &peer);
    }
}

/* --- the world's side ----------------------------------------------------------------------------------------------- */

static void go_on(struct syn *syn)
{
    struct pod_watch *listener = &syns.listeners[!pod_is_v4(&syn->head.to.address)];

    if (syn->watch.ready)
        pod_loop_forget(syns.world->loop, &syn->watch);
    syn->watch.ready = NULL;
    syn->connected = 1;
    pod_loop_ring_at(syns.world->loop, &syn->timer, pod_loop_now() + ACCEPT_MS);
    pod_packet_inject(syn->packet, syn->length, 1);
    /* On one machine the whole handshake has happened by now. */
    accept_ready(listener, EPOLLIN);
}

static void tell(const struct pod_net *net, const struct pod_syn_head *head, enum pod_icmp_why why,
                 const void *tcp, size_t length)
{
    int v4 = pod_is_v4(&head->to.address);
    struct pod_icmp_quote quote = {.from = &head->from.address,
                                   .to = &head->to.address,
                                   .protocol = IPPROTO_TCP,
                                   .bytes = tcp,
                                   .length = length,
                                   .whole = length};

    pod_icmp_tell(pod_gateway_of(net, v4), pod_icmp_code(why, v4, 0), &quote);
}

static void tell_packet(const struct pod_net *net, const struct pod_syn_head *head,
                        enum pod_icmp_why why, const uint8_t *packet, size_t length)
{
    size_t at = packet[0] >> 4 == 4 ? (packet[0] & 15u) * 4 : 40;

    tell(net, head, why, packet + at, length - at);
}

/* What the host was told is told on; of time that ran out nothing: the container's own runs out too. */
static void failed(struct syn *syn, int errnum)
{
    int why = pod_icmp_why(errnum);

    if (errnum == ECONNREFUSED || errnum == ECONNRESET)
        pod_packet_refuse(&syn->head);
    else if (why >= 0)
        tell_packet(syn->end->net, &syn->head, (enum pod_icmp_why)why, syn->packet, syn->length);
    end_syn(syn, 1);
}

static void upstream_ready(struct pod_watch *watch, uint32_t events)
{
    struct syn *syn = (struct syn *)watch;
    int errnum = 0;
    socklen_t size = sizeof errnum;

    (void)events;
    getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &errnum, &size);
    if (errnum)
        failed(syn, errnum);
    else
        go_on(syn);
}

static void start(struct syn *syn, const struct pod_peer *target)
{
    union pod_sockaddr name;
    socklen_t size = pod_peer_to(target, &name);
    struct pod_err err;
    int one = 1;

    syn->watch.fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (syn->watch.fd < 0) {
        end_syn(syn, 1); /* EMFILE: the SYN comes again */
        return;
    }
    setsockopt(syn->watch.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!connect(syn->watch.fd, &name.any, size)) {
        go_on(syn);
        return;
    }
    if (errno == EINPROGRESS && !connect(syn->watch.fd, &name.any, size)) {
        go_on(syn); /* to this host itself: connected within the call */
        return;
    }
    if (errno != EALREADY && errno != EINPROGRESS) {
        failed(syn, errno);
        return;
    }
    syn->watch.ready = upstream_ready;
    if (pod_loop_watch(syns.world->loop, &syn->watch, EPOLLOUT, &err))
        end_syn(syn, 1);
}

static void add(struct pod_end *end, const struct pod_syn_head *head, const uint8_t *packet,
                size_t length, const struct pod_peer *target)
{
    struct syn *syn, **at = bucket(&head->from);

    if (!make_room(end->box) || !(syn = calloc(1, sizeof *syn)))
        return;
    syn->end = end;
    syn->head = *head;
    syn->length = length;
    syn->watch.fd = -1;
    syn->timer.rings = accept_ring;
    memcpy(syn->packet, packet, length);
    syn->chain = *at;
    *at = syn;
    syn->older = syns.newest;
    *(syns.newest ? &syns.newest->newer : &syns.oldest) = syn;
    syns.newest = syn;
    syns.count++;
    ((struct pod_tcp *)end->box->tcp)->syns++;
    start(syn, target);
}

static void judge(struct pod_net *net, struct pod_end *end, const struct pod_syn_head *head,
                  uint8_t *packet, size_t length)
{
    int v4 = pod_is_v4(&head->to.address);
    struct pod_peer target = head->to;

    if (pod_same_address(&head->to.address, pod_gateway_of(net, v4))) {
        if (head->to.port == htons(DNS_PORT)) {
            pod_packet_inject(packet, length, 0);
            return;
        }
        if (!end->box->host_gateway) {
            pod_packet_refuse(head);
            return;
        }
        target.address = v4 ? pod_v4((struct in_addr){htonl(INADDR_LOOPBACK)}) : in6addr_loopback;
    } else if (net->flags & POD_NET_INTERNAL) {
        tell_packet(net, head, POD_ICMP_NET, packet, length);
        return;
    } else if (!pod_is_foreign(&head->to.address) || pod_is_ours(syns.world, &head->to.address)) {
        tell_packet(net, head, POD_ICMP_HOST, packet, length);
        return;
    }
    add(end, head, packet, length, &target);
}

static void arrived(struct pod_net *net, uint8_t *packet, size_t length)
{
    struct pod_syn_head head;
    struct pod_end *end;
    struct syn *syn;

    if (pod_packet_syn(packet, &length, &head) || length > POD_SYN_MAX ||
        !(end = pod_world_address(syns.world, net, &head.from.address)))
        return;
    syn = find(&head.from, &head.to);
    if (syn && syn->head.sequence == head.sequence && syn->end == end) {
        if (syn->connected)
            pod_packet_inject(syn->packet, syn->length, 1);
        return; /* a repetition */
    }
    if (syn)
        end_syn(syn, 1);
    judge(net, end, &head, packet, length);
}

static void read_copies(struct pod_syn_copy *copy, int fd)
{
    uint8_t packet[POD_SYN_MAX + 8];

    for (int i = 0; i < AT_ONCE; i++) {
        ssize_t got = recv(fd, packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0)
            return;
        arrived(copy->net, packet, (size_t)got < sizeof packet ? (size_t)got : sizeof packet);
    }
}

void pod_syns_read(struct pod_watch *watch, uint32_t events)
{
    (void)events;
    read_copies((struct pod_syn_copy *)((char *)watch - offsetof(struct pod_syn_copy, v4)),
                watch->fd);
}

void pod_syns_read6(struct pod_watch *watch, uint32_t events)
{
    (void)events;
    read_copies((struct pod_syn_copy *)((char *)watch - offsetof(struct pod_syn_copy, v6)),
                watch->fd);
}

static int listen_transparent(struct pod_watch *watch, int family, struct pod_err *err)
{
    struct pod_peer any = {.port = htons(POD_TPROXY_PORT),
                           .address =
                               family == AF_INET ? pod_v4((struct in_addr){0}) : in6addr_any};
    union pod_sockaddr name;
    socklen_t size = pod_peer_to(&any, &name);
    int one = 1, v4 = family == AF_INET;

    watch->fd = pod_holder_socket(syns.world->holder, family, SOCK_STREAM, 0, err);
    if (watch->fd < 0)
        return -1;
    if (setsockopt(watch->fd, v4 ? IPPROTO_IP : IPPROTO_IPV6,
                   v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one, sizeof one) ||
        setsockopt(watch->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        (!v4 && setsockopt(watch->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one)) ||
        bind(watch->fd, &name.any, size) || listen(watch->fd, 4096))
        return pod_fail(err, POD_NETWORK, "transparent listener");
    watch->ready = accept_ready;
    return pod_loop_watch(syns.world->loop, watch, EPOLLIN, err);
}

int pod_syns_open(struct pod_world *world, struct pod_err *err)
{
    struct pod_err ignored;

    syns.world = world;
    syns.listeners[0].fd = syns.listeners[1].fd = -1;
    if (listen_transparent(&syns.listeners[0], AF_INET, err))
        return -1;
    listen_transparent(&syns.listeners[1], AF_INET6, &ignored); /* a kernel without IPv6 */
    return 0;
}
