#define _GNU_SOURCE 1

#include "extract.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../core/beneath.h"
#include "../core/rmtree.h"
#include "../core/whiteout.h"
#include "dirs.h"
#include "owners.h"

/* ext4 with 256-byte inodes ends in 2446; and no program expects times before 1901. */
#define SECONDS_MIN (-(INT64_C(1) << 31))
#define SECONDS_MAX ((INT64_C(1) << 34) - (INT64_C(1) << 31) - 1)

struct unpack {
    const struct pod_extract_options *options;
    struct pod_source *source;
    struct pod_tar *tar;
    struct pod_dirs *dirs;
    struct pod_owners_writer *owners;
    mode_t umask;
    uint64_t entries;
    uint64_t bytes;
    /* the entry at hand */
    const struct pod_tar_entry *entry;
    struct pod_tar_xattr *refused; /* attributes that go to the owners record */
    size_t refused_count;
    size_t refused_room;
    int overwrites; /* a directory that was there: an older record may be wrong now */
    char path[PATH_MAX]; /* cleaned, relative */
    char name[NAME_MAX + 1];
    char full[PATH_MAX]; /* without links */
};

static int fail(struct unpack *unpack, enum pod_step step, int errnum, struct pod_err *err)
{
    return pod_fail_errno(err, step, errnum, unpack->entry->path);
}

static int fail_here(struct unpack *unpack, enum pod_step step, struct pod_err *err)
{
    return fail(unpack, step, errno, err);
}

static int here(struct unpack *unpack)
{
    return pod_dirs_top(unpack->dirs)->fd;
}

/* ---- names ----------------------------------------------------- */

/* PATH without leading "/", ".", doubled slashes; ".." takes a name back, as Docker's
 * filepath.Clean does. Out of the root is EXDEV. TARGET has PATH_MAX bytes. Returns 0 or errno. */
static int clean_path(const char *path, char *target)
{
    size_t length = 0;

    for (;;) {
        size_t part;

        while (*path == '/')
            path++;
        part = strcspn(path, "/");
        if (!part)
            break;
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            if (!length)
                return EXDEV;
            while (length && target[--length] != '/') {
            }
        } else if (part != 1 || path[0] != '.') {
            if (part > NAME_MAX || length + part + 2 > PATH_MAX)
                return ENAMETOOLONG;
            if (length)
                target[length++] = '/';
            memcpy(target + length, path, part);
            length += part;
        }
        path += part;
    }
    target[length] = '\0';
    return 0;
}

/* Cuts the last name off PATH (which is not empty) into NAME. */
static void split(char *path, char *name)
{
    char *slash = strrchr(path, '/');

    strcpy(name, slash ? slash + 1 : path);
    *(slash ? slash : path) = '\0';
}

static int join(struct unpack *unpack, const char *name, struct pod_err *err)
{
    const char *parent = pod_dirs_path(unpack->dirs);
    size_t length = strlen(parent);

    if (length + strlen(name) + 2 > sizeof unpack->full)
        return fail(unpack, POD_TAR_PATH, ENAMETOOLONG, err);
    memcpy(unpack->full, parent, length);
    if (length)
        unpack->full[length++] = '/';
    strcpy(unpack->full + length, name);
    return 0;
}

/* ---- what was there before ---------------------------------------------------- */

/* Removes NAME of the directory at hand, a whole tree if need be. 1: it was a whiteout node of this
 * layer. */
