/* Containers come, change and go: what netd does for one, in order, and undone from the last where a step fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "gateway.h"
#include "links.h"
#include "nft.h"
#include "peer.h"
#include "resolver.h"

#define NETS_MAX 1024
#define LINGER 10 /* ticks that a network without containers is kept for the next one */
#define COPY(target, source) memcpy(target, source, sizeof target)

/* --- networks --------------------------------------------------------------------------------------------------- */

static void unlink_net(struct pod_world *world, struct pod_net *net)
{
    struct pod_net **at = &world->nets;

    while (*at && *at != net)
        at = &(*at)->next;
    if (*at)
        *at = net->next;
}

/* The bridge and what hangs on it go. */
static void end_net(struct pod_world *world, struct pod_net *net)
{
    pod_resolver_net_gone(world, net);
    pod_gateway_net_gone(world, net);
    unlink_net(world, net);
    if (net->ifindex)
        pod_links_net_gone(world, net);
    free(net);
}

static int overlaps(const struct pod_subnet *one, const struct pod_subnet *other)
{
    return one->family && other->family &&
           (pod_subnet_has(one, &other->base) || pod_subnet_has(other, &one->base));
}

static int meets(const struct pod_net *net, const struct pod_wish *wish)
{
    return !strcmp(net->bridge, wish->bridge) || overlaps(&net->v4, &wish->v4) ||
           overlaps(&net->v6, &wish->v6);
}

static int same_place(const struct pod_subnet *one, const struct pod_subnet *other)
{
    return one->family == other->family &&
           (!one->family ||
            (one->prefix == other->prefix && pod_same_address(&one->base, &other->base)));
}

/* Whether WISH is of a network that was found in the holder (found.c): all that is there, is taken over. */
static int is_found(const struct pod_net *net, const struct pod_wish *wish)
{
    return !net->id[0] && !strcmp(net->bridge, wish->bridge) && same_place(&net->v4, &wish->v4) &&
           same_place(&net->v6, &wish->v6);
}

/* Networks without containers are kept for the next one; not where the new one would meet them. */
static void make_room(struct pod_world *world, const struct pod_wish *wish)
{
    struct pod_net *next;

    for (struct pod_net *net = world->nets; net; net = next) {
        next = net->next;
        if (is_found(net, wish)) {
            unlink_net(world, net);
            free(net);
        } else if (!net->ends && meets(net, wish)) {
            end_net(world, net);
        }
    }
}

int pod_nets_tidy(struct pod_world *world)
{
    struct pod_net *next;
    int waiting = 0;

    for (struct pod_net *net = world->nets; net; net = next) {
        next = net->next;
        net->idle = net->ends ? 0 : net->idle + 1;
        if (net->idle <= LINGER)
            waiting += net->idle > 0;
        else if (net->id[0] ||
                 !pod_links_carries(world, net)) /* else a supervisor may still come */
            end_net(world, net);
    }
    return waiting;
}

static int same_net(const struct pod_net *net, const struct pod_wish *wish)
{
    return !memcmp(&net->v4, &wish->v4, sizeof net->v4) &&
           !memcmp(&net->v6, &wish->v6, sizeof net->v6) && !strcmp(net->bridge, wish->bridge) &&
           !strcmp(net->kind, wish->kind);
}

static struct pod_net *new_net(struct pod_world *world, const struct pod_wish *wish,
                               struct pod_err *err)
{
    struct pod_net *net, *other;
    int count = 0;

    if (!wish->bridge[0] || strchr(wish->bridge, '/') || wish->bridge[0] == '.') {
        pod_fail_errno(err, POD_NETWORK, EINVAL, "bridge");
        return NULL;
    }
    if (strcmp(wish->kind, "bridge") && strcmp(wish->kind, "macvlan") &&
        strcmp(wish->kind, "ipvlan")) {
        pod_fail_errno(err, POD_NETWORK, EOPNOTSUPP, wish->kind);
        return NULL;
    }
    make_room(world, wish);
    for (other = world->nets; other && !meets(other, wish); other = other->next)
        count++;
    if (other || count >= NETS_MAX) {
        pod_fail_errno(err, POD_NETWORK, other ? EADDRINUSE : ENOSPC, wish->net_name);
        return NULL;
    }
    if (!(net = calloc(1, sizeof *net))) {
        pod_fail(err, POD_MEMORY, NULL);
        return NULL;
    }
    COPY(net->id, wish->net_id);
    COPY(net->name, wish->net_name);
    COPY(net->bridge, wish->bridge);
    COPY(net->kind, wish->kind);
    net->flags = wish->flags;
    net->mtu = wish->mtu;
    net->v4 = wish->v4;
    net->v6 = wish->v6;
    net->next = world->nets;
    world->nets = net;
    if (!pod_links_net(world, net, err) && !pod_gateway_net(world, net, err) &&
        !pod_resolver_net(world, net, err))
        return net;
    end_net(world, net);
    return NULL;
}

