/* What a COPY or ADD takes out of a folder of the host or a view: sources that may have wildcards, less what is ignored and
 * excluded, as one archive; and a digest of it that the same files have anywhere. core/builder/copying.py writes the request. */
#ifndef POD_PICK_H
#define POD_PICK_H

#include "match.h"
#include "pack.h"

#define POD_PICK_KEEP UINT32_MAX /* the owner that a file has */
#define POD_PICK_DEPTH_MAX \
    64 /* wildcards below each other; folders that wait for something to be in them: thrice that */

enum pod_pick_flags {
    POD_PICK_LOOK = 1, /* only what the sources are */
    POD_PICK_DIGEST = 2,
};

/* One part of a mode as chmod(1) has them. */
struct pod_pick_change {
    uint32_t how; /* '=', '+' or '-' */
    uint32_t where; /* the bits that '=' clears, and that are touched at all */
    uint32_t bits;
    uint32_t
        from; /* 'X': BITS where it is a directory or somebody may run it; 'u', 'g', 'o': those; 0 */
};

struct pod_pick_item {
    char *path; /* below the root */
    uint32_t parts;
    struct pod_match_states *names; /* PARTS of them, below PATH */
    uint32_t parents; /* only what WANTED matches, with the folders above it below PATH */
    struct pod_matcher wanted;
};

/* Zero at first. */
struct pod_pick {
    uint32_t flags, uid, gid, change_count, item_count;
    struct pod_pick_change *changes;
    struct pod_pick_item *items;
    struct pod_matcher ignored, excluded;
};

int pod_pick_read(const void *request, size_t size, struct pod_pick *pick, struct pod_err *err);
void pod_pick_free(struct pod_pick *pick);
/* ENTRY's owner and mode as they are wished. */
void pod_pick_adjust(const struct pod_pick *pick, struct pod_tar_entry *entry);

#endif
