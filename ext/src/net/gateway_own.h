/* What the files of the TCP gateway share. */
#ifndef POD_GATEWAY_OWN_H
#define POD_GATEWAY_OWN_H

#include "gateway.h"
#include "peer.h"

#define POD_WORKERS 16
#define POD_SYN_MAX 120 /* of a SYN, IP header and options included */

/* Of a container, while it has TCP connections or had some (pod_box.tcp). */
struct pod_tcp {
    uint32_t serial; /* names it to the workers */
    int syns; /* that wait for an upstream */
    int pairs; /* connections, in workers too */
    int in_worker[POD_WORKERS];
};

struct
    pod_syn_copy { /* of a network (pod_net.gateway): copies of the SYNs that its containers send to foreign addresses */
    struct pod_watch v4, v6;
    struct pod_world *world;
    struct pod_net *net;
};

/* NULL where there is no memory. */
struct pod_tcp *pod_tcp_of(struct pod_box *box);

/* --- gateway_rules.c ----------------------------------------------------------------------------------------------- */
int pod_rules_open(struct pod_world *world, struct pod_err *err);
/* The addresses of NET's gateway, on its bridge. */
int pod_rules_net(struct pod_world *world, const struct pod_net *net, int add, struct pod_err *err);

/* --- gateway_sources.c ------------------------------------------------------------------------------------------------- */
int pod_sources_open(struct pod_world *world, struct pod_err *err);
/* The addresses of NET's gateway belong to no container. */
int pod_sources_net(struct pod_world *world, const struct pod_net *net, int add,
                    struct pod_err *err);
int pod_sources_end(struct pod_world *world, struct pod_end *end, struct pod_err *err);
void pod_sources_end_gone(struct pod_world *world, struct pod_end *end);

/* --- gateway_packets.c: what is sent into the holder as whole packets ------------------------------------------------ */
int pod_packets_open(struct pod_world *world, struct pod_err *err);
struct pod_syn_head { /* a SYN, understood */
    struct pod_peer from, to;
    uint32_t sequence; /* host's byte order */
};
/* 0; -1 for what is no SYN in one piece. *LENGTH becomes that of its headers. */
int pod_packet_syn(const uint8_t *packet, size_t *length, struct pod_syn_head *head);
/* Again, into the holder: AGAIN: to the transparent listener, else to whom it is for. Its checksum is made anew. */
void pod_packet_inject(uint8_t *packet, size_t length, int again);
/* The connection is refused as by the other side. */
void pod_packet_refuse(const struct pod_syn_head *head);

/* --- gateway_syn.c --------------------------------------------------------------------------------------------------- */
int pod_syns_open(struct pod_world *world, struct pod_err *err);
void pod_syns_read(struct pod_watch *watch, uint32_t events);
void pod_syns_read6(struct pod_watch *watch, uint32_t events);
/* Those of END, or of all of BOX where END is NULL. */
void pod_syns_forget(struct pod_box *box, const struct pod_end *end);

/* --- splice.c -------------------------------------------------------------------------------------------------------- */
/* Whether BOX may have one more connection. */
int pod_splice_room(struct pod_box *box);
/* Connections of END alone. */
void pod_splice_end_gone(struct pod_box *box, const struct pod_end *end);

/* --- ports.c, ports_tcp.c -------------------------------------------------------------------------------------------- */
void pod_ports_refuse(int fd); /* closes it so that the other side sees a reset */
/* A client, non-blocking; -1: nobody waits, or who did was refused for want of descriptors. */
int pod_ports_accept(int listener, struct pod_peer *peer);
void pod_ports_end_gone(struct pod_box *box, const struct pod_end *end);

#endif
