/* Copies of trees: a volume's first content, a flattened root file system. */
#ifndef POD_COPYTREE_H
#define POD_COPYTREE_H

#include "err.h"

enum pod_copy_flags {
    /* SRC is a layer: whiteouts and opaque marks are carried out on DST, not copied */
    POD_COPY_WHITEOUTS = 1,
    POD_COPY_OWNERS = 2, /* chown to the source's owner (the caller may) */
};

/* What happened to DST, told as it happens. */
enum pod_copy_event {
    POD_COPY_ENTERED, /* NAME is a directory of SRC's now (kept, if it was one); "" is the top */
    POD_COPY_LEFT,    /* back in the directory above */
    POD_COPY_EMPTIED, /* nothing is left of what the directory held before */
    POD_COPY_GONE,    /* NAME is hidden: it and what lay below */
    POD_COPY_PLACED,  /* NAME is SRC's, no directory; what had the name before is gone */
};

struct pod_copy_watch {
    int (*event)(void *context, enum pod_copy_event event, const char *name, struct pod_err *err);
    void *context;
};

/* Copies what lies below the directory SRCFD into the directory DSTFD (links as links, hard links
 * kept, sparse files sparse, xattrs of user.* and, where allowed, security.capability; reflinked
 * where the file system can). The directory DSTFD itself gets SRC's mode, owner and times. Existing
 * entries of DST are replaced. */
int pod_copytree(int srcfd, int dstfd, unsigned flags, struct pod_err *err);
int pod_copytree_watched(int srcfd, int dstfd, unsigned flags, const struct pod_copy_watch *watch,
                         struct pod_err *err);

#endif