static int displace(struct unpack *unpack, const char *name, struct pod_err *err)
{
    struct stat st;

    if (fstatat(here(unpack), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fail_here(unpack, POD_STAT, err);
    if (S_ISDIR(st.st_mode)) {
        if (pod_rmtree(here(unpack), name, err) < 0)
            return -1;
    } else if (unlinkat(here(unpack), name, 0) < 0 && errno != ENOENT) {
        return fail_here(unpack, POD_UNLINK, err);
    }
    if (pod_owners_remove(unpack->owners, unpack->full, err) < 0)
        return -1;
    return unpack->options->dialect == POD_DIALECT_OVERLAY && pod_is_whiteout_node(&st);
}

/* ---- owners, attributes, modes, times ---------------------------------------------------- */

static struct timespec entry_time(const struct pod_tar_entry *entry)
{
    struct timespec time = {entry->seconds, entry->nanoseconds};

    if (entry->seconds < SECONDS_MIN || entry->seconds > SECONDS_MAX) {
        time.tv_sec = entry->seconds < SECONDS_MIN ? SECONDS_MIN : SECONDS_MAX;
        time.tv_nsec = 0;
    }
    return time;
}

static int refuse_xattr(struct unpack *unpack, const struct pod_tar_xattr *xattr,
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
static int set_xattrs(struct unpack *unpack, int fd, struct pod_err *err)
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
static int set_ids(struct unpack *unpack, int fd, int force, struct pod_err *err)
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

/* Writes the record of the entry at unpack->full, if there is anything to say. */
static int record(struct unpack *unpack, mode_t type, unsigned flags, struct pod_err *err)
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
    owner.major = entry->major;
    owner.minor = entry->minor;
    owner.xattr_count = unpack->refused_count;
    owner.xattrs = unpack->refused;
    return pod_owners_add(unpack->owners, &owner, err);
}

static int set_file(struct unpack *unpack, int fd, mode_t type, unsigned flags, struct pod_err *err)
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
    if (set_xattrs(unpack, fd, err) < 0)
        return -1;
    if (futimens(fd, times) < 0)
        return fail_here(unpack, POD_UTIMES, err);
    return record(unpack, type, flags | (ids ? POD_OWNER_IDS : 0), err);
}

/* For what is not opened: links and FIFOs. */
static int set_node(struct unpack *unpack, mode_t type, struct pod_err *err)
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

/* ---- one kind of entry each ---------------------------------------------------- */

static int write_all(struct unpack *unpack, int fd, const unsigned char *data, size_t length,
                     struct pod_err *err)
{
    while (length) {
        ssize_t put = write(fd, data, length);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_here(unpack, POD_WRITE, err);
        data += put;
        length -= (size_t)put;
    }
    return 0;
}

/* The regions tell where the stored bytes go; the sum was checked by the reader. */
static int write_regions(struct unpack *unpack, int fd, struct pod_err *err)
{
    const struct pod_tar_entry *entry = unpack->entry;
    const unsigned char *data = NULL;
    size_t length = 0;

    if (ftruncate(fd, (off_t)entry->size) < 0)
        return fail_here(unpack, POD_WRITE, err);
    for (size_t i = 0; i < entry->region_count; i++) {
        uint64_t left = entry->regions[i].length;

        if (left && lseek(fd, (off_t)entry->regions[i].offset, SEEK_SET) < 0)
            return fail_here(unpack, POD_WRITE, err);
        while (left) {
            size_t part;

            if (!length && pod_tar_data(unpack->tar, &data, &length, err) < 0)
                return -1;
            part = length < left ? length : (size_t)left;
            if (write_all(unpack, fd, data, part, err) < 0)
                return -1;
            data += part;
            length -= part;
            left -= part;
        }
    }
    return 0;
}

static int write_data(struct unpack *unpack, int fd, struct pod_err *err)
{
    if (unpack->entry->sparse)
        return write_regions(unpack, fd, err);
    for (;;) {
        const unsigned char *data;
        size_t length;

        if (pod_tar_data(unpack->tar, &data, &length, err) < 0)
            return -1;
        if (!length)
            return 0;
        if (write_all(unpack, fd, data, length, err) < 0)
            return -1;
    }
}

/* A new empty file, after whatever had the name is gone. */
static int create(struct unpack *unpack, const char *name, mode_t mode, struct pod_err *err)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(here(unpack), name, flags, mode);

    if (fd < 0 && errno == EEXIST) {
        if (displace(unpack, name, err) < 0)
            return -1;
        fd = openat(here(unpack), name, flags, mode);
    }
    return fd < 0 ? fail_here(unpack, POD_OPEN, err) : fd;
}

