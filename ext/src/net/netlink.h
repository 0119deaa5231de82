/* Raw netlink: one message or a batch, and the kernel's answers. No library, no allocation. */
#ifndef POD_NETLINK_H
#define POD_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define POD_NETLINK_ROOM 16384

struct pod_netlink {
    char bytes[POD_NETLINK_ROOM] __attribute__((aligned(8)));
    size_t used;
    struct nlmsghdr *message; /* the last one, while it grows */
    int overflow;
    uint32_t sequence;
};

void pod_netlink_reset(struct pod_netlink *n);
/* Begins a message; HEADER follows struct nlmsghdr (ifinfomsg, nfgenmsg …). */
void pod_netlink_begin(struct pod_netlink *n, uint16_t type, uint16_t flags, const void *header,
                       size_t length);
void pod_netlink_put(struct pod_netlink *n, uint16_t type, const void *value, size_t length);
void pod_netlink_u8(struct pod_netlink *n, uint16_t type, uint8_t value);
void pod_netlink_u16(struct pod_netlink *n, uint16_t type, uint16_t value);
void pod_netlink_u32(struct pod_netlink *n, uint16_t type, uint32_t value);
void pod_netlink_be32(struct pod_netlink *n, uint16_t type, uint32_t value);
void pod_netlink_str(struct pod_netlink *n, uint16_t type, const char *value);
/* A nested attribute; returns where it begins, for _end. */
size_t pod_netlink_nest(struct pod_netlink *n, uint16_t type);
void pod_netlink_end(struct pod_netlink *n, size_t nest);
/* Sends everything with sendto(2) naming the kernel, and reads an answer for each message that asked for one (NLM_F_ACK). The first
 * error: -1 with its errno, WHAT as the path. EXIST is no error where OK_EXISTS. */
int pod_netlink_send(int fd, struct pod_netlink *n, int ok_exists, const char *what,
                     struct pod_err *err);

#endif
