#define _GNU_SOURCE 1

#include "copyattrs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "beneath.h"
#include "page.h"

static int is_copied_xattr(const struct pod_copy_attrs *copy, const char *name)
{
    if (!strcmp(name, "security.capability"))
        return 1;
    if (strncmp(name, "user.", 5) != 0)
        return 0;
    return !(copy->flags & POD_COPY_WHITEOUTS) || strncmp(name, "user.overlay.", 13) != 0;
}

/* Where DST cannot hold an attribute (tmpfs before 6.6, no right to set capabilities) it goes
 * without; a full disk is an error. */
static int copy_xattrs(struct pod_copy_attrs *copy, int src, int dst, const char *name,
                       struct pod_err *err)
{
    ssize_t length = flistxattr(src, copy->names, sizeof copy->names - 1);

    if (length <= 0)
        return 0;
    copy->names[length] = '\0';
    for (const char *at = copy->names; at < copy->names + length; at += strlen(at) + 1) {
        ssize_t size;

        if (!is_copied_xattr(copy, at))
            continue;
        size = fgetxattr(src, at, copy->value, sizeof copy->value);
        if (size < 0)
            continue; /* gone meanwhile, or not for us */
        if (fsetxattr(dst, at, copy->value, (size_t)size, 0) < 0 &&
            (errno == ENOSPC || errno == EDQUOT || errno == EIO))
            return pod_fail(err, POD_XATTR, name);
    }
    return 0;
}

/* Ids that the map of DST's file system or namespace lacks stay those of the caller. */
static int is_owner_refusal(int errnum)
{
    return errnum == EINVAL || errnum == EPERM;
}

int pod_copy_attrs_open(struct pod_copy_attrs *copy, int src, int dst, const struct stat *st,
                        const char *name, struct pod_err *err)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};

    if (copy->flags & POD_COPY_OWNERS && fchown(dst, st->st_uid, st->st_gid) < 0 &&
        !is_owner_refusal(errno))
        return pod_fail(err, POD_CHOWN, name);
    if (fchmod(dst, st->st_mode & 07777) < 0)
        return pod_fail(err, POD_CHMOD, name);
    /* A directory that a layer below made already: what that said of its owner is over. */
    if (copy->flags & POD_COPY_WHITEOUTS && S_ISDIR(st->st_mode))
        fremovexattr(dst, POD_OWNER_XATTR);
    if (copy_xattrs(copy, src, dst, name, err) < 0)
        return -1;
    return futimens(dst, times) < 0 ? pod_fail(err, POD_UTIMES, name) : 0;
}

int pod_copy_attrs_at(const struct pod_copy_attrs *copy, int dirfd, const char *name,
                      const struct stat *st, struct pod_err *err)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};

    if (copy->flags & POD_COPY_OWNERS &&
        fchownat(dirfd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 &&
        !is_owner_refusal(errno))
        return pod_fail(err, POD_CHOWN, name);
    if (!S_ISLNK(st->st_mode) && pod_chmod_at(dirfd, name, st->st_mode & 07777, err) < 0)
        return -1;
    return utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? pod_fail(err, POD_UTIMES, name)
                                                                  : 0;
}
