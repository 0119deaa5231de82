/* Publishing: ports of the host are bound for a container, all of them or none. */
#include "ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BACKLOG 4096
#define ANY_TRIES 32 /* for a free port that both families have */
#define PRIVILEGED 1024
#define FALLBACK 8000

/* Ports that have to have the same number: those that differ in the address alone (`-p 80` is 0.0.0.0 and ::). */
struct group {
    struct pod_port *ports;
    int count;
    int fds[64];
};

static int same_group(const struct pod_port *a, const struct pod_port *b)
{
    return a->protocol == b->protocol && a->first == b->first && a->last == b->last &&
           a->container == b->container && !pod_same_address(&a->host, &b->host);
}

static int fail(const struct pod_port *port, uint16_t number, int errnum, struct pod_err *err)
{
    char address[INET6_ADDRSTRLEN], text[96];
    int v4 = pod_is_v4(&port->host);

    inet_ntop(v4 ? AF_INET : AF_INET6, &port->host.s6_addr[v4 ? 12 : 0], address, sizeof address);
    snprintf(text, sizeof text, v4 ? "%s:%u/%s" : "[%s]:%u/%s", address, number,
             port->protocol == IPPROTO_TCP ? "tcp" : "udp");
    return pod_fail_errno(err, POD_PUBLISH, errnum, text);
}

static int bind_one(const struct pod_port *port, uint16_t number, struct pod_err *err)
{
    struct pod_peer at = {.address = port->host, .port = htons(number)};
    int tcp = port->protocol == IPPROTO_TCP, one = 1;
    union pod_sockaddr name;
    socklen_t size = pod_peer_to(&at, &name);
    POD_AUTO_FD int fd = socket(name.any.sa_family,
                                (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return fail(port, number, errno, err);
    if (name.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (tcp) /* connections of a former container linger; another listener is told of all the same */
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, &name.any, size) || (tcp && listen(fd, BACKLOG)))
        return fail(port, number, errno, err);
    return pod_steal_fd(&fd);
}

static uint16_t number_of(int fd)
{
    union pod_sockaddr name;
    socklen_t size = sizeof name;

    getsockname(fd, &name.any, &size);
    return ntohs(name.any.sa_family == AF_INET ? name.v4.sin_port : name.v6.sin6_port);
}

static void close_group(struct group *group)
{
    for (int i = 0; i < group->count; i++)
        pod_cleanup_fd(&group->fds[i]);
    for (int i = 0; i < group->count; i++)
        group->fds[i] = -1;
}

/* Whether the host just has no IPv6, where another port of the group does without. */
static int does_without(const struct group *group, int i, int errnum)
{
    return i > 0 && IN6_IS_ADDR_UNSPECIFIED(&group->ports[i].host) &&
           (errnum == EAFNOSUPPORT || errnum == EADDRNOTAVAIL);
}

/* All of the group at NUMBER (0: any). */
static int bind_group(struct group *group, uint16_t number, struct pod_err *err)
{
    for (int i = 0; i < group->count; i++) {
        group->ports[i].taken = 0;
        group->fds[i] = bind_one(&group->ports[i], number, err);
        if (group->fds[i] < 0 && does_without(group, i, err->errnum))
            continue;
        if (group->fds[i] < 0) {
            close_group(group);
            return -1;
        }
        number = group->ports[i].taken = number ? number : number_of(group->fds[i]);
    }
    return 0;
}

static int choose(struct group *group, struct pod_err *err)
{
    const struct pod_port *port = group->ports;
    uint32_t from = port->first, to = port->last;
    struct pod_err first;
    int tried = 0;

    for (int i = 0; i < group->count; i++)
        group->fds[i] = -1;
    if (port->leased && !bind_group(group, port->leased, err))
        return 0;
    if (!from) {
        while (bind_group(group, 0, err))
            if (err->errnum != EADDRINUSE || ++tried == ANY_TRIES)
                return -1;
        return 0;
    }
    for (uint32_t number = from; number <= to; number++) {
        if (!bind_group(group, (uint16_t)number, err))
            return 0;
        if (err->errnum != EADDRINUSE)
            break;
    }
    if (err->errnum != EACCES || !port->fallback || from >= PRIVILEGED)
        return -1;
    first = *err;
    for (uint32_t number = from + FALLBACK; number < from + FALLBACK + 100; number++) {
        if (!bind_group(group, (uint16_t)number, err))
            return 0;
        if (err->errnum != EADDRINUSE)
            break;
    }
    *err = first;
    return -1;
}

static int take_tcp(struct pod_world *world, struct pod_box *box, const struct pod_port *port,
                    int fd, struct pod_err *err)
{
    struct pod_published *published = calloc(1, sizeof *published);

    if (!published)
        return pod_fail(err, POD_MEMORY, "port");
    published->watch = (struct pod_watch){.fd = fd, .ready = pod_ports_ready};
    published->world = world;
    published->box = box;
    published->container = htons(port->container);
    if (pod_loop_watch(world->loop, &published->watch, EPOLLIN, err)) {
        free(published);
        return -1;
    }
    published->next = box->ports;
    box->ports = published;
    return 0;
}

static int publish_group(struct pod_world *world, struct pod_box *box, struct group *group,
                         struct pod_err *err)
{
    if (choose(group, err))
        return -1;
    for (int i = 0; i < group->count; i++) {
        const struct pod_port *port = &group->ports[i];
        if (group->fds[i] < 0)
            continue;
        if (port->protocol == IPPROTO_TCP ? take_tcp(world, box, port, group->fds[i], err)
                                          : pod_udp_publish(world, box, port, group->fds[i], err)) {
            close_group(group);
            return -1;
        }
        group->fds[i] = -1;
    }
    return 0;
}

int pod_ports_publish(struct pod_world *world, struct pod_box *box, struct pod_port *ports,
                      int count, struct pod_err *err)
{
    for (int i = 0, next; i < count; i = next) {
        struct group group = {.ports = &ports[i], .count = 1};
        while (i + group.count < count && group.count < 64 &&
               same_group(&ports[i], &ports[i + group.count]))
            group.count++;
        next = i + group.count;
        if (publish_group(world, box, &group, err)) {
            pod_ports_release(world, box);
            return -1;
        }
    }
    return 0;
}

void pod_ports_release(struct pod_world *world, struct pod_box *box)
{
    struct pod_published *published = box->ports;

    while (published) {
        struct pod_published *next = published->next;
        pod_loop_forget(world->loop, &published->watch);
        close(published->watch.fd);
        pod_ports_end_arriving(published);
        free(published);
        published = next;
    }
    box->ports = NULL;
    pod_udp_box_gone(world, box);
}

void pod_ports_refuse(int fd)
{
    struct linger now = {.l_onoff = 1};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}
