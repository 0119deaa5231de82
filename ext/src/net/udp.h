/* What the files of udp*.c share: the table of mappings, and buffers for batches of datagrams.
 *
 *   out   one mapping for each (container's address, port): a socket of the host's namespace, not connected, so that every remote
 *         sees the same port (RFC 4787: endpoint-independent); answers go into the holder by sockets that have the remote's port
 *         and take its address for each datagram
 *   in    one mapping for each client of a published port: a socket of the holder, bound to the client's address and connected to
 *         the container
 *   way   a pair of addresses that has much to say, of a mapping out: a socket of the holder with the remote's address, connected
 *         to the container: the kernel gives it what would else come to the listener that all share */
#ifndef POD_UDP_H
#define POD_UDP_H

#include "gateway.h"
#include "icmp.h"
#include "peer.h"

/* Mappings of a container, at most, and of all: a quarter of the descriptors there may be, up to this. */
#define POD_UDP_BOX_MAX 1024
#define POD_UDP_MAX 4096
/* ms; RFC 4787 (4.3) wants two minutes once both sides spoke, and allows less for well-known ports. */
#define POD_UDP_ONCE 30000
#define POD_UDP_BOTH 180000
#define POD_UDP_DNS 10000

struct pod_udp_port { /* a published one */
    struct pod_watch watch; /* the listener, in the host's namespace */
    struct pod_udp_port *next;
    struct pod_box *box;
    uint16_t container; /* network's byte order */
};

struct pod_udp_owner { /* a container that has mappings */
    struct pod_udp_owner *next;
    struct pod_box *box;
    struct pod_mapping *oldest, *newest; /* by use */
    int count;
};

struct pod_mapping {
    struct pod_watch watch; /* out: the host's socket. In: that of the holder */
    struct pod_mapping *chain; /* of the table */
    struct pod_mapping *older, *newer; /* of the owner */
    struct pod_udp_owner *owner;
    struct pod_end *end;
    struct pod_udp_port *port; /* in; NULL: out */
    struct pod_way *ways; /* out */
    struct pod_peer inside; /* of the container */
    struct pod_peer outside; /* in: the client. Out: whom it spoke to last */
    struct in6_addr local; /* in: which of the host's addresses the client knows */
    int64_t used;
    uint8_t from_inside, from_outside, dns;
    uint8_t streak; /* out: datagrams to `outside` one after the other */
    uint8_t ttl; /* out: what the host's socket was told; 0: nothing */
};

struct pod_way {
    struct pod_watch watch;
    struct pod_way *next; /* of the mapping */
    struct pod_way *older, *newer; /* of all */
    struct pod_mapping *mapping;
    struct pod_peer remote; /* as the container sees it */
};

/* --- udp_table.c -------------------------------------------------------------------------------------------------- */
int pod_mappings_open(struct pod_world *world, struct pod_err *err);
struct pod_mapping *pod_mapping_find(const struct pod_udp_port *port, const struct pod_peer *peer);
/* A new one, of END's container; takes FD over, in every case. The container's oldest goes where it has too many, the oldest of who
 * has most where all have. NULL: no memory, or no watch. */
struct pod_mapping *pod_mapping_add(struct pod_end *end, struct pod_udp_port *port,
                                    const struct pod_peer *peer, int fd,
                                    void (*ready)(struct pod_watch *, uint32_t));
void pod_mapping_used(struct pod_mapping *mapping, int from_inside, int64_t now);
void pod_mapping_end(struct pod_mapping *mapping);
/* When a descriptor is wanted and none is left: the oldest of who has most. 0 where there was none. */
int pod_mapping_sacrifice(void);
/* Those of BOX (and of END and PORT alone, where not NULL). */
void pod_mappings_forget(struct pod_box *box, struct pod_end *end, struct pod_udp_port *port);
int pod_mapping_count(void);

/* --- udp_errors.c ------------------------------------------------------------------------------------------------- */
struct pod_socket_error { /* of a socket with IP_RECVERR */
    struct pod_peer remote; /* whom the datagram was for */
    struct pod_peer offender; /* who complains; zeros: nobody knows */
    struct pod_icmp_code code; /* as it came */
    int too_big; /* the host's own, code.number tells what fits */
    uint8_t content[512]; /* of the datagram, its beginning */
    size_t length;
};
/* The next that a socket has. 0; 1 for one that is no affair of ours; -1 where there is none. */
int pod_socket_error(int fd, struct pod_socket_error *error);

/* The next control message, without the signs that musl's macro compares. */
struct cmsghdr *pod_control_next(struct msghdr *message, struct cmsghdr *last);

/* --- udp_batch.c -------------------------------------------------------------------------------------------------- */
#define POD_BATCH 32
#define POD_DATAGRAM 65536

struct pod_datagram {
    struct pod_peer from, to; /* TO: of listeners, by control message; else zeros */
    const uint8_t *bytes;
    size_t length;
    int ttl; /* 0: not told */
};

/* Up to POD_BATCH that wait, in order; how many, 0 where none does. -1 where the socket has an error to tell. They are valid until the
 * next call. Those whose sender makes no sense are left out. */
int pod_batch_receive(int fd, struct pod_datagram *datagrams);
/* The first COUNT of DATAGRAMS through FD: to TO (NULL: FD is connected), with SOURCE as the sender's address (NULL: the socket's own).
 * How many went: not always all. 0: errno tells why the first did not. */
int pod_batch_send(int fd, const struct pod_datagram *datagrams, int count,
                   const struct pod_peer *to, const struct in6_addr *source);
/* Memory of large datagrams is given back. */
void pod_batch_rest(void);

/* Sends what can be sent; what the kernel has no room for, or refuses, is lost. */
void pod_batch_pour(int fd, const struct pod_datagram *datagrams, int count,
                    const struct pod_peer *to, const struct in6_addr *source);

/* --- udp_reply.c -------------------------------------------------------------------------------------------------- */
/* Into a container, from a remote that no socket is bound to. */
void pod_reply(struct pod_world *world, const struct pod_datagram *datagrams, int count,
               const struct pod_peer *remote, const struct pod_peer *inside);
/* A socket of the holder with the power to have foreign addresses, of the family of ADDRESS; -1 and errno. */
int pod_transparent(struct pod_world *world, const struct in6_addr *address);
/* A transparent socket bound to REMOTE, connected to INSIDE; -1 and errno. */
int pod_impostor(struct pod_world *world, const struct pod_peer *remote,
                 const struct pod_peer *inside);
/* The way of MAPPING to and from REMOTE, NULL where there is none. */
struct pod_way *pod_way_find(const struct pod_mapping *mapping, const struct pod_peer *remote);
/* Makes one, if it can be made; the one least recently made goes where there are too many. */
void pod_way_make(struct pod_world *world, struct pod_mapping *mapping,
                  const struct pod_peer *remote, void (*ready)(struct pod_watch *, uint32_t));
void pod_ways_end(struct pod_mapping *mapping);

#endif
