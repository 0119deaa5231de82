/* Removing trees whose modes, depth and names strangers chose. */
#ifndef POD_RMTREE_H
#define POD_RMTREE_H

#include "err.h"

/* Removes NAME under DIRFD, a file or a whole tree. Follows no link, crosses no mount point (EBUSY there), opens modes of
 * directories as it must, uses bounded memory and descriptors at any depth. A missing NAME is success. */
int pod_rmtree(int dirfd, const char *name, struct pod_err *err);

#endif
