/* Sockets of the holder that speak in a remote's name (IP_TRANSPARENT).
 *
 * Answers go out through one socket for each remote port. Its own address is one that no packet is for: bound to every address it
 * would be what nft's `socket` finds for a container's packets to that port anywhere. */
#include "udp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SPEAKERS 64
#define WAYS 256

struct speaker {
    struct speaker *next; /* the one used last is the first */
    uint16_t port;
    uint8_t v4;
    int fd;
};

static struct speaker *speakers;
static struct {
    struct pod_world *world;
    struct pod_way *oldest, *newest;
    int count;
} ways;

int pod_transparent(struct pod_world *world, const struct in6_addr *address)
{
    int v4 = pod_is_v4(address), on = 1;
    struct pod_err err = {.errnum = EIO};
    POD_AUTO_FD int fd =
        pod_holder_socket(world->holder, v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0, &err);

    if (fd < 0) {
        errno = err.errnum;
        return -1;
    }
    if (setsockopt(fd, v4 ? SOL_IP : SOL_IPV6, v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &on,
                   sizeof on) ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        (!v4 && setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &on, sizeof on)))
        return -1;
    return pod_steal_fd(&fd);
}

static int open_speaker(struct pod_world *world, const struct pod_peer *remote)
{
    struct pod_peer nowhere = {pod_v4((struct in_addr){htonl(0x7f706f64)}), remote->port};
    union pod_sockaddr name;
    POD_AUTO_FD int fd = pod_transparent(world, &remote->address);

    if (!pod_is_v4(&remote->address))
        nowhere.address = in6addr_loopback;
    socklen_t length = pod_peer_to(&nowhere, &name);
    if (fd < 0 || bind(fd, &name.any, length))
        return -1;
    return pod_steal_fd(&fd);
}

/* The last of the list; its place is the caller's. */
static struct speaker *take_last(void)
{
    struct speaker **at = &speakers, *last;

    while ((*at)->next)
        at = &(*at)->next;
    last = *at;
    *at = NULL;
    close(last->fd);
    return last;
}

static int speaker_of(struct pod_world *world, const struct pod_peer *remote)
{
    struct speaker **at = &speakers, *found = NULL;
    uint8_t v4 = (uint8_t)pod_is_v4(&remote->address);
    int count = 0;

    for (; *at && !found; count++)
        if ((*at)->port == remote->port && (*at)->v4 == v4)
            found = *at;
        else
            at = &(*at)->next;
    if (found) {
        *at = found->next;
    } else {
        int fd = open_speaker(world, remote);
        if (fd < 0)
            return -1;
        found = count >= SPEAKERS ? take_last() : malloc(sizeof *found);
        if (!found) {
            close(fd);
            return -1;
        }
        *found = (struct speaker){NULL, remote->port, v4, fd};
    }
    found->next = speakers;
    speakers = found;
    return found->fd;
}

void pod_reply(struct pod_world *world, const struct pod_datagram *datagrams, int count,
               const struct pod_peer *remote, const struct pod_peer *inside)
{
    int fd = speaker_of(world, remote);

    if (fd >= 0)
        pod_batch_pour(fd, datagrams, count, inside, &remote->address);
}

/* Between the two calls it gets nothing: nft's tproxy gives a socket what is for it once it is connected. */
int pod_impostor(struct pod_world *world, const struct pod_peer *remote,
                 const struct pod_peer *inside)
{
    POD_AUTO_FD int fd = pod_transparent(world, &remote->address);
    union pod_sockaddr name;
    socklen_t length = pod_peer_to(remote, &name);

    if (fd < 0 || bind(fd, &name.any, length))
        return -1;
    length = pod_peer_to(inside, &name);
    if (connect(fd, &name.any, length))
        return -1;
    return pod_steal_fd(&fd);
}

struct pod_way *pod_way_find(const struct pod_mapping *mapping, const struct pod_peer *remote)
{
    struct pod_way *way = mapping->ways;

    while (way && !pod_same_peer(&way->remote, remote))
        way = way->next;
    return way;
}

static void end_way(struct pod_way *way)
{
    struct pod_way **at = &way->mapping->ways;

    while (*at != way)
        at = &(*at)->next;
    *at = way->next;
    *(way->older ? &way->older->newer : &ways.oldest) = way->newer;
    *(way->newer ? &way->newer->older : &ways.newest) = way->older;
    pod_loop_forget(ways.world->loop, &way->watch);
    close(way->watch.fd);
    free(way);
    ways.count--;
}

void pod_ways_end(struct pod_mapping *mapping)
{
    while (mapping->ways)
        end_way(mapping->ways);
}

void pod_way_make(struct pod_world *world, struct pod_mapping *mapping,
                  const struct pod_peer *remote, void (*ready)(struct pod_watch *, uint32_t))
{
    struct pod_way *way;
    struct pod_err err;
    int fd = pod_impostor(world, remote, &mapping->inside);

    if (fd < 0)
        return;
    way = calloc(1, sizeof *way);
    if (way) {
        way->watch = (struct pod_watch){fd, ready};
        if (!pod_loop_watch(world->loop, &way->watch, EPOLLIN, &err)) {
            ways.world = world;
            way->mapping = mapping;
            way->remote = *remote;
            way->next = mapping->ways;
            mapping->ways = way;
            way->older = ways.newest;
            *(ways.newest ? &ways.newest->newer : &ways.oldest) = way;
            ways.newest = way;
            if (++ways.count > WAYS)
                end_way(ways.oldest);
            return;
        }
    }
    free(way);
    close(fd);
}
