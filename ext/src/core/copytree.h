/* Copies of trees: a volume's first content, a flattened root file system. */
#ifndef POD_COPYTREE_H
#define POD_COPYTREE_H

#include "err.h"

enum pod_copy_flags {
    /* SRC is a layer: whiteouts and opaque marks are carried out on DST, not copied */
    POD_COPY_WHITEOUTS = 1,
    POD_COPY_OWNERS = 2, /* chown to the source's owner (the caller may) */
};

/* Copies what lies below the directory SRCFD into the directory DSTFD (links as links, hard links
 * kept, sparse files sparse, xattrs of user.* and, where allowed, security.capability; reflinked
 * where the file system can). The directory DSTFD itself gets SRC's mode, owner and times. Existing
 * entries of DST are replaced. */
int pod_copytree(int srcfd, int dstfd, unsigned flags, struct pod_err *err);

#endif