static int finish_file(struct unpack *unpack, int *fd, struct pod_err *err)
{
    /* NFS and quotas may tell of a lost write only here. */
    if (close(pod_steal_fd(fd)) < 0 && errno != EINTR)
        return fail_here(unpack, POD_WRITE, err);
    return 0;
}

static int make_file(struct unpack *unpack, struct pod_err *err)
{
    POD_AUTO_FD int fd = create(unpack, unpack->name, unpack->entry->mode & 0777, err);

    if (fd < 0 || write_data(unpack, fd, err) < 0 || set_file(unpack, fd, S_IFREG, 0, err) < 0)
        return -1;
    return finish_file(unpack, &fd, err);
}

/* A user namespace cannot make device nodes: an empty file holds the place, the record says the
 * rest. */
static int make_device(struct unpack *unpack, struct pod_err *err)
{
    mode_t type = unpack->entry->type == POD_TAR_CHAR ? S_IFCHR : S_IFBLK;
    POD_AUTO_FD int fd = create(unpack, unpack->name, unpack->entry->mode & 0777, err);

    if (fd < 0 || set_file(unpack, fd, type, POD_OWNER_DEVICE, err) < 0)
        return -1;
    return finish_file(unpack, &fd, err);
}

static int make_fifo(struct unpack *unpack, struct pod_err *err)
{
    if (displace(unpack, unpack->name, err) < 0)
        return -1;
    if (mkfifoat(here(unpack), unpack->name, unpack->entry->mode & 0777) < 0)
        return fail_here(unpack, POD_MKNOD, err);
    return set_node(unpack, S_IFIFO, err);
}

static int make_symlink(struct unpack *unpack, struct pod_err *err)
{
    const char *target = unpack->entry->link;

    if (symlinkat(target, here(unpack), unpack->name) < 0) {
        if (errno != EEXIST)
            return fail_here(unpack, POD_SYMLINK, err);
        if (displace(unpack, unpack->name, err) < 0)
            return -1;
        if (symlinkat(target, here(unpack), unpack->name) < 0)
            return fail_here(unpack, POD_SYMLINK, err);
    }
    return set_node(unpack, S_IFLNK, err);
}

static int make_directory(struct unpack *unpack, struct pod_err *err)
{
    struct stat st;
    struct pod_dir *dir;
    int hides = 0;
    int made = mkdirat(here(unpack), unpack->name, 0700) == 0;
    int ids;

    if (!made && errno != EEXIST)
        return fail_here(unpack, POD_MKDIR, err);
    ids = pod_dirs_push(unpack->dirs, unpack->name, &st, err);
    if (ids == 1) {
        /* Not a directory, so it goes: a link too, as with Docker. */
        hides = displace(unpack, unpack->name, err);
        if (hides < 0)
            return -1;
        if (mkdirat(here(unpack), unpack->name, 0700) < 0)
            return fail_here(unpack, POD_MKDIR, err);
        made = 1;
        ids = pod_dirs_push(unpack->dirs, unpack->name, &st, err);
    }
    if (ids != 0)
        return ids < 0 ? -1 : fail(unpack, POD_TAR_PATH, ENOTDIR, err);
    if (hides && pod_set_opaque(here(unpack)) < 0)
        return fail_here(unpack, POD_XATTR, err);
    unpack->overwrites = !made;
    dir = pod_dirs_top(unpack->dirs);
    dir->mode = unpack->entry->mode;
    dir->keep_times = 1;
    dir->times[0] = dir->times[1] = entry_time(unpack->entry);
    ids = set_ids(unpack, dir->fd, !made, err);
    if (ids < 0 || set_xattrs(unpack, dir->fd, err) < 0)
        return -1;
    return record(unpack, S_IFDIR, ids ? POD_OWNER_IDS : 0, err);
}

