/* netd's protocol: between it and supervisors (and Python, who only asks), over AF_UNIX SOCK_SEQPACKET at RUN_DIR/netd/ctl. One
 * message a packet. It crosses versions of pod: tags are only ever added, unknown ones are skipped, a struct only grows at its end.
 *
 *   message     from         items                                              descriptors
 *   HELLO       netd         -                                                  holder's userns, its netns, netd's program (memory file)
 *   REGISTER    supervisor   of the container, then END and what follows it,    netns, rtnl, nfnl, udp, tcp: those of FDS, in this order
 *                            once an interface
 *   RELEASE     supervisor   -              the process ended; the connection stays for the next start. No answer
 *   CONNECT     supervisor   one END        one interface more
 *   DISCONNECT  supervisor   NET_ID
 *   RENAME      supervisor   NAME
 *   DONE        netd         PORTS; of each interface END, NET_ID, LEASE; STATE,    answers REGISTER, CONNECT, DISCONNECT, RENAME
 *                            HOSTS
 *   FAILED      netd         STEP, ERRNO, PATH                                      likewise; nothing was changed
 *   CHANGED     netd         as DONE      unasked: somebody that it has a link to came, went or moved
 *   QUERY       anybody      -
 *   ANSWER      netd         JSON         all that it knows, for `network inspect -v`, doctor, tests
 *
 * STATE, HOSTS and JSON of more than POD_WIRE_PIECE bytes are several items, one after the other. What has no room in a message is
 * refused whole: nothing of it was done.
 *
 * A connection that ends releases its container. When netd ends without a word (killed) a supervisor starts another with the
 * holder's descriptors, and each sends REGISTER again, with PORTS and the LEASE of every interface: those exist already. */
#ifndef POD_WIRE_H
#define POD_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define POD_WIRE_MAGIC 0x54454e50u /* "PNET" */
#define POD_WIRE_VERSION 1
#define POD_WIRE_MAX 196608 /* a packet has to be within net.core.wmem_default, 212992 mostly */
#define POD_WIRE_PIECE 32768
#define POD_WIRE_FDS 5

enum pod_wire_type {
    POD_WIRE_HELLO = 1,
    POD_WIRE_REGISTER = 2,
    POD_WIRE_RELEASE = 3,
    POD_WIRE_CONNECT = 4,
    POD_WIRE_DISCONNECT = 5,
    POD_WIRE_RENAME = 6,
    POD_WIRE_DONE = 7,
    POD_WIRE_FAILED = 8,
    POD_WIRE_CHANGED = 9,
    POD_WIRE_QUERY = 10,
    POD_WIRE_ANSWER = 11,
};

/* Texts have no NUL on the wire. Numbers are little-endian, of 32 bits. Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d. */
enum pod_wire_tag {
    POD_ITEM_CONTAINER = 1, /* its id */
    POD_ITEM_NAME = 2,
    POD_ITEM_HOSTNAME = 3,
    POD_ITEM_SERVER = 4, /* text, again and again: --dns */
    POD_ITEM_HOST_GATEWAY =
        5, /* number 1: connections to the gateway's address reach the host's loopback */
    POD_ITEM_PORT = 6, /* struct pod_wire_port, again and again */
    POD_ITEM_FDS = 7, /* number, bits 1 << position: which descriptors come along */

    POD_ITEM_END = 16, /* empty; the following are of this interface */
    POD_ITEM_NET_ID = 17,
    POD_ITEM_NET_NAME = 18,
    POD_ITEM_BRIDGE = 19, /* name of the bridge's interface in the holder */
    POD_ITEM_NET_FLAGS = 20, /* number: enum pod_net_flags (world.h) */
    POD_ITEM_MTU = 21, /* number; absent: 65520 less what nothing needs, netd's choice */
    POD_ITEM_SUBNET = 22, /* struct pod_wire_subnet, one a family */
    POD_ITEM_TAKEN = 23, /* address, again and again: given to nobody (--aux-address) */
    POD_ITEM_ADDRESS = 24, /* address, one a family: --ip, --ip6 */
    POD_ITEM_MAC = 25, /* 6 bytes */
    POD_ITEM_ALIAS = 26, /* text, again and again */
    POD_ITEM_LINK =
        27, /* text "alias=container id", again and again; its name where there was no such container yet */
    POD_ITEM_PRIORITY =
        28, /* number, signed: the highest has the default route; among equals the first network by name (Docker's rule) */
    POD_ITEM_LEASE = 29, /* netd's own bytes */
    POD_ITEM_KIND =
        30, /* text: "bridge" (absent too), "macvlan", "ipvlan": what the interface is, between the holder's containers */

