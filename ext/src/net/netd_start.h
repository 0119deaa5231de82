/* How a client, or a supervisor whose netd was killed, comes to netd: by its socket, or it starts one. Part of pod-helper.
 *
 *   FOLDER/ctl           the socket. Bound by who starts netd, under the lock, and handed over: a connection may be made, and a
 *                        message sent, before netd runs
 *   FOLDER/lock          flock(2): held while one is started, and by a netd that goes. Never removed
 *   FOLDER/holder-P-S    process P, started at S (clock ticks after boot): its namespaces are those of the bridges
 *
 * netd's arguments and descriptors: */
#ifndef POD_NETD_START_H
#define POD_NETD_START_H

#include <errno.h>

#include "err.h"

enum pod_netd_fd {
    POD_NETD_LISTENER = 3,
    POD_NETD_PROGRAM,
    POD_NETD_MAPPED,
    POD_NETD_USERNS,
    POD_NETD_NETNS,
    POD_NETD_FDS /* one more than the last */
};
/* argv: "pod-netd", FOLDER, and a letter for each of MAPPED, USERNS and NETNS that is there: "mun", "-" for none. */

#define POD_NETD_PATH (4096 + 64) /* of a file in FOLDER */

struct pod_netd_start {
    const char *folder; /* RUN_DIR/netd; made where it is missing */
    const char *program; /* path of pod-netd; NULL: program_fd */
    int program_fd; /* the memory file that HELLO brought; -1 */
    int mapped; /* the mapped user namespace, in which the holder's is made; -1: in the caller's own */
    int userns, netns; /* the holder's, that HELLO brought; -1 */
};

/* A connection, close-on-exec: netd's first message on it is HELLO, or FAILED (serial 0) where it cannot do its work; it ends
 * before either where netd was just going or is killed: call this again (three times are enough to believe that it fails).
 * Blocks while another starts netd, 10 s at most. The caller may have threads, no child of its own is waited for. */
int pod_netd_connect(const struct pod_netd_start *start, struct pod_err *err);
/* Of a netd that is there; -1 with ENOENT or ECONNREFUSED where none is. */
int pod_netd_connect_only(const char *folder, struct pod_err *err);

/* flock(2) where there are no locks: it is gone on without, as everywhere in pod (two first starts at the same instant may then
 * get a network process each). */
static inline int pod_netd_without_locks(int errnum)
{
    return errnum == ENOLCK || errnum == ENOSYS || errnum == EOPNOTSUPP;
}

#endif
