/* The files "owners" beside the trees of layers (layer/owners.h), as records. */
#ifndef POD_LAYERS_H
#define POD_LAYERS_H

#include "../layer/owners.h"
#include "records.h"

/* The record beside the tree DIFF ("…/diff"); 0, or -1 where there is none. */
int pod_layer_map(const char *diff, struct pod_owners *owners);
int pod_layer_has_owner(const struct pod_owner *owner);
struct pod_owned pod_layer_owned(const struct pod_owner *owner);

#endif
