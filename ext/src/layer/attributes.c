/* Owners, modes, extended attributes and times of what was made, and the owners record of them. */
#define _GNU_SOURCE 1

#include "unpack.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../core/beneath.h"
#include "../core/page.h"

/* ext4 with 256-byte inodes ends in 2446; and no program expects times before 1901. */
#define SECONDS_MIN (-(INT64_C(1) << 31))
#define SECONDS_MAX ((INT64_C(1) << 34) - (INT64_C(1) << 31) - 1)

static struct timespec entry_time(const struct pod_tar_entry *entry)
{
    struct timespec time = {entry->seconds, entry->nanoseconds};

    if (entry->seconds < SECONDS_MIN || entry->seconds > SECONDS_MAX) {
        time.tv_sec = entry->seconds < SECONDS_MIN ? SECONDS_MIN : SECONDS_MAX;
        time.tv_nsec = 0;
    }
    return time;
}

static int refuse_xattr(struct pod_unpack *unpack, const struct pod_tar_xattr *xattr,
                        struct pod_err *err)
{
    if (unpack->refused_count == unpack->refused_room) {
        size_t room = unpack->refused_room ? unpack->refused_room * 2 : 8;
        struct pod_tar_xattr *bigger = realloc(unpack->refused, room * sizeof *bigger);

        if (!bigger)
            return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
        unpack->refused = bigger;
        unpack->refused_room = room;
    }
    unpack->refused[unpack->refused_count++] = *xattr;
    return 0;
}

static int has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Attributes that steer overlay or this program, or belong to the host's kernel: never from an
 * archive. */
static int is_forbidden_xattr(const char *name)
{
    return (!has_prefix(name, "user.") && !has_prefix(name, "security.")) ||
           has_prefix(name, "user.overlay.") || has_prefix(name, "user.fuseoverlayfs.") ||
           has_prefix(name, "user.pod.");
}

/* What means that this file system or this process cannot hold the attribute, not that the disk is
 * in trouble. ENOSPC is ext4's answer when it does not fit into the inode's one block. */
static int is_refusal(int errnum)
{
    return errnum == ENOTSUP || errnum == EPERM || errnum == EINVAL || errnum == E2BIG ||
           errnum == ENOSPC || errnum == ERANGE || errnum == EACCES;
}

/* FD: the file or directory, or -1 for what has no descriptor (links, FIFOs), whose attributes are
 * only recorded. Labels other than security.capability would need the host's policy: recorded as
 * well. */
static int set_xattrs(struct pod_unpack *unpack, int fd, struct pod_err *err)
{
    const struct pod_tar_entry *entry = unpack->entry;

    for (size_t i = 0; i < entry->xattr_count; i++) {
        const struct pod_tar_xattr *xattr = &entry->xattrs[i];
        int is_label =
            has_prefix(xattr->name, "security.") && strcmp(xattr->name, "security.capability") != 0;

        if (is_forbidden_xattr(xattr->name))
            continue;
        if (fd >= 0 && !is_label && fsetxattr(fd, xattr->name, xattr->value, xattr->length, 0) == 0)
            continue;
        if (fd >= 0 && !is_label && !is_refusal(errno))
            return fail_here(unpack, POD_XATTR, err);
        if (refuse_xattr(unpack, xattr, err) < 0)
            return -1;
    }
    return 0;
}

/* 1: the ids go to the record. EINVAL: not in the map; EPERM: this process may not after all. */
static int set_ids(struct pod_unpack *unpack, int fd, int force, struct pod_err *err)
{
    const struct pod_tar_entry *entry = unpack->entry;
    int failed;

    if (!unpack->options->mapped)
        return entry->uid || entry->gid;
    if (!entry->uid && !entry->gid && !force)
        return 0;
    failed =
        fd >= 0 ? fchown(fd, entry->uid, entry->gid)
                : fchownat(here(unpack), unpack->name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW);
    if (!failed)
        return 0;
    return errno == EINVAL || errno == EPERM ? 1 : fail_here(unpack, POD_CHOWN, err);
}

/* What the disk does not say of the file or directory FD goes with it as an attribute, too, which overlayfs copies up: the
 * record is by path, and what a container has changed or renamed is another inode from its next start on. HAD: there may be
 * one of an earlier entry. Where the disk refuses, the record alone holds. */
static int note_owner(struct pod_unpack *unpack, int fd, mode_t type, unsigned flags, int had,
                      struct pod_err *err)
{
    const struct pod_tar_entry *entry = unpack->entry;
    char text[64];
    int length;

    if (fd < 0 || unpack->options->merge)
        return 0;
    if (!(flags & POD_OWNER_DEVICE) && (!(flags & POD_OWNER_IDS) || unpack->options->mapped)) {
        if (had)
            fremovexattr(fd, POD_OWNER_XATTR);
        return 0;
    }
    length = flags & POD_OWNER_DEVICE
                 ? snprintf(text, sizeof text, "%u:%u:%c:%u:%u", entry->uid, entry->gid,
                            type == S_IFCHR ? 'c' : 'b', entry->major, entry->minor)
                 : snprintf(text, sizeof text, "%u:%u", entry->uid, entry->gid);
    if (!fsetxattr(fd, POD_OWNER_XATTR, text, (size_t)length, 0) || is_refusal(errno))
        return 0;
    return fail_here(unpack, POD_XATTR, err);
}

