/* How the library of root emulation (src/preload) gets into a container's programs. PRELOAD of the plan has two host paths
 * (and "nested" where programs may make user namespaces):
 *
 *   the library   bound read-only to /dev/.pod/root.so, and beside it the page that it reads (page.h)
 *   a tree        with nothing but etc/ld.so.preload, which names it for glibc: the lowest layer of the root, so that an
 *                 image's own file wins, and nothing of it is in the container's upper folder
 *
 * musl knows no such file: where the root has its loader, LD_PRELOAD is added to the program's environment. All of it only saves
 * time, so none of it fails a start. */
#ifndef POD_PRELOAD_H
#define POD_PRELOAD_H

#include <stddef.h>

#include "plan.h"

#define POD_PRELOAD_VARIABLE 4200

/* The tree, O_PATH, to be mounted below the layers of which FIRSTFD is one; -1: not here. */
int pod_preload_tree(const struct pod_plan *plan, int firstfd);
/* Once everything else is mounted in the root ROOTFD. */
void pod_preload_mount(const struct pod_plan *plan, int rootfd);
/* Whether what is started in the root ROOTFD loads it by itself, if it is made for glibc. */
int pod_preload_in_force(const struct pod_plan *plan, int rootfd);
/* Puts LD_PRELOAD into ENV, which has a free slot at its end; TEXT has POD_PRELOAD_VARIABLE bytes and stays. */
void pod_preload_environment(const struct pod_plan *plan, int rootfd, char **env, char *text);

#endif
