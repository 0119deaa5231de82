/* Clients of published TCP ports: each gets a connection to the container, made in the holder from the client's own address. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "links.h"
#include "ports.h"

#define POOL 32 /* sockets of the holder, asked for at once */
#define AT_ONCE 32
#define ARRIVING_MAX 1024 /* of a port: a container that does not answer holds no more clients */

struct pod_arriving {
    struct pod_watch watch; /* toward the container */
    struct pod_arriving *next, *before; /* of the port */
    struct pod_published *published;
    struct pod_end *end;
    int client;
};

static struct {
    int fds[2][POOL];
    int count[2];
} pool;

static int inside_socket(struct pod_world *world, int v4)
{
    struct pod_err err;

    if (!pool.count[v4]) {
        if (pod_holder_sockets(world->holder, v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0, pool.fds[v4],
                               POOL, &err))
            return -1;
        pool.count[v4] = POOL;
    }
    return pool.fds[v4][--pool.count[v4]];
}

static void unlink_arriving(struct pod_arriving *arriving)
{
    struct pod_published *published = arriving->published;

    *(arriving->before ? &arriving->before->next : &published->arriving) = arriving->next;
    if (arriving->next)
        arriving->next->before = arriving->before;
    published->arriving_count--;
    pod_loop_forget(published->world->loop, &arriving->watch);
    free(arriving);
}

void pod_ports_end_arriving(struct pod_published *published)
{
    while (published->arriving) {
        close(published->arriving->watch.fd);
        pod_ports_refuse(published->arriving->client);
        unlink_arriving(published->arriving);
    }
}

void pod_ports_end_gone(struct pod_box *box, const struct pod_end *end)
{
    for (struct pod_published *published = box->ports; published; published = published->next)
        for (struct pod_arriving *at = published->arriving, *next; at; at = next) {
            next = at->next;
            if (at->end != end)
                continue;
            close(at->watch.fd);
            pod_ports_refuse(at->client);
            unlink_arriving(at);
        }
}

static void connected(struct pod_watch *watch, uint32_t events)
{
    struct pod_arriving *arriving = (struct pod_arriving *)watch;
    struct pod_world *world = arriving->published->world;
    struct pod_end *end = arriving->end;
    int inside = watch->fd, client = arriving->client, errnum = 0;
    socklen_t size = sizeof errnum;
    struct pod_err err;

    (void)events;
    getsockopt(inside, SOL_SOCKET, SO_ERROR, &errnum, &size);
    unlink_arriving(arriving);
    if (!errnum) {
        pod_splice_pair(world, end, inside, client, &err);
        return;
    }
    close(inside);
    pod_ports_refuse(client); /* nobody listens in there: as if nobody did here */
}

static void wait_for(struct pod_published *published, struct pod_end *end, int inside, int client)
{
    struct pod_arriving *arriving =
        published->arriving_count < ARRIVING_MAX ? calloc(1, sizeof *arriving) : NULL;
    struct pod_err err;

    if (!arriving) {
        close(inside);
        pod_ports_refuse(client);
        return;
    }
    *arriving = (struct pod_arriving){.watch = {.fd = inside, .ready = connected},
                                      .next = published->arriving,
                                      .published = published,
                                      .end = end,
                                      .client = client};
    if (arriving->next)
        arriving->next->before = arriving;
    published->arriving = arriving;
    published->arriving_count++;
    if (pod_loop_watch(published->world->loop, &arriving->watch, EPOLLOUT, &err)) {
        unlink_arriving(arriving);
        close(inside);
        pod_ports_refuse(client);
    }
}

/* As whom the container sees CLIENT: itself; the gateway where it is of the other family, or its answers would not come back. */
static const struct in6_addr *seen_as(const struct pod_world *world, const struct pod_end *end,
                                      int v4, const struct in6_addr *client)
{
    return pod_is_v4(client) == v4 && pod_is_foreign(client) && !pod_is_ours(world, client)
               ? client
               : pod_gateway_of(end->net, v4);
}

static int connect_inside(int fd, int v4, const struct pod_peer *from, const struct pod_peer *to)
{
    union pod_sockaddr own, target;
    socklen_t own_size = pod_peer_to(from, &own), size = pod_peer_to(to, &target);
    int one = 1;

    setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one,
               sizeof one);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(fd, &own.any, own_size))
        return -1;
    if (!connect(fd, &target.any, size))
        return 0;
    /* The container answers within the call, mostly. */
    return errno == EINPROGRESS ? connect(fd, &target.any, size) : -1;
}

static void serve(struct pod_published *published, int client, const struct pod_peer *peer)
{
    struct pod_box *box = published->box;
    int v4 = pod_is_v4(&peer->address), one = 1;
    struct pod_end *end = (struct pod_end *)pod_links_way_out(box, v4 ? AF_INET : AF_INET6);
    struct pod_err err;
    int inside = -1;

    if (!end) {
        v4 = !v4;
        end = (struct pod_end *)pod_links_way_out(box, v4 ? AF_INET : AF_INET6);
    }
    if (end && pod_splice_room(box))
        inside = inside_socket(published->world, v4);
    if (inside < 0) {
        pod_ports_refuse(client);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct pod_peer to = {.address = v4 ? end->v4 : end->v6, .port = published->container};
    struct pod_peer from = {.address = *seen_as(published->world, end, v4, &peer->address)};
    if (!connect_inside(inside, v4, &from, &to)) {
        pod_splice_pair(published->world, end, inside, client, &err);
    } else if (errno == EALREADY || errno == EINPROGRESS) {
        wait_for(published, end, inside, client);
    } else {
        close(inside);
        pod_ports_refuse(client);
    }
}

int pod_ports_accept(int listener, struct pod_peer *peer)
{
    static int spare = -1;
    union pod_sockaddr name;
    socklen_t size = sizeof name;

    if (spare < 0)
        spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fd = accept4(listener, &name.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && spare >= 0) {
        /* No descriptor is left: who waits is refused, else the loop would turn and turn. */
        close(spare);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            pod_ports_refuse(fd);
        spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return -1;
    }
    if (fd >= 0 && pod_peer_from(&name, peer)) {
        pod_ports_refuse(fd);
        return -1;
    }
    return fd;
}

void pod_ports_ready(struct pod_watch *watch, uint32_t events)
{
    struct pod_published *published = (struct pod_published *)watch;
    struct pod_peer peer;

    (void)events;
    for (int i = 0; i < AT_ONCE; i++) {
        int client = pod_ports_accept(watch->fd, &peer);
        if (client < 0)
            return;
        serve(published, client, &peer);
    }
}
