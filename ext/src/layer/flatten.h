/* One plain tree out of layers, for hosts without overlay. */
#ifndef POD_FLATTEN_H
#define POD_FLATTEN_H

#include "../core/err.h"

struct pod_flatten {
    int count;
    const int *layer_fds; /* their trees, base first */
    const int *owners_fds; /* their owners records; or NULL */
    int target_fd;
    int owners_fd; /* an empty file for the record of the target, open for reading and writing */
};

/* Copies the trees of the layers into the directory `target_fd` and carries their whiteouts out
 * (both dialects of core/whiteout.h, also mixed). Of each layer's owners record stays what was said
 * of entries that come from that layer. */
int pod_flatten(const struct pod_flatten *flatten, struct pod_err *err);

#endif
