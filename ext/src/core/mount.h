/* Carries out the mount plan of a container: operations as data, in order (see plan.h for the kinds).
 *
 * Runs in the container's first process, in its new user and mount namespaces, before pivot_root: host paths are still visible,
 * targets are resolved under the new root by beneath.h and used by descriptor, so that no link in an image or in a shared volume moves them. */
#ifndef POD_MOUNT_H
#define POD_MOUNT_H

#include "plan.h"

/* Mounts the root (overlay of LOWERS, UPPER, WORK on ROOT; or binds the plain tree ROOT over itself) and returns an O_PATH
 * descriptor of it. */
int pod_mount_root(const struct pod_plan *plan, struct pod_err *err);

/* Told of each volume that got its first content: CONTENT of the image was copied to VOLUME. */
struct pod_mount_watch {
    int (*filled)(void *context, int rootfd, int content, int volume, struct pod_err *err);
    void *context;
};

/* Does every entry of MOUNTS. WATCH may be NULL. */
int pod_mount_all(const struct pod_plan *plan, int rootfd, const struct pod_mount_watch *watch,
                  struct pod_err *err);

/* Whether flags hold for what is mounted below the source too. */
enum pod_bind_depth {
    POD_BIND_TOP = 0,
    POD_BIND_BELOW = 1, /* where the kernel can (mount_setattr, 5.12) */
    POD_BIND_WHOLE = 2, /* or EOPNOTSUPP */
};

/* Binds what SOURCEFD names on what TARGETFD names; MS_REC, MS_RDONLY, MS_NOSUID … of FLAGS hold on the new mount. With MS_SLAVE it
 * gets what the host mounts there later; else it is private. */
int pod_mount_bind(int sourcefd, int targetfd, unsigned long flags, int recursive_flags,
                   const char *name, struct pod_err *err);

/* What a BIND or VOLUME mounts, O_PATH: its source, and in that the subpath, which no link and no ".." leads out of. With sub-ids
 * a path that only the caller may pass is opened as the caller: the ids inside may be others (--userns keep-id). */
int pod_mount_open_source(const struct pod_plan *plan, const struct pod_mount *m,
                          struct pod_err *err);

/* Makes ROOTFD the root of the mount namespace and lets go of the old one. */
int pod_mount_pivot(int rootfd, struct pod_err *err);

/* The root itself becomes read-only. */
int pod_mount_root_rdonly(struct pod_err *err);

#endif
