/* Files of records of what can have no attribute: one in the container's folder, one in each volume's, one for all bind
 * mounts of the store.
 *
 * Rows are only ever added, whole, and the last of a file's holds; so several emulators may add to one. What was written
 * only in part (a full disk, a kill) is passed over. Whoever uses it holds a shared lock, and only who is alone may write it
 * anew without the rows that hold no more. */
#ifndef POD_SIDECAR_H
#define POD_SIDECAR_H

#include <stdint.h>
#include <sys/types.h>

/* 48 bytes, little-endian. */
struct pod_record {
    uint64_t
        dev; /* 0: that of the place; in that of bind mounts the file system's id (statfs(2)) */
    uint64_t ino;
    int64_t born; /* statx' btime in ns, 0 where there is none: an inode's number is given again */
    uint32_t uid, gid;
    uint32_t device, major, minor;
    uint32_t check; /* of all before, never 0 */
};

struct pod_sidecar {
    int fd; /* -1: kept in memory only */
    off_t read; /* rows up to here are known */
};

enum pod_sidecar_flags {
    POD_SIDECAR_TEMPORARY =
        1, /* rows with a dev are of this run: dropped when it is written anew */
    POD_SIDECAR_FORGETS =
        2, /* the oldest go when it has become long: nobody knows what is there still */
};

/* NAME in FOLDER, made if missing (read only where it cannot be written). It is written anew where that is worth it. */
void pod_sidecar_open(struct pod_sidecar *sidecar, int folder, const char *name, int flags);
/* Hands ROW every row that was not read yet. Costs one fstat where there is none. */
void pod_sidecar_read(struct pod_sidecar *sidecar, void (*row)(void *, const struct pod_record *),
                      void *context);
/* Fills in the check. 0 or a negative errno. */
int pod_sidecar_add(struct pod_sidecar *sidecar, struct pod_record *row);

uint32_t pod_record_check(const struct pod_record *row);

#endif