/* The root of the layer: "./" and the like. */
static int make_root(struct unpack *unpack, struct pod_err *err)
{
    struct pod_dir *dir;
    int ids;

    if (unpack->entry->type != POD_TAR_DIRECTORY)
        return fail(unpack, POD_TAR_PATH, EISDIR, err);
    if (pod_dirs_enter(unpack->dirs, "", 0, err) < 0)
        return -1;
    dir = pod_dirs_top(unpack->dirs);
    dir->mode = unpack->entry->mode;
    dir->times[0] = dir->times[1] = entry_time(unpack->entry);
    unpack->full[0] = '\0';
    unpack->overwrites = 1;
    ids = set_ids(unpack, dir->fd, 1, err);
    if (ids < 0 || set_xattrs(unpack, dir->fd, err) < 0)
        return -1;
    unpack->overwrites = unpack->entries > 1;
    return record(unpack, S_IFDIR, ids ? POD_OWNER_IDS : 0, err);
}

/* What a hard link shall lead to: NAME in the directory DIRFD; or, where the way there is shut to
 * us (modes come from the archive), FD, which was opened while it was open. */
struct target {
    int dirfd;
    int fd;
    char name[NAME_MAX + 1];
    struct stat st;
};

static void release_target(struct target *target)
{
    pod_cleanup_fd(&target->dirfd);
    pod_cleanup_fd(&target->fd);
}

/* The stack of directories opens the way. */
static int hold_target(struct unpack *unpack, const char *parent, struct target *target,
                       struct pod_err *err)
{
    char back[PATH_MAX];

