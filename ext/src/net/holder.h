/* The holder: one user namespace with one network namespace for all containers of a run directory. Bridges live in it; netd does
 * not, for it has to reach the host's network. A small process stays inside ("pod-holder"): it makes sockets there and sends
 * them out (SCM_RIGHTS). The namespaces live as long as it, or anybody who holds descriptors of them.
 *
 * The user namespace lies in the mapped one where there are sub-ids, so that both netd (in the caller's) and a supervisor (in
 * the mapped one), who starts netd anew when it was killed, have power over it (user_namespaces(7): who owns an ancestor). */
#ifndef POD_HOLDER_H
#define POD_HOLDER_H

#include <sys/types.h>

#include "err.h"

struct pod_holder {
    pid_t pid;
    int socket; /* to the process inside */
    int userns, netns;
    int rtnl,
        nfnl; /* NETLINK_ROUTE and NETLINK_NETFILTER of the inside. sendto(2) naming the kernel's address: power is then asked of
                     * the sender, not of who made the socket (netlink(7), NETLINK_SKB_DST in af_netlink.c) */
};

/* Makes the process inside: in the namespaces USERNS and NETNS that HOLDER has, else in those that a pin in FOLDER leads to, else
 * in new ones, whose user namespace lies in MAPPED (-1: in the caller's). Fills the rest of HOLDER; leaves a pin. */
int pod_holder_open(struct pod_holder *holder, const char *folder, int mapped, struct pod_err *err);
/* The process ended though we did not tell it to: another, in the same namespaces. */
int pod_holder_again(struct pod_holder *holder, const char *folder, struct pod_err *err);
/* Tells it to end; its pin goes, and with the last descriptor its namespaces. */
void pod_holder_end(struct pod_holder *holder, const char *folder);

/* A socket of the inside, close-on-exec and non-blocking. TYPE without flags. Up to some µs: a round trip. */
int pod_holder_socket(struct pod_holder *holder, int domain, int type, int protocol,
                      struct pod_err *err);
/* COUNT (≤ 64) at once. */
int pod_holder_sockets(struct pod_holder *holder, int domain, int type, int protocol, int *fds,
                       int count, struct pod_err *err);
/* Writes a sysctl of the inside: "net/ipv4/conf/all/rp_filter". */
int pod_holder_sysctl(struct pod_holder *holder, const char *path, const char *value,
                      struct pod_err *err);

#endif
