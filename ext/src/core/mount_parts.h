/* What the parts of mount.c share: nobody else includes this. */
#ifndef POD_MOUNT_PARTS_H
#define POD_MOUNT_PARTS_H

#include <stdio.h>

#include "mount.h"

struct pod_fd_path {
    char text[32];
};

static inline struct pod_fd_path pod_fd_path(int fd)
{
    struct pod_fd_path path;
    snprintf(path.text, sizeof path.text, "/proc/self/fd/%d", fd);
    return path;
}

/* mount_bind.c: MS_* that FD's mount has and that a less privileged namespace may not clear (mount_namespaces(7)). */
unsigned long pod_mount_locked_flags(int fd);

/* mount_target.c */
/* The directory TARGET, made if missing; with NOFOLLOW no component may be a link. */
int pod_mount_target_directory(const struct pod_mount *m, int rootfd, const char *target,
                               struct pod_err *err);
/* TARGET as a regular file to bind on, made empty if missing, also where a link leads to nothing (Ubuntu's resolv.conf). What was
 * there is not opened for reading or writing: it may be a FIFO or device. */
int pod_mount_target_file(int rootfd, const char *target, struct pod_err *err);
/* An image's links may not turn a mount meant for elsewhere into one over /proc (CVE-2019-16884 and its kin). */
int pod_mount_check_place(int fd, const char *target, struct pod_err *err);

/* mount_volume.c */
int pod_mount_do_bind(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                      struct pod_err *err);
int pod_mount_do_volume(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                        const struct pod_mount_watch *watch, struct pod_err *err);
/* mount_image.c */
int pod_mount_do_image(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                       struct pod_err *err);

#endif
