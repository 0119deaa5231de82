/* What layer.c and layer_plain.c share. */
#ifndef POD_LAYER_PARTS_H
#define POD_LAYER_PARTS_H

#include "../layer/owners.h"
#include "pack.h"

struct layer {
    const struct pod_plan *plan;
    struct pod_view view;
    struct pod_pack *pack;
    int upper; /* -1: a plain tree */
    int *lowers; /* of an overlay, topmost first */
    uint32_t lower_count;
    int flat; /* of a plain tree: the image's, or -1: it has none */
    struct pod_owners owners; /* of that */
    int has_owners;
    char pending[POD_WALK_DEPTH_MAX +
                 1]; /* by depth: a directory on the way that is not told of yet */
};

/* 2: PATH is where something is mounted; 1: it leads there; 0. */
int pod_layer_leads_to_mount(const struct layer *layer, const char *path);
/* Whether ENTRY has a name that a layer cannot hold; it is counted. */
int pod_layer_is_reserved(struct layer *layer, const struct pod_walk_entry *entry);
/* ENTRY, after the directories that lead to it. */
int pod_layer_tell(struct layer *layer, const struct pod_walk_entry *entry, struct pod_err *err);
/* NAME, which was in the directory ABOVE ("" is the top), is gone; DEPTH is its own. */
int pod_layer_tell_gone(struct layer *layer, const char *above, const char *name, size_t depth,
                        struct pod_err *err);
/* What the image's directory ABOVE, which has DEPTH, has and FD has not. */
int pod_layer_tell_missing(struct layer *layer, const char *above, size_t depth, int fd,
                           struct pod_err *err);
/* A pod_walker's. */
int pod_layer_on_plain(void *context, const struct pod_walk_entry *entry, struct pod_err *err);

#endif
