/* User namespaces and their id maps (user_namespaces(7)).
 *
 * A range map needs newuidmap/newgidmap, 2 ms though both run at once. So one mapped namespace per map and user is kept alive by whoever
 * lives in it (supervisors), and found through the folder PINS: each file there is named "<pid>-<start time>" after a
 * process whose /proc/PID/ns/user is that namespace. Joining it costs 40 µs; containers nest their own namespace in it with an identity map. */
#ifndef POD_USERNS_H
#define POD_USERNS_H

#include <stdint.h>
#include <sys/types.h>

#include "err.h"

struct pod_id_extent {
    uint32_t inside;
    uint32_t outside;
    uint32_t count;
};

#define POD_EXTENTS_MAX 32

struct pod_idmap {
    const struct pod_id_extent *uid, *gid;
    uint32_t uids, gids;        /* how many extents */
    const char *newuidmap;      /* NULL: a single id, no helper */
    const char *newgidmap;
    const char *pins;           /* folder of pins, 0700; may be NULL: then nothing is shared */
};

/* A descriptor of the mapped user namespace: a pinned one, or a new one. Only for range maps; the caller is outside.
 * Forks a child that waits while newuidmap writes. */
int pod_userns_open(const struct pod_idmap *map, struct pod_err *err);

/* Only a pinned one; -1 where there is none. */
int pod_userns_pinned(const struct pod_idmap *map);

/* Joins the namespace with all its capabilities, as the user that the caller is (whatever id that has inside), without
 * supplementary groups: what it writes in the store stays the user's. The process must be single-threaded. */
int pod_userns_join(int nsfd, struct pod_err *err);

/* Joins, and becomes root: what it writes belongs to the id that the map has for 0. */
int pod_userns_enter(int nsfd, struct pod_err *err);

/* Leaves a pin of the calling process in MAP's folder. */
int pod_userns_pin(const struct pod_idmap *map, struct pod_err *err);
void pod_userns_unpin(const struct pod_idmap *map);

/* Writes /proc/PID/{uid_map,gid_map}: the map itself where it is single, else the identity in the same extents.
 * For a single id setgroups is denied first, as the kernel demands. */
int pod_userns_write_maps(pid_t pid, const struct pod_idmap *map, struct pod_err *err);

/* A user namespace made by the calling process for itself, with the one extent INSIDE -> its present id. PROC is a
 * descriptor of a writable /proc that shows the caller: its own may be read-only by now. */
int pod_userns_unshare_single(int proc, uid_t inside_uid, gid_t inside_gid, struct pod_err *err);

/* Start time of a process in clock ticks after boot (proc(5), stat field 22); 0 where it is gone. */
uint64_t pod_process_start(pid_t pid);

#endif
