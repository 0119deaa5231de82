/* The gateway's beginning, and what comes and goes with networks and containers. */
#include "gateway.h"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "gateway_own.h"

#define HOST_ONLY BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE))
#define COPY_BYTES 4194304 /* of the queue, as far as net.core.rmem_max allows */

/* Bytes of IPv4 as SOCK_DGRAM shows them: a SYN without ACK, RST, FIN, in one piece, to us. */
static struct sock_filter only_syns4[] = {
    HOST_ONLY,
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 0, 9),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 7),
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, 5, 0),
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x17),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, POD_SYN_MAX),
    BPF_STMT(BPF_RET | BPF_K, 0),
};
static struct sock_filter only_syns6[] = {
    HOST_ONLY,
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 0, 6),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 4),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 53),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x17),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, POD_SYN_MAX),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

struct pod_tcp *pod_tcp_of(struct pod_box *box)
{
    static uint32_t serials;
    struct pod_tcp *tcp = box->tcp;

    if (!tcp && (tcp = calloc(1, sizeof *tcp))) {
        tcp->serial = ++serials;
        box->tcp = tcp;
    }
    return tcp;
}

int pod_gateway_open(struct pod_world *world, struct pod_err *err)
{
    return pod_rules_open(world, err) || pod_sources_open(world, err) ||
                   pod_packets_open(world, err) || pod_syns_open(world, err) ||
                   pod_udp_open(world, err) || pod_icmp_open(world, err)
               ? -1
               : 0;
}

static int watch_copies(struct pod_syn_copy *copy, struct pod_watch *watch, uint16_t protocol,
                        const struct sock_fprog *filter, struct pod_err *err)
{
    struct sockaddr_ll bridge = {.sll_family = AF_PACKET,
                                 .sll_protocol = htons(protocol),
                                 .sll_ifindex = copy->net->ifindex};
    int bytes = COPY_BYTES;
    /* Protocol 0: nothing comes before the filter is there. */
    int fd = pod_holder_socket(copy->world->holder, AF_PACKET, SOCK_DGRAM, 0, err);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    watch->fd = fd;
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, sizeof *filter) ||
        bind(fd, (struct sockaddr *)&bridge, sizeof bridge)) {
        return pod_fail(err, POD_NETWORK, copy->net->bridge);
    }
    return pod_loop_watch(copy->world->loop, watch, EPOLLIN, err);
}

static void close_watch(struct pod_world *world, struct pod_watch *watch)
{
    if (watch->fd < 0)
        return;
    pod_loop_forget(world->loop, watch);
    close(watch->fd);
    watch->fd = -1;
}

static void close_copies(struct pod_world *world, struct pod_net *net)
{
    struct pod_syn_copy *copy = net->gateway;

    close_watch(world, &copy->v4);
    close_watch(world, &copy->v6);
    free(copy);
    net->gateway = NULL;
}

int pod_gateway_net(struct pod_world *world, struct pod_net *net, struct pod_err *err)
{
    struct sock_fprog filter4 = {sizeof only_syns4 / sizeof *only_syns4, only_syns4};
    struct sock_fprog filter6 = {sizeof only_syns6 / sizeof *only_syns6, only_syns6};
    struct pod_syn_copy *copy;

    if (net->gateway)
        return 0;
    if (!(copy = calloc(1, sizeof *copy)))
        return pod_fail(err, POD_MEMORY, net->name);
    *copy = (struct pod_syn_copy){.v4 = {.fd = -1, .ready = pod_syns_read},
                                  .v6 = {.fd = -1, .ready = pod_syns_read6},
                                  .world = world,
                                  .net = net};
    net->gateway = copy;
    if ((net->v4.family && watch_copies(copy, &copy->v4, ETH_P_IP, &filter4, err)) ||
        (net->v6.family && watch_copies(copy, &copy->v6, ETH_P_IPV6, &filter6, err)) ||
        pod_rules_net(world, net, 1, err) || pod_sources_net(world, net, 1, err)) {
        close_copies(world, net);
        return -1;
    }
    return 0;
}

void pod_gateway_net_gone(struct pod_world *world, struct pod_net *net)
{
    struct pod_err ignored;

    if (!net->gateway)
        return;
    pod_sources_net(world, net, 0, &ignored);
    pod_rules_net(world, net, 0, &ignored);
    close_copies(world, net);
}

int pod_gateway_end(struct pod_world *world, struct pod_end *end, struct pod_err *err)
{
    return pod_sources_end(world, end, err);
}

void pod_gateway_end_gone(struct pod_world *world, struct pod_end *end)
{
    pod_sources_end_gone(world, end);
    pod_syns_forget(end->box, end);
    pod_ports_end_gone(end->box, end);
    pod_splice_end_gone(end->box, end);
    pod_udp_end_gone(world, end);
}