    POD_ITEM_PORTS =
        31, /* 2 bytes each: the host's ports that the published ones had, in their order; 0: none. Of more than LEASE has room for */

    POD_ITEM_STATE =
        40, /* JSON, member "network" of state.json: {"Networks":{NAME:{…}},"Ports":{"80/tcp":[{…}]}} in Docker's words */
    POD_ITEM_HOSTS = 41, /* lines of /etc/hosts after those that Python wrote */
    POD_ITEM_STEP = 42, /* text: name of steps.h */
    POD_ITEM_ERRNO = 43,
    POD_ITEM_PATH = 44,
    POD_ITEM_JSON = 45,
};

struct pod_wire_head {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
    uint32_t serial; /* of an answer: that of the question */
    uint32_t length; /* of the items */
};

struct pod_wire_item {
    uint16_t tag;
    uint16_t length; /* of what follows, without the zeros up to the next multiple of 4 */
};

/* A port without an address is two items, 0.0.0.0 and :: right after it, alike else: the second gets the port that the first got,
 * and is passed over where the host has no IPv6. */
struct pod_wire_port {
    uint8_t host[16]; /* address; ::ffff:0.0.0.0 all IPv4, :: all IPv6 */
    uint16_t first, last; /* of the host; 0, 0: any */
    uint16_t container;
    uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP */
    uint8_t
        fallback; /* 1: where FIRST may not be bound for want of rights (below 1024) FIRST + 8000 is tried, else + 1 … (--port-fallback) */
};

struct pod_wire_subnet {
    uint8_t base[16], gateway[16], first[16],
        last[16]; /* addresses are given out from FIRST to LAST */
    uint8_t prefix; /* of the family: 24 of IPv4, 64 of IPv6 */
    uint8_t family; /* 4, 6 */
    uint8_t unused[2];
};

/* A message being written; PACKET begins with the head. */
struct pod_wire {
    uint8_t packet[POD_WIRE_MAX];
    size_t used;
    int overflow;
};

void pod_wire_begin(struct pod_wire *wire, uint16_t type, uint32_t serial);
void pod_wire_put(struct pod_wire *wire, uint16_t tag, const void *value, size_t length);
void pod_wire_text(struct pod_wire *wire, uint16_t tag, const char *value);
/* As many items as it takes, one at least. */
void pod_wire_pieces(struct pod_wire *wire, uint16_t tag, const char *value, size_t length);
void pod_wire_number(struct pod_wire *wire, uint16_t tag, uint32_t value);
/* With up to POD_WIRE_FDS descriptors. Not waiting; -1 and err (EAGAIN: the peer is slow; EMSGSIZE: it overflowed). */
int pod_wire_send(int fd, struct pod_wire *wire, const int *fds, int count, struct pod_err *err);
/* One packet; descriptors that came along, -1 where fewer. 0; -1 with errno EAGAIN; -1 with ECONNRESET at the end; -1 with EPROTO for
 * what is no message: it is checked whole, items included. */
int pod_wire_receive(int fd, struct pod_wire *wire, int fds[POD_WIRE_FDS], struct pod_err *err);
static inline const struct pod_wire_head *pod_wire_head(const struct pod_wire *wire)
{
    return (const struct pod_wire_head *)(const void *)wire->packet;
}
/* Walks: NULL first, NULL at the end. The value follows the item. */
const struct pod_wire_item *pod_wire_next(const struct pod_wire *wire,
                                          const struct pod_wire_item *item);

#endif
