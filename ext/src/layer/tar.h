/* A reader of tar streams: v7, ustar, star, GNU (long names, base-256, sparse), PAX (extended and
 * global headers, sparse 0.0, 0.1, 1.0, SCHILY.xattr, LIBARCHIVE.xattr). Sources: POSIX.1-2017 pax "ustar Interchange
 * Format", "pax Header Block"; GNU tar manual, "Basic Tar Format", "Storing Sparse Files". It only
 * reads; what an entry may do to the disk is extract.c's business.
 *
 * Bounds: one extended header or long name at most POD_TAR_SPECIAL_MAX bytes, POD_TAR_REGIONS_MAX
 * regions of a sparse file, POD_TAR_HEADERS_MAX extra headers before an entry; data is streamed. */
#ifndef POD_TAR_H
#define POD_TAR_H

#include "source.h"

#define POD_TAR_SPECIAL_MAX 1048576
#define POD_TAR_REGIONS_MAX 262144
#define POD_TAR_HEADERS_MAX 64

enum pod_tar_type {
    POD_TAR_FILE = '0',
    POD_TAR_LINK = '1',
    POD_TAR_SYMLINK = '2',
    POD_TAR_CHAR = '3',
    POD_TAR_BLOCK = '4',
    POD_TAR_DIRECTORY = '5',
    POD_TAR_FIFO = '6',
};

struct pod_tar_region {
    uint64_t offset;
    uint64_t length;
};

/* One extended attribute of an entry; both point into the reader's memory. */
struct pod_tar_xattr {
    const char *name;
    const unsigned char *value;
    size_t length;
};

struct pod_tar_entry {
    enum pod_tar_type type;
    const char *path; /* as the archive has it, not empty, no NUL inside */
    const char *link;
    uint64_t size; /* of the file, holes included */
    uint64_t stored; /* bytes of data in the archive */
    uint32_t mode; /* 07777 at most */
    uint32_t uid; /* never (uint32_t)-1 */
    uint32_t gid;
    int64_t seconds; /* of mtime */
    uint32_t nanoseconds;
    uint32_t major;
    uint32_t minor;
    int sparse; /* regions (perhaps none) tell where the stored bytes go */
    size_t region_count;
    const struct pod_tar_region *regions; /* ascending, inside size, together `stored` bytes */
    size_t xattr_count;
    const struct pod_tar_xattr *xattrs;
};

struct pod_tar;

int pod_tar_open(struct pod_source *source, struct pod_tar **tar, struct pod_err *err);
/* 1: *entry is the next one, valid until the next call; 0: the end, and the source is read to its
 * end. What is left of the data of the entry before is skipped. */
int pod_tar_next(struct pod_tar *tar, const struct pod_tar_entry **entry, struct pod_err *err);
/* The next piece of the entry's data, *length 0 at its end. An archive that ends before it is
 * ENODATA. */
int pod_tar_data(struct pod_tar *tar, const unsigned char **data, size_t *length,
                 struct pod_err *err);
/* Whether the next piece will be all that is left of it. */
int pod_tar_is_at_hand(const struct pod_tar *tar);
void pod_tar_close(struct pod_tar **tar);

#endif