static struct pod_net *find_net(struct pod_world *world, const struct pod_wish *wish,
                                struct pod_err *err)
{
    struct pod_net *net = pod_world_net(world, wish->net_id);

    if (net && !net->ends && !same_net(net, wish)) {
        end_net(world, net);
        net = NULL;
    }
    return net ? net : new_net(world, wish, err);
}

/* --- interfaces --------------------------------------------------------------------------------------------------- */

static void free_end(struct pod_end *end)
{
    for (int i = 0; i < end->alias_count; i++)
        free(end->aliases[i]);
    for (int i = 0; i < end->link_count; i++)
        free(end->links[i]);
    free(end);
}

static void end_end(struct pod_world *world, struct pod_end *end)
{
    struct pod_end **at = &end->box->ends;

    pod_gateway_end_gone(world, end);
    while (*at && *at != end)
        at = &(*at)->next;
    if (*at)
        *at = end->next;
    end->net->ends--;
    free_end(end);
}

static int copy_words(char **target, int *count, char *const *source, int given)
{
    for (; *count < given; ++*count)
        if (!(target[*count] = strdup(source[*count])))
            return -1;
    return 0;
}

static void choose_id(struct pod_end *end, const struct pod_wish *wish)
{
    uint8_t bytes[32];

    if (wish->lease_length >= offsetof(struct pod_lease, ports) && wish->lease.id[0]) {
        memcpy(end->id, wish->lease.id, sizeof wish->lease.id);
        return;
    }
    if (getrandom(bytes, sizeof bytes, GRND_NONBLOCK) != (ssize_t)sizeof bytes)
        memcpy(bytes, &end, sizeof end);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(&end->id[2 * i], 3, "%02x", bytes[i]);
}

static int make_end(struct pod_world *world, struct pod_box *box, const struct pod_wish *wish,
                    struct pod_err *err)
{
    struct pod_net *net = find_net(world, wish, err);
    struct pod_end *end = net ? calloc(1, sizeof *end) : NULL, **last = &box->ends;

    if (!end)
        return net ? pod_fail(err, POD_MEMORY, NULL) : -1;
    for (; *last; last = &(*last)->next)
        if ((*last)->net == net) {
            free(end);
            return pod_fail_errno(err, POD_NETWORK, EEXIST, net->name);
        }
    end->box = box;
    end->net = net;
    end->flags = wish->flags;
    end->priority = wish->priority;
    net->ends++;
    *last = end;
    choose_id(end, wish);
    if (copy_words(end->aliases, &end->alias_count, wish->aliases, wish->alias_count) ||
        copy_words(end->links, &end->link_count, wish->links, wish->link_count))
        pod_fail(err, POD_MEMORY, NULL);
    else if (!pod_addresses_choose(world, end, wish, err) &&
             !pod_links_end(world, end, wish->lease_length ? &wish->lease : NULL, err) &&
             !pod_gateway_end(world, end, err))
        return 0;
    end_end(world, end);
    return -1;
}

/* --- containers ----------------------------------------------------------------------------------------------------- */

static void unlink_box(struct pod_world *world, struct pod_box *box)
{
    struct pod_box **at = &world->boxes;

    while (*at && *at != box)
        at = &(*at)->next;
    if (*at)
        *at = box->next;
}

void pod_box_free(struct pod_world *world, struct pod_box *box)
{
    pod_ports_release(world, box);
    pod_splice_box_gone(world, box);
    pod_udp_box_gone(world, box);
    pod_resolver_box_gone(world, box);
    while (box->ends)
        end_end(world, box->ends);
    unlink_box(world, box);
    for (char **server = box->servers; server && *server; server++)
        free(*server);
    free(box->servers);
    pod_cleanup_fd(&box->netns);
    pod_cleanup_fd(&box->rtnl);
    pod_cleanup_fd(&box->nfnl);
    free(box->published);
    free(box);
}

static int copy_servers(struct pod_box *box, const struct pod_order *order)
{
    int count = 0;

    if (!order->server_count)
        return 0;
    box->servers = calloc((size_t)order->server_count + 1, sizeof *box->servers);
    return !box->servers || copy_words(box->servers, &count, order->servers, order->server_count);
}

static void none_taken(struct pod_box *box)
{
    for (int i = 0; i < box->published_count; i++)
        box->published[i].taken = 0;
}

