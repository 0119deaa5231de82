/* What the parts of netd's own side share: connections, what a message asks for, addresses, interfaces. */
#ifndef POD_NETD_H
#define POD_NETD_H

#include "netlink.h"
#include "wire.h"
#include "world.h"

#define POD_TAKEN_MAX 64
#define POD_LEASE_PORTS 64
#define POD_PORTS_MAX 2048
#define POD_BOXES_MAX 4096 /* containers of one netd, and its connections */
#define POD_SERVERS_MAX 16
#define POD_TICK_MS 500

/* Netd's own bytes about an interface; what is shorter lacks what came later. */
struct pod_lease {
    uint8_t v4[16], v6[16], mac[6], unused[2];
    char ifname[IFNAMSIZ], outer[IFNAMSIZ], id[64];
    uint16_t ports
        [POD_LEASE_PORTS]; /* of the host, that the container's first published ports had, in their order; 0: none */
};

/* An interface that is asked for. */
struct pod_wish {
    char net_id[65], net_name[POD_NAME_MAX], bridge[IFNAMSIZ], kind[16];
    uint32_t flags, mtu;
    int32_t priority;
    struct pod_subnet v4, v6;
    struct in6_addr taken[POD_TAKEN_MAX];
    int taken_count;
    struct in6_addr want4, want6; /* zero: any */
    uint8_t mac[6];
    int has_mac;
    struct pod_lease lease;
    size_t lease_length; /* 0: none */
    char *aliases[POD_ALIASES_MAX], *links[POD_ALIASES_MAX]; /* allocated */
    int alias_count, link_count;
};

/* A REGISTER or CONNECT, taken apart. Freed by pod_order_free. */
struct pod_order {
    char id[65], name[POD_NAME_MAX], hostname[POD_NAME_MAX];
    char **servers;
    int server_count, host_gateway;
    uint32_t fds; /* bits */
    struct pod_wire_port *ports;
    uint16_t *had; /* PORTS: the host's ports of an earlier netd, HAD_COUNT of them */
    int port_count, had_count;
    struct pod_wish *wishes; /* of an array of POD_ENDS_MAX */
    int wish_count;
    char disconnect[65]; /* DISCONNECT: NET_ID */
};

/* --- order.c ----------------------------------------------------------------------------------------------------- */
int pod_order_read(const struct pod_wire *wire, struct pod_order *order, struct pod_err *err);
void pod_order_free(struct pod_order *order);

/* --- addresses.c --------------------------------------------------------------------------------------------------- */
/* Chooses END's addresses and MAC: those wished for, those of its lease where they are free, else the lowest that are.
 * EADDRINUSE, EADDRNOTAVAIL (none left), EINVAL (not of the subnet), the address or network as the path. */
int pod_addresses_choose(struct pod_world *world, struct pod_end *end, const struct pod_wish *wish,
                         struct pod_err *err);
void pod_address_text(const struct in6_addr *address, char text[46]);

/* --- links.c, routes.c --------------------------------------------------------------------------------------------- */
/* Once in a new holder. */
int pod_links_open(struct pod_world *world, struct pod_err *err);
int pod_links_net(struct pod_world *world, struct pod_net *net, struct pod_err *err);
void pod_links_net_gone(struct pod_world *world, struct pod_net *net);
/* Whether anybody's interface is at its bridge. */
int pod_links_carries(const struct pod_world *world, const struct pod_net *net);
/* The interface inside, with addresses. One that a killed netd made and LEASE tells of is taken as it is. */
int pod_links_end(struct pod_world *world, struct pod_end *end, const struct pod_lease *lease,
                  struct pod_err *err);
/* Takes an interface out of a container that goes on, in a process of its own: it blocks for 10 to 30 ms. Returns a descriptor that
 * reads its end when that is done, -1. */
int pod_links_remove(struct pod_world *world, const struct pod_end *end, struct pod_err *err);
/* Default routes of BOX as its interfaces are now. */
int pod_links_routes(struct pod_box *box, struct pod_err *err);

/* --- boxes.c --------------------------------------------------------------------------------------------------------- */
/* Everything that ORDER says of a container; FDS are taken over where it works. All or nothing. */
int pod_box_make(struct pod_world *world, const struct pod_order *order, int fds[POD_WIRE_FDS],
                 struct pod_box **made, struct pod_err *err);
int pod_box_connect(struct pod_world *world, struct pod_box *box, const struct pod_wish *wish,
                    struct pod_err *err);
/* *DONE as pod_links_remove returns it. */
int pod_box_disconnect(struct pod_world *world, struct pod_box *box, const char *net_id, int *done,
                       struct pod_err *err);
/* Called twice a second while there are networks without containers: takes those away that nobody came for. How many are left. */
int pod_nets_tidy(struct pod_world *world);
void pod_box_free(struct pod_world *world, struct pod_box *box);

/* --- answers.c ------------------------------------------------------------------------------------------------------- */
/* DONE or CHANGED. Where it has no room the message overflows. */
void pod_answer_box(struct pod_world *world, const struct pod_box *box, struct pod_wire *wire);
/* ANSWER. */
void pod_answer_world(struct pod_world *world, struct pod_wire *wire);

/* --- control.c ------------------------------------------------------------------------------------------------------- */
struct pod_control;
/* Connections of LISTENER; LOOK is set when one ended or let go of its container; PROGRAM goes along with HELLO. FAILED: instead of HELLO each gets this, NULL: it works. */
struct pod_control *pod_control_open(struct pod_world *world, int listener, int program,
                                     struct pod_timer *look, const struct pod_err *failed,
                                     struct pod_err *err);
/* How many there are. */
int pod_control_connections(const struct pod_control *control);
/* Takes those that wait; how many came. */
int pod_control_accept(struct pod_control *control);
/* Everything ends. */
void pod_control_end(struct pod_control *control);

#endif
