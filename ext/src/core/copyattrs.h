/* What a copy gets besides its content: owner, mode, extended attributes, times. */
#ifndef POD_COPYATTRS_H
#define POD_COPYATTRS_H

#include <sys/stat.h>

#include "copytree.h"

/* The kernel's bounds, xattr(7). */
#define POD_XATTR_LIST_MAX 65536
#define POD_XATTR_VALUE_MAX 65536

/* For all entries of one copy. The buffers need no clearing. */
struct pod_copy_attrs {
    unsigned flags; /* enum pod_copy_flags */
    char names[POD_XATTR_LIST_MAX];
    char value[POD_XATTR_VALUE_MAX];
};

/* For files and directories: DST gets what ST tells of SRC, and its attributes. NAME is for *err. */
int pod_copy_attrs_open(struct pod_copy_attrs *copy, int src, int dst, const struct stat *st,
                        const char *name, struct pod_err *err);
/* For what is not opened, NAME in DIRFD: links, devices, FIFOs. Without extended attributes. */
int pod_copy_attrs_at(const struct pod_copy_attrs *copy, int dirfd, const char *name,
                      const struct stat *st, struct pod_err *err);

#endif
