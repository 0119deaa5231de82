/* Published ports of UDP: each client has a socket in the holder that bears its address, so that the container sees who it is.
 * Clients on the host's loopback, and those whose address would be taken for a container's, appear as the bridge's gateway. */
#include "udp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct pod_udp_port *ports;
static struct pod_world *world_of_ports;

/* From a container to its client. */
static void inside_ready(struct pod_watch *watch, uint32_t events)
{
    struct pod_mapping *mapping = (struct pod_mapping *)(void *)watch;
    struct pod_datagram datagrams[POD_BATCH];
    int count = pod_batch_receive(watch->fd, datagrams);
    const struct in6_addr *local = &mapping->local;

    (void)events;
    if (count <= 0) /* nobody listens there, maybe: the client cannot be told */
        return;
    if (!pod_is_foreign(local) && !pod_is_loopback(local) && !IN6_IS_ADDR_LINKLOCAL(local))
        local = NULL; /* it sent to everybody */
    pod_mapping_used(mapping, 1, pod_loop_now());
    pod_batch_pour(mapping->port->watch.fd, datagrams, count, &mapping->outside, local);
}

/* The interface that a client of the family gets to; of the other family where there is none. */
static struct pod_end *end_for(struct pod_box *box, int v4)
{
    struct pod_end *other = NULL;

    for (struct pod_end *end = box->ends; end; end = end->next) {
        if (end->net->flags & POD_NET_INTERNAL)
            continue;
        if (!pod_no_address(v4 ? &end->v4 : &end->v6))
            return end;
        if (!other && !pod_no_address(v4 ? &end->v6 : &end->v4))
            other = end;
    }
    return other;
}

static int open_inside(struct pod_mapping *like, const struct pod_peer *client)
{
    struct pod_end *end = like->end;
    int v4 = pod_is_v4(&client->address), same = !pod_no_address(v4 ? &end->v4 : &end->v6), fd = -1;
    struct pod_peer gateway = {*pod_gateway_of(end->net, same ? v4 : !v4), 0};

    like->inside = (struct pod_peer){(same ? v4 : !v4) ? end->v4 : end->v6, like->port->container};
    if (same && pod_is_foreign(&client->address) && !pod_is_ours(world_of_ports, &client->address))
        fd = pod_impostor(world_of_ports, client, &like->inside);
    return fd < 0 ? pod_impostor(world_of_ports, &gateway, &like->inside) : fd;
}

static struct pod_mapping *new_client(struct pod_udp_port *port,
                                      const struct pod_datagram *datagram)
{
    struct pod_mapping like = {.port = port, .outside = datagram->from}, *mapping;
    int fd;

    like.end = end_for(port->box, pod_is_v4(&datagram->from.address));
    if (!like.end)
        return NULL;
    do
        fd = open_inside(&like, &datagram->from);
    while (fd < 0 && (errno == EMFILE || errno == ENFILE) && pod_mapping_sacrifice());
    if (fd < 0)
        return NULL;
    mapping = pod_mapping_add(like.end, port, &datagram->from, fd, inside_ready);
    if (mapping) {
        mapping->inside = like.inside;
        mapping->local = datagram->to.address;
    }
    return mapping;
}

static void client_ready(struct pod_watch *watch, uint32_t events)
{
    struct pod_udp_port *port = (struct pod_udp_port *)(void *)watch;
    struct pod_datagram datagrams[POD_BATCH];
    int count = pod_batch_receive(watch->fd, datagrams), run;

    (void)events;
    for (int i = 0; i < count; i += run) {
        struct pod_mapping *mapping = pod_mapping_find(port, &datagrams[i].from);
        for (run = 1; i + run < count; run++)
            if (!pod_same_peer(&datagrams[i].from, &datagrams[i + run].from))
                break;
        if (!mapping && datagrams[i].from.port)
            mapping = new_client(port, &datagrams[i]);
        if (!mapping)
            continue;
        pod_mapping_used(mapping, 0, pod_loop_now());
        pod_batch_pour(mapping->watch.fd, datagrams + i, run, NULL, NULL);
    }
}

int pod_udp_publish(struct pod_world *world, struct pod_box *box, const struct pod_port *port,
                    int listener, struct pod_err *err)
{
    struct pod_udp_port *made = calloc(1, sizeof *made);
    int on = 1;

    if (!made)
        return pod_fail(err, POD_MEMORY, "a published port");
    /* Clients are answered from the address that they sent to. */
    if (pod_is_v4(&port->host))
        setsockopt(listener, SOL_IP, IP_PKTINFO, &on, sizeof on);
    else
        setsockopt(listener, SOL_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    made->watch = (struct pod_watch){listener, client_ready};
    if (pod_loop_watch(world->loop, &made->watch, EPOLLIN, err)) {
        free(made);
        return -1;
    }
    made->box = box;
    made->container = htons(port->container);
    made->next = ports;
    ports = made;
    world_of_ports = world;
    return 0;
}

void pod_udp_box_gone(struct pod_world *world, struct pod_box *box)
{
    struct pod_udp_port **at = &ports;

    pod_mappings_forget(box, NULL, NULL);
    for (struct pod_end *end = box->ends; end; end = end->next)
        pod_icmp_end_gone(end);
    while (*at) {
        struct pod_udp_port *port = *at;
        if (port->box != box) {
            at = &port->next;
            continue;
        }
        *at = port->next;
        pod_loop_forget(world->loop, &port->watch);
        close(port->watch.fd);
        free(port);
    }
}
