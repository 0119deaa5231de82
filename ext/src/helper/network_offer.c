#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network.h"
#include "rights.h"

/* Where 127.0.0.11 is answered: a port that the kernel chooses, for 53 is the container's own. */
static int resolver_socket(int type)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(0x7f00000b)}};
    POD_AUTO_FD int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) ||
        (type == SOCK_STREAM && listen(fd, 64)))
        return -1;
    return pod_steal_fd(&fd);
}

static int send_all(int sync, const int *all, struct pod_err *err)
{
    int fds[POD_WIRE_FDS];
    unsigned mask = 0;
    int count = 0;

    for (unsigned i = 0; i < POD_WIRE_FDS; i++)
        if (all[i] >= 0) {
            fds[count++] = all[i];
            mask |= 1u << i;
        }
    char word[2] = {'N', (char)mask};
    return pod_rights_send(sync, word, sizeof word, fds, count, 0) < 0
               ? pod_fail(err, POD_NETNS, "send")
               : 0;
}

int pod_network_offer(int sync, int proc, struct pod_err *err)
{
    int fds[POD_WIRE_FDS] = {
        openat(proc, "self/ns/net", O_RDONLY | O_CLOEXEC),
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER),
        resolver_socket(SOCK_DGRAM),
        resolver_socket(SOCK_STREAM),
    };
    int failed = 0;

    /* Without packet filters or names there may be a network all the same: netd says so. */
    if (fds[0] < 0 || fds[1] < 0)
        failed = pod_fail(err, POD_NETNS, fds[0] < 0 ? "/proc/self/ns/net" : "netlink");
    else
        failed = send_all(sync, fds, err);
    for (int i = 0; i < POD_WIRE_FDS; i++)
        pod_cleanup_fd(&fds[i]);
    return failed;
}
