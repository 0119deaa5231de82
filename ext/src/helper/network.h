/* A container's place in netd's networks (net/wire.h): the supervisor's side.
 *
 *   child                                supervisor                                 netd
 *     'N' + what is in its namespace -->   REGISTER + the same, items of the plan -->   interfaces, addresses, ports
 *     mounts, pivots, confines …           takes the child's other words                 <- at the same time
 *     waits just before exec               <-- DONE: state.json, hosts, leases -------
 *     exec            <-------- one byte   or FAILED: the start's failure
 *
 * As long as the container runs the supervisor keeps what netd needs to know it again. Where netd was killed it starts
 * another (or finds that of another supervisor) and registers with the leases: what is there stays as it is. */
#ifndef POD_NETWORK_H
#define POD_NETWORK_H

#include <poll.h>
#include <sys/types.h>

#include "frame.h"
#include "plan.h"
#include "userns.h"
#include "wire.h"

/* enum: which of HELLO's descriptors */
enum { POD_SEED_USERNS, POD_SEED_NETNS, POD_SEED_PROGRAM, POD_SEEDS };

struct pod_question {
    int client; /* the socket of who asked; -1: nobody waits */
    uint16_t type; /* enum pod_wire_type; 0: none */
    uint32_t serial;
    uint8_t *items;
    size_t length;
};

struct pod_network {
    const struct pod_plan *plan; /* NULL: the container has no such network */
    int dirfd;
    int fd; /* to netd, -1 */
    int seeds[POD_SEEDS]; /* for the netd after this one */
    int sockets[POD_WIRE_FDS]; /* of the container's network namespace, -1 */
    uint8_t *items; /* what is registered: the plan's, as changed since */
    size_t length;
    uint8_t
        *leases; /* items PORTS; NET_ID, LEASE of each interface, as netd told them; NULL before */
    size_t lease_length;
    char *state; /* member "network" of state.json; NULL */
    char *lines; /* of the hosts file; NULL */
    uint32_t serial,
        registering; /* the last question's; that of a REGISTER without an answer, or 0 */
    int registered;
    int tries, news;
    int64_t again_at,
        pause; /* ms of CLOCK_MONOTONIC when netd is looked for anew, 0: it is there; ms waited for it last */
    struct pod_question question; /* of a client: one at a time */
    void (*changed)(void *owner); /* the state is another now */
    void *owner;
};

/* FD: a connection, made by the client; -1. A plan without NET makes all of the following do nothing. */
int pod_network_init(struct pod_network *network, const struct pod_plan *plan, int dirfd, int fd,
                     struct pod_err *err);
/* Waits for netd's HELLO. */
int pod_network_greeted(struct pod_network *network, struct pod_err *err);
/* The container's descriptors came, those of MASK (bits 1 << position) in FDS: registers. */
int pod_network_register(struct pod_network *network, unsigned mask, const int *fds,
                         struct pod_err *err);
/* netd said something. 0: nothing that the start waits for; 1: the container is on its networks now; -1: it cannot be. */
int pod_network_hear(struct pod_network *network, struct pod_err *err);
/* The process ended: its addresses and ports are free again. */
void pod_network_release(struct pod_network *network);
/* For good: told at first, waited for (some ms) at the end, so that who comes next finds the ports free. */
void pod_network_leave(struct pod_network *network);
void pod_network_left(struct pod_network *network);

/* While it runs, in the supervisor's loop: what to poll for, in at most how many ms (WITHIN, -1: no limit); what came. */
int pod_network_fill(const struct pod_network *network, struct pollfd *slot, int within);
void pod_network_tick(struct pod_network *network, int events);
/* A client's frame NETWORK; answered at once or later. */
void pod_network_ask(struct pod_network *network, int client, uint32_t type, const void *items,
                     size_t length);
void pod_network_forget(struct pod_network *network, int client);

/* --- network_reach.c ------------------------------------------------------------------------------------------------------- */
/* A connection to netd, which is started where there is none: by the client (SEEDS: NULL) or with what another netd left. */
int pod_network_connect(const struct pod_plan *plan, const int *seeds, struct pod_err *err);
/* The mapped user namespace to live in: that around a container that is joined; else the one that the holder's lies in, if it
 * has the same map, for only who lives there may start netd anew; else one of the map's pins, or a new one. A descriptor. */
int pod_network_namespace(struct pod_network *network, const struct pod_plan *plan,
                          const struct pod_idmap *map, struct pod_err *err);

/* --- network_items.c: items of wire.h in memory ----------------------------------------------------------------------- */
/* The next item at *AT, which moves behind it; NULL at the end and for what is broken. The value follows the item. */
const struct pod_wire_item *pod_items_next(const uint8_t *items, size_t length, size_t *at);
/* All of them into a message; those LEASES that belong to its interfaces among them. */
void pod_items_put(struct pod_wire *wire, const uint8_t *items, size_t length,
                   const uint8_t *leases, size_t lease_length);
/* What a client's question made of them; 0, or -1 without memory. */
int pod_items_change(uint8_t **items, size_t *length, const struct pod_question *question);
/* An answer's leases, PORTS among them, for the next REGISTER: allocated, NULL without memory. */
uint8_t *pod_items_leases(const struct pod_wire *wire, size_t *length);
/* The text of the items TAG of an answer, allocated; NULL where there is none. */
char *pod_items_text(const struct pod_wire *wire, uint16_t tag);
uint32_t pod_items_number(const struct pod_wire *wire, uint16_t tag);

/* --- network_hosts.c -------------------------------------------------------------------------------------------------------- */
/* The file "hosts" of the folder DIRFD, in place, for it is bound into the container: BASE and LINES. */
int pod_hosts_write(int dirfd, const char *base, const char *lines, struct pod_err *err);
/* LINES where BEFORE stands in it; what else the container wrote stays. Never fails. */
void pod_hosts_change(int dirfd, const char *before, const char *lines);

/* --- network_offer.c: in the container's first process ----------------------------------------------------------------- */
/* Opens what netd needs of the network namespace (net/wire.h) and sends it over SYNC. PROC: the host's. */
int pod_network_offer(int sync, int proc, struct pod_err *err);

#endif
