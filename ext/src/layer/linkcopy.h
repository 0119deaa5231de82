/* What stands in for a hard link where the file system refuses one: vfat, 9p and other shares have none at all, others no
 * more for a file than some number. The copy has content, owner, mode, attributes and times; what is written to one of the
 * two later is not in the other. */
#ifndef POD_LINKCOPY_H
#define POD_LINKCOPY_H

#include <limits.h>
#include <sys/stat.h>

#include "../core/err.h"

/* FROM_NAME in FROM, a file, FIFO or symbolic link of which ST tells, shall be NAME in TO as well. */
struct pod_linked {
    int from;
    int to;
    const char *from_name;
    const char *name;
    struct stat st;
};

/* Whether linkat(2) failed because this file system, or this file, gets no more names. */
int pod_link_is_refused(int errnum);
/* All that is to be in the file is in it. NAME is new. */
int pod_link_copy(const struct pod_linked *link, struct pod_err *err);

#endif
