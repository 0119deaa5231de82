/* One plain tree out of layers, for hosts without overlay. */
#ifndef POD_FLATTEN_H
#define POD_FLATTEN_H

#include "../core/err.h"

/* Copies the trees of the COUNT layers, base first, into the directory TARGETFD, and carries their
 * whiteouts out (both dialects of core/whiteout.h, also mixed). */
int pod_flatten(const int *layer_fds, int count, int targetfd, struct pod_err *err);

#endif
