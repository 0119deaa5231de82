/* Attributes from PAX extended headers ("LENGTH KEY=VALUE\n" records), POSIX.1-2017 pax. */
#ifndef POD_PAX_H
#define POD_PAX_H

#include "tar.h"

enum pod_pax_has {
    POD_PAX_SIZE = 1,
    POD_PAX_UID = 2,
    POD_PAX_GID = 4,
    POD_PAX_MTIME = 8,
    POD_PAX_SPARSE_SIZE = 16,
    POD_PAX_SPARSE_MAP = 32, /* 0.0 or 0.1: regions hold it */
    POD_PAX_SPARSE_MAJOR_1 = 64,
};

/* What one extended header says. Strings point into `text`. */
struct pod_pax {
    unsigned has; /* enum pod_pax_has */
    unsigned deleted; /* the same: an empty value, the global header counts no more */
    const char *path;
    const char *link;
    const char *sparse_name;
    uint64_t size;
    uint64_t sparse_size;
    uint64_t uid;
    uint64_t gid;
    int64_t seconds;
    uint32_t nanoseconds;
    int sparse_offset_open; /* 0.0: an offset that waits for its numbytes */
    char *text;             /* the header itself, taken over; freed by pod_pax_clear */
    struct pod_tar_region *regions;
    size_t region_count;
    size_t region_room;
    struct pod_tar_xattr *xattrs;
    size_t xattr_count;
    size_t xattr_room;
};

/* Reads the LENGTH bytes of TEXT (malloc'd, one byte of room behind; taken over in any case) into
 * the cleared PAX. Malformed records are step TAR_HEADER, EBADMSG. */
int pod_pax_parse(struct pod_pax *pax, char *text, size_t length, struct pod_err *err);
/* Appends a region; LIMIT beyond POD_TAR_REGIONS_MAX. */
int pod_pax_add_region(struct pod_pax *pax, uint64_t offset, uint64_t length, struct pod_err *err);
/* Decimal digits, all of TEXT[0..length); 0 or -1. */
int pod_parse_decimal(const char *text, size_t length, uint64_t *value);
void pod_pax_clear(struct pod_pax *pax);

#endif
