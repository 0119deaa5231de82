/* Who owns what, where the disk can only say "root": three places, asked in this order.
 *
 *   user.pod.owner     of files and folders: "UID:GID", or "UID:GID:c|b:MAJOR:MINOR" on the empty file that stands for a device
 *   the sidecar        of what can have no such attribute (links, FIFOs, sockets, tmpfs of old kernels): the file "owners" in
 *                      the container's folder, struct pod_record after struct pod_record, the last of a file holds
 *   the layers' files  ("owners" beside a layer's tree, layer/owners.h), by the inode that the layer's file has, which
 *                      overlayfs shows also after copy-up and renaming
 *
 * What has no record is root's. */
#ifndef POD_RECORDS_H
#define POD_RECORDS_H

#include <stdint.h>
#include <sys/types.h>

#include "plan.h"

#define POD_RECORDS_MAX 100000 /* of the sidecar, and of all layers together */
#define POD_OWNER_XATTR "user.pod.owner"

struct pod_owned {
    uint32_t uid, gid;
    uint32_t device; /* S_IFCHR, S_IFBLK, or 0: not a device */
    uint32_t major, minor;
};

/* 48 bytes, little-endian. */
struct pod_record {
    uint64_t
        dev; /* 0: the container's root file system, whose number differs from start to start */
    uint64_t ino;
    int64_t born; /* statx' btime in ns, 0 where there is none: an inode's number is given again */
    uint32_t uid, gid;
    uint32_t device, major, minor;
    uint32_t check; /* of all before: a torn end is passed over */
};

struct pod_record_table {
    struct pod_record *rows; /* open addressing; uid, gid of a free row are ~0 and its check 0 */
    uint32_t size, count;
};

struct pod_records {
    int sidecar; /* descriptor, or -1: kept in memory only */
    int upper; /* overlayfs' upper folder, O_PATH, or -1 */
    uint64_t root_dev;
    struct pod_record_table own, layers;
};

/* Reads sidecar and layers; to be called where the host's paths are still there. A record that cannot be read is as none. */
void pod_records_begin(struct pod_records *records, const struct pod_plan *plan, int folder);

/* The owner of the open FD (O_PATH will do); the working directory is the host's /proc. 1: there is a record. */
int pod_records_get(struct pod_records *records, int fd, struct pod_owned *owned);
/* The attribute's text, LENGTH bytes and a NUL: 1, or 0 where it is not what pod_owner_text writes. */
int pod_owner_parse(const char *text, size_t length, struct pod_owned *owned);
/* Its length. */
int pod_owner_text(const struct pod_owned *owned, char *text, size_t size);

/* 0 or a negative errno. Writes nothing where that is what is known already. */
int pod_records_set(struct pod_records *records, int fd, const struct pod_owned *owned);

#endif
