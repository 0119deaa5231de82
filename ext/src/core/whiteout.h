/* How a layer's tree says that something of the layers below is gone. Two dialects:
 *
 *                 image-spec, aufs (in archives)      overlay on user xattrs (kernel, Documentation/filesystems/overlayfs.rst)
 *   name gone     an entry ".wh.NAME"                 character device 0/0 called NAME
 *   all gone      an entry ".wh..wh..opq"             user.overlay.opaque=y on the directory
 *
 * Names with ".wh..wh." otherwise are aufs's own affairs and no content (image-spec layer.md,
 * "Whiteouts"). */
#ifndef POD_WHITEOUT_H
#define POD_WHITEOUT_H

#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define POD_WHITEOUT_PREFIX ".wh."
#define POD_WHITEOUT_PREFIX_LENGTH 4
#define POD_WHITEOUT_META ".wh..wh."
#define POD_WHITEOUT_META_LENGTH 8
#define POD_WHITEOUT_OPAQUE ".wh..wh..opq"
#define POD_OPAQUE_XATTR "user.overlay.opaque"

static inline int pod_is_whiteout_name(const char *name)
{
    return strncmp(name, POD_WHITEOUT_PREFIX, POD_WHITEOUT_PREFIX_LENGTH) == 0;
}

static inline int pod_is_whiteout_node(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* 0 or -1 and errno. */
static inline int pod_set_opaque(int dirfd)
{
    return fsetxattr(dirfd, POD_OPAQUE_XATTR, "y", 1, 0);
}

static inline int pod_is_opaque(int dirfd)
{
    char value;
    return fgetxattr(dirfd, POD_OPAQUE_XATTR, &value, 1) == 1 && value == 'y';
}

#endif