/* Ports of the host are bound for who has a way out, as in Docker: not for who is on internal networks alone. */
static int publish_as_is(struct pod_world *world, struct pod_box *box, struct pod_err *err)
{
    int out = pod_links_way_out(box, AF_INET) || pod_links_way_out(box, AF_INET6);

    if (box->bound && !out) {
        pod_ports_release(world, box);
        none_taken(box);
        box->bound = 0;
    }
    if (box->bound || !out || !box->published_count)
        return 0;
    if (pod_ports_publish(world, box, box->published, box->published_count, err)) {
        none_taken(box);
        return -1;
    }
    box->bound = 1;
    return 0;
}

/* The host's port that an earlier netd had for the container's, 0. */
static uint16_t had(const struct pod_order *order, int i)
{
    if (i < order->had_count)
        return order->had[i];
    return order->wish_count && i < POD_LEASE_PORTS ? order->wishes[0].lease.ports[i] : 0;
}

static int publish(struct pod_world *world, struct pod_box *box, const struct pod_order *order,
                   struct pod_err *err)
{
    if (!order->port_count)
        return 0;
    box->published = calloc((size_t)order->port_count, sizeof *box->published);
    if (!box->published)
        return pod_fail(err, POD_MEMORY, NULL);
    for (int i = 0; i < order->port_count; i++) {
        const struct pod_wire_port *given = &order->ports[i];
        struct pod_port *one = &box->published[i];
        one->protocol = given->protocol;
        memcpy(&one->host, given->host, sizeof one->host);
        one->first = given->first;
        one->last = given->last;
        one->container = given->container;
        one->fallback = given->fallback;
        one->leased = had(order, i);
    }
    box->published_count = order->port_count;
    return publish_as_is(world, box, err);
}

static uint16_t port_of(int sock)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t length = sizeof name;

    return sock >= 0 && !getsockname(sock, (struct sockaddr *)&name, &length) ? ntohs(name.sin_port)
                                                                              : 0;
}

/* 127.0.0.11:53 leads to the sockets that its supervisor made, once it is on a network with names. */
static int name_it(struct pod_box *box, struct pod_err *err)
{
    int names = 0;

    for (const struct pod_end *end = box->ends; end; end = end->next)
        names |= (end->net->flags & POD_NET_NAMES) != 0;
    if (!names || box->named || box->nfnl < 0 || !box->dns_udp || !box->dns_tcp)
        return 0;
    box->named = !pod_nft_container_dns(box->nfnl, box->dns_udp, box->dns_tcp, err);
    return box->named ? 0 : -1;
}

int pod_box_make(struct pod_world *world, const struct pod_order *order, int fds[POD_WIRE_FDS],
                 struct pod_box **made, struct pod_err *err)
{
    struct pod_box *box = calloc(1, sizeof *box);

    if (!box)
        return pod_fail(err, POD_MEMORY, NULL);
    COPY(box->id, order->id);
    COPY(box->name, order->name);
    COPY(box->hostname, order->hostname);
    box->host_gateway = order->host_gateway;
    box->netns = pod_steal_fd(&fds[0]);
    box->rtnl = pod_steal_fd(&fds[1]);
    box->nfnl = pod_steal_fd(&fds[2]);
    box->dns_udp = port_of(fds[3]);
    box->dns_tcp = port_of(fds[4]);
    box->next = world->boxes;
    world->boxes = box;
    int failed = copy_servers(box, order) ? pod_fail(err, POD_MEMORY, NULL) : 0;
    for (int i = 0; i < order->wish_count && !failed; i++)
        failed = make_end(world, box, &order->wishes[i], err);
    if (!failed)
        failed = pod_links_routes(box, err) || name_it(box, err) ||
                 pod_resolver_box(world, box, pod_steal_fd(&fds[3]), pod_steal_fd(&fds[4]), err) ||
                 publish(world, box, order, err);
    if (failed) {
        pod_box_free(world, box);
        return -1;
    }
    *made = box;
    return 0;
}

int pod_box_connect(struct pod_world *world, struct pod_box *box, const struct pod_wish *wish,
                    struct pod_err *err)
{
    int done;
    struct pod_err ignored;

    if (make_end(world, box, wish, err))
        return -1;
    if (!pod_links_routes(box, err) && !name_it(box, err) && !publish_as_is(world, box, err))
        return 0;
    if (!pod_box_disconnect(world, box, wish->net_id, &done, &ignored))
        close(done);
    return -1;
}

int pod_box_disconnect(struct pod_world *world, struct pod_box *box, const char *net_id, int *done,
                       struct pod_err *err)
{
    struct pod_end *end = box->ends;

    while (end && strcmp(end->net->id, net_id))
        end = end->next;
    if (!end)
        return pod_fail_errno(err, POD_NETWORK, ENOENT, net_id);
    *done = pod_links_remove(world, end, err);
    if (*done < 0)
        return -1;
    end_end(world, end);
    publish_as_is(world, box, err); /* at most they are let go of */
    return 0;
}