    strcpy(back, pod_dirs_path(unpack->dirs));
    if (pod_dirs_enter(unpack->dirs, parent, 0, err) < 0)
        return -1;
    target->fd = openat(here(unpack), target->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (target->fd < 0 || fstat(target->fd, &target->st) < 0)
        return fail_here(unpack, POD_LINK, err);
    return pod_dirs_enter(unpack->dirs, back, 0, err);
}

/* Looked up inside the root; the last name is not followed. */
static int find_target(struct unpack *unpack, struct target *target, struct pod_err *err)
{
    char parent[PATH_MAX];
    int errnum = clean_path(unpack->entry->link, parent);

    if (errnum || !parent[0])
        return fail(unpack, POD_LINK, errnum ? errnum : EISDIR, err);
    split(parent, target->name);
    target->dirfd = pod_open_in_root(unpack->options->root_fd, parent[0] ? parent : "/",
                                     O_PATH | O_DIRECTORY, 0, err);
    if (target->dirfd < 0 && err->errnum != EACCES)
        return fail(unpack, POD_LINK, err->errnum, err);
    if (target->dirfd >= 0 &&
        fstatat(target->dirfd, target->name, &target->st, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (target->dirfd >= 0 && errno != EACCES)
        return fail_here(unpack, POD_LINK, err);
    return hold_target(unpack, parent, target, err);
}

static int link_target(struct unpack *unpack, const struct target *target)
{
    char self[40];

    if (target->fd < 0)
        return linkat(target->dirfd, target->name, here(unpack), unpack->name, 0);
    /* AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH in the first user namespace (linkat(2), before
     * 6.10). */
    snprintf(self, sizeof self, "/proc/self/fd/%d", target->fd);
    return linkat(AT_FDCWD, self, here(unpack), unpack->name, AT_SYMLINK_FOLLOW);
}

/* The inode keeps what its first entry said; the record goes by path, so this one needs its own. */
static int record_link(struct unpack *unpack, const struct stat *st, struct pod_err *err)
{
    const struct pod_tar_entry *entry = unpack->entry;
    int ids = !unpack->options->mapped && (entry->uid || entry->gid);

    for (size_t i = 0; i < entry->xattr_count; i++)
        if (has_prefix(entry->xattrs[i].name, "security.") &&
            refuse_xattr(unpack, &entry->xattrs[i], err) < 0)
            return -1;
    return record(unpack, st->st_mode & S_IFMT, ids ? POD_OWNER_IDS : 0, err);
}

/* A hard link to what this archive made before. */
static int make_link(struct unpack *unpack, struct pod_err *err)
{
    __attribute__((cleanup(release_target))) struct target target = {.dirfd = -1, .fd = -1};
    struct stat there;

    if (find_target(unpack, &target, err) < 0)
        return -1;
    if (S_ISDIR(target.st.st_mode))
        return fail(unpack, POD_LINK, EPERM, err);
    if (unpack->options->dialect == POD_DIALECT_OVERLAY && pod_is_whiteout_node(&target.st))
        return fail(unpack, POD_LINK, ENOENT, err);
    if (fstatat(here(unpack), unpack->name, &there, AT_SYMLINK_NOFOLLOW) == 0) {
        if (there.st_dev == target.st.st_dev && there.st_ino == target.st.st_ino)
            return 0;
        if (displace(unpack, unpack->name, err) < 0)
            return -1;
    }
    if (link_target(unpack, &target) < 0)
        return fail_here(unpack, POD_LINK, err);
    return record_link(unpack, &target.st, err);
}

/* ---- whiteouts ----------------------------------------------------- */

static int keep_name(struct unpack *unpack, const char *name, struct pod_err *err)
{
    POD_AUTO_FD int fd =
        openat(here(unpack), name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

    return fd < 0 ? fail_here(unpack, POD_OPEN, err) : 0;
}

static int hide_all(struct unpack *unpack, struct pod_err *err)
{
    if (unpack->options->dialect == POD_DIALECT_AUFS)
        return keep_name(unpack, POD_WHITEOUT_OPAQUE, err);
    return pod_set_opaque(here(unpack)) < 0 ? fail_here(unpack, POD_XATTR, err) : 0;
}

/* Hides NAME of the layers below. What this layer has itself stays (image-spec layer.md,
 * "Whiteouts"); but a directory of it no longer lets the lower one through. */
static int hide(struct unpack *unpack, const char *name, struct pod_err *err)
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

/* 1: the entry is content; 0: it was about whiteouts and is done; the directory at hand is its
 * parent. */
static int handle_whiteout(struct unpack *unpack, struct pod_err *err)
{
    int failed;

    if (!strcmp(unpack->name, POD_WHITEOUT_OPAQUE))
        failed = hide_all(unpack, err);
    else if (pod_is_whiteout_name(unpack->name))
        failed = hide(unpack, unpack->name + POD_WHITEOUT_PREFIX_LENGTH, err);
    else
        return 1;
    return failed ? -1 : 0;
}

/* aufs's own files are no content (1: pass over); a whiteout's name as a directory makes no sense
 * (-1). */
static int is_aufs_affair(struct unpack *unpack, struct pod_err *err)
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

/* ---- the archive ----------------------------------------------------- */

static int make_entry(struct unpack *unpack, struct pod_err *err)
{
    switch (unpack->entry->type) {
    case POD_TAR_FILE:
        return make_file(unpack, err);
    case POD_TAR_LINK:
        return make_link(unpack, err);
    case POD_TAR_SYMLINK:
        return make_symlink(unpack, err);
    case POD_TAR_DIRECTORY:
        return make_directory(unpack, err);
    case POD_TAR_FIFO:
        return make_fifo(unpack, err);
    case POD_TAR_CHAR:
    case POD_TAR_BLOCK:
        return make_device(unpack, err);
    }
    return fail(unpack, POD_INTERNAL, EINVAL, err);
}

static int check_limits(struct unpack *unpack, struct pod_err *err)
{
    if (++unpack->entries > unpack->options->max_entries)
        return fail(unpack, POD_LIMIT, E2BIG, err);
    if (unpack->entry->type != POD_TAR_FILE)
        return 0;
    /* Sparse files cost no bytes of the archive, but whoever copies the tree pays for them. */
    if (unpack->entry->size > unpack->options->max_bytes - unpack->bytes)
        return fail(unpack, POD_LIMIT, EFBIG, err);
    unpack->bytes += unpack->entry->size;
    return 0;
}

static int unpack_entry(struct unpack *unpack, struct pod_err *err)
{
    int errnum;
    int content;

    unpack->refused_count = 0;
    unpack->overwrites = 0;
    if (check_limits(unpack, err) < 0)
        return -1;
    errnum = clean_path(unpack->entry->path, unpack->path);
    if (errnum)
        return fail(unpack, POD_TAR_PATH, errnum, err);
    if (!unpack->path[0])
        return make_root(unpack, err);
    if (unpack->options->dialect != POD_DIALECT_PLAIN) {
        int affair = is_aufs_affair(unpack, err);
        if (affair)
            return affair < 0 ? -1 : 0;
    }
    split(unpack->path, unpack->name);
    if (pod_dirs_enter(unpack->dirs, unpack->path, 1, err) < 0)
        return fail(unpack, (enum pod_step)err->step, err->errnum, err);
    if (unpack->options->dialect != POD_DIALECT_PLAIN) {
        content = handle_whiteout(unpack, err);
        if (content <= 0)
            return content;
    }
    if (join(unpack, unpack->name, err) < 0)
        return -1;
    return make_entry(unpack, err);
}

/* The process's umask without changing it (it belongs to all threads); Umask is there since 4.7,
 * else assume the worst: that every
 * mode must be set again. */
static mode_t read_umask(void)
{
    POD_AUTO_FD int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    char text[1024];
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    const char *found;
    mode_t mask = 0;

    if (length < 0)
        return 0777;
    text[length] = '\0';
    found = strstr(text, "\nUmask:\t");
    if (!found)
        return 0777;
    for (found += 8; *found >= '0' && *found <= '7'; found++)
        mask = mask << 3 | (mode_t)(*found - '0');
    return mask & 0777;
}

static int unpack_all(struct unpack *unpack, struct pod_err *err)
{
    int got;

    while ((got = pod_tar_next(unpack->tar, &unpack->entry, err)) > 0)
        if (unpack_entry(unpack, err) < 0)
            return -1;
    if (got < 0 || pod_dirs_leave_all(unpack->dirs, err) < 0)
        return -1;
    return pod_owners_end(unpack->owners, err);
}

int pod_extract(int fd, const struct pod_extract_options *options,
                struct pod_extract_result *result, struct pod_err *err)
{
    struct unpack *unpack = calloc(1, sizeof *unpack);
    int failed = -1;

    if (!unpack)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    unpack->options = options;
    unpack->umask = read_umask();
    if (pod_source_open(fd, options->max_bytes, options->interrupted, options->context,
                        &unpack->source, err) == 0 &&
        pod_tar_open(unpack->source, &unpack->tar, err) == 0 &&
        pod_dirs_open(options->root_fd, options->dialect == POD_DIALECT_OVERLAY, &unpack->dirs,
                      err) == 0 &&
        pod_owners_begin(options->owners_fd, &unpack->owners, err) == 0)
        failed = unpack_all(unpack, err);
    if (!failed) {
        pod_source_sum(unpack->source, &result->sum);
        result->entries = unpack->entries;
    }
    pod_owners_close(&unpack->owners);
    pod_dirs_close(&unpack->dirs);
    pod_tar_close(&unpack->tar);
    pod_source_close(&unpack->source);
    free(unpack->refused);
    free(unpack);
    return failed;
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