/* Writes the record of the entry at unpack->full, if there is anything to say. */
static int record_device(struct pod_unpack *unpack, mode_t type, unsigned flags, uint32_t major,
                         uint32_t minor, struct pod_err *err)
{
    const struct pod_tar_entry *entry = unpack->entry;
    struct pod_owner owner;

    if (unpack->refused_count)
        flags |= POD_OWNER_XATTRS;
    if (!flags && !unpack->overwrites)
        return 0;
    memset(&owner, 0, sizeof owner);
    owner.path = unpack->full;
    owner.path_length = strlen(unpack->full);
    owner.flags = flags;
    owner.uid = entry->uid;
    owner.gid = entry->gid;
    owner.mode = type | entry->mode;
    owner.major = major;
    owner.minor = minor;
    owner.xattr_count = unpack->refused_count;
    owner.xattrs = unpack->refused;
    return pod_owners_add(unpack->owners, &owner, err);
}

static int record(struct pod_unpack *unpack, mode_t type, unsigned flags, struct pod_err *err)
{
    return record_device(unpack, type, flags, unpack->entry->major, unpack->entry->minor, err);
}

int pod_unpack_set_file(struct pod_unpack *unpack, int fd, mode_t type, unsigned flags,
                        struct pod_err *err)
{
    const struct pod_tar_entry *entry = unpack->entry;
    const struct timespec time = entry_time(entry);
    const struct timespec times[2] = {time, time};
    int ids = set_ids(unpack, fd, 0, err);

    if (ids < 0)
        return -1;
    /* chown(2) clears setuid and setgid: the mode comes after it; security.capability too. */
    if (entry->mode & (07000 | unpack->umask) && fchmod(fd, entry->mode) < 0)
        return fail_here(unpack, POD_CHMOD, err);
    flags |= ids ? POD_OWNER_IDS : 0;
    if (set_xattrs(unpack, fd, err) < 0 || note_owner(unpack, fd, type, flags, 0, err) < 0)
        return -1;
    if (futimens(fd, times) < 0)
        return fail_here(unpack, POD_UTIMES, err);
    return record(unpack, type, flags, err);
}

int pod_unpack_set_ahead(struct pod_unpack *unpack, int fd, mode_t *mode, struct timespec *times,
                         struct pod_err *err)
{
    const struct pod_tar_entry *entry = unpack->entry;
    int ids = set_ids(unpack, fd, 0, err);

    if (ids < 0 || note_owner(unpack, fd, S_IFREG, ids ? POD_OWNER_IDS : 0, 0, err) < 0)
        return -1;
    *mode = entry->mode & (07000 | unpack->umask) ? entry->mode : (mode_t)-1;
    times[0] = times[1] = entry_time(entry);
    return record(unpack, S_IFREG, ids ? POD_OWNER_IDS : 0, err);
}

int pod_unpack_set_node(struct pod_unpack *unpack, mode_t type, struct pod_err *err)
{
    const struct timespec time = entry_time(unpack->entry);
    const struct timespec times[2] = {time, time};
    int ids = set_ids(unpack, -1, 0, err);

    if (ids < 0)
        return -1;
    if (type == S_IFIFO && pod_chmod_at(here(unpack), unpack->name, unpack->entry->mode, err) < 0)
        return -1;
    if (set_xattrs(unpack, -1, err) < 0)
        return -1;
    if (utimensat(here(unpack), unpack->name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return fail_here(unpack, POD_UTIMES, err);
    return record(unpack, type, ids ? POD_OWNER_IDS : 0, err);
}

int pod_unpack_set_directory(struct pod_unpack *unpack, struct pod_dir *dir, int force,
                             struct pod_err *err)
{
    int ids;

    dir->mode = unpack->entry->mode;
    dir->times[0] = dir->times[1] = entry_time(unpack->entry);
    ids = set_ids(unpack, dir->fd, force, err);
    if (ids < 0 || set_xattrs(unpack, dir->fd, err) < 0 ||
        note_owner(unpack, dir->fd, S_IFDIR, ids ? POD_OWNER_IDS : 0, force, err) < 0)
        return -1;
    return record(unpack, S_IFDIR, ids ? POD_OWNER_IDS : 0, err);
}

/* The inode keeps what its first entry said; the record goes by path, so this one needs its own. */
int pod_unpack_set_link(struct pod_unpack *unpack, const struct stat *st,
                        const struct pod_owner *device, struct pod_err *err)
{
    const struct pod_tar_entry *entry = unpack->entry;
    int ids = !unpack->options->mapped && (entry->uid || entry->gid);

    for (size_t i = 0; i < entry->xattr_count; i++)
        if (has_prefix(entry->xattrs[i].name, "security.") &&
            refuse_xattr(unpack, &entry->xattrs[i], err) < 0)
            return -1;
    if (device)
        return record_device(unpack, device->mode & S_IFMT,
                             POD_OWNER_DEVICE | (ids ? POD_OWNER_IDS : 0), device->major,
                             device->minor, err);
    return record(unpack, st->st_mode & S_IFMT, ids ? POD_OWNER_IDS : 0, err);
}
