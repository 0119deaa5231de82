/* Hard links of a tree that is copied. A file with several names is linked, when it is first
 * copied, into a directory of our own at the top of DST under its device and inode; later names are
 * made from there. So what is remembered lies on the disk, not in memory. */
#ifndef POD_COPYLINKS_H
#define POD_COPYLINKS_H

#include <sys/stat.h>

#include "err.h"

struct pod_copy_links {
    int topfd; /* of DST, the caller's */
    int fd;    /* the directory of our own, or -1 */
    int made;  /* it is to be removed */
    char name[32];
};

void pod_copy_links_begin(struct pod_copy_links *links, int topfd);
/* 1: NAME in DIRFD is now one more name of a copy made before. */
int pod_copy_links_again(const struct pod_copy_links *links, const struct stat *st, int dirfd,
                         const char *name);
/* Remembers the copy NAME in DIRFD for later names. A file system without hard links gives
 * copies. */
void pod_copy_links_first(struct pod_copy_links *links, const struct stat *st, int dirfd,
                          const char *name);
/* Removes the directory; again is harmless. */
int pod_copy_links_end(struct pod_copy_links *links, struct pod_err *err);

#endif
