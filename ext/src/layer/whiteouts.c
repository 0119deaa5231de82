/* Whiteouts of an archive, to the dialect that the file system can hold. */
#define _GNU_SOURCE 1

#include "unpack.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../core/rmtree.h"
#include "../core/whiteout.h"

static int keep_name(struct pod_unpack *unpack, const char *name, struct pod_err *err)
{
    POD_AUTO_FD int fd =
        openat(here(unpack), name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

    return fd < 0 ? fail_here(unpack, POD_OPEN, err) : 0;
}

static int hide_all(struct pod_unpack *unpack, struct pod_err *err)
{
    if (unpack->options->dialect == POD_DIALECT_AUFS)
        return keep_name(unpack, POD_WHITEOUT_OPAQUE, err);
    return pod_set_opaque(here(unpack)) < 0 ? fail_here(unpack, POD_XATTR, err) : 0;
}

/* Hides NAME of the layers below. What this layer has itself stays (image-spec layer.md,
 * "Whiteouts"); but a directory of it no longer lets the lower one through. */
static int hide(struct pod_unpack *unpack, const char *name, struct pod_err *err)
{
    struct stat st;

    if (!name[0] || !strcmp(name, ".") || !strcmp(name, ".."))
        return fail(unpack, POD_TAR_PATH, EINVAL, err);
    if (unpack->options->dialect == POD_DIALECT_AUFS)
        return keep_name(unpack, unpack->name, err);
    if (mknodat(here(unpack), name, S_IFCHR, makedev(0, 0)) == 0)
        return 0;
    if (errno != EEXIST)
        return fail_here(unpack, POD_MKNOD, err);
    if (fstatat(here(unpack), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return fail_here(unpack, POD_STAT, err);
    if (!S_ISDIR(st.st_mode))
        return 0;
    if (pod_dirs_push(unpack->dirs, name, &st, err) != 0)
        return -1;
    return pod_set_opaque(here(unpack)) < 0 ? fail_here(unpack, POD_XATTR, err) : 0;
}

int pod_unpack_whiteout(struct pod_unpack *unpack, struct pod_err *err)
{
    int failed;

    if (!pod_is_whiteout_name(unpack->name))
        return 1;
    if (settle(unpack, err) < 0)
        return -1;
    pod_dirs_forget_top(unpack->dirs); /* of the name that goes nothing was noted */
    if (!strcmp(unpack->name, POD_WHITEOUT_OPAQUE))
        failed = hide_all(unpack, err);
    else
        failed = hide(unpack, unpack->name + POD_WHITEOUT_PREFIX_LENGTH, err);
    return failed ? -1 : 0;
}

int pod_unpack_is_aufs_affair(struct pod_unpack *unpack, struct pod_err *err)
{
    for (const char *at = unpack->path; *at;) {
        size_t length = strcspn(at, "/");
        int last = !at[length];

        if (strncmp(at, POD_WHITEOUT_META, POD_WHITEOUT_META_LENGTH) == 0) {
            if (!last || strcmp(at, POD_WHITEOUT_OPAQUE) != 0)
                return 1;
        } else if (pod_is_whiteout_name(at) && !last) {
            return fail(unpack, POD_TAR_PATH, EINVAL, err);
        }
        at += length + !last;
    }
    return 0;
}

int pod_probe_dialect(int dirfd, enum pod_dialect *dialect, struct pod_err *err)
{
    char name[40];
    POD_AUTO_FD int fd = -1;

    *dialect = POD_DIALECT_AUFS;
    snprintf(name, sizeof name, ".pod-probe-%ld", (long)getpid());
    if (mkdirat(dirfd, name, 0700) < 0)
        return pod_fail(err, POD_MKDIR, name);
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return pod_fail(err, POD_OPEN, name);
    if (pod_set_opaque(fd) == 0 && mknodat(fd, "whiteout", S_IFCHR, makedev(0, 0)) == 0)
        *dialect = POD_DIALECT_OVERLAY;
    return pod_rmtree(dirfd, name, err);
}
