#define _GNU_SOURCE 1

#include "copytree.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beneath.h"
#include "rmtree.h"
#include "whiteout.h"

#ifndef FICLONE
#define FICLONE _IOW(0x94, 9, int)
#endif

/* Pairs of directories held open; those above are come back to by "..", and checked to be the
 * same. */
#define OPEN_MAX_LEVELS 24
#define DEPTH_MAX 4096
#define DENTS_SIZE 16384
#define BUFFER_SIZE 65536
#define XATTR_LIST_MAX 65536 /* the kernel's bounds, xattr(7) */
#define XATTR_VALUE_MAX 65536
#define CLEAR_PASSES 3

/* getdents64(2) */
struct dent {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

struct level {
    int src; /* O_RDONLY, or -1 while closed */
    int dst;
    int64_t resume; /* position in src behind the directory that is being copied below */
    mode_t src_mode; /* as it was, where it had to be opened for us; else (mode_t)-1 */
    struct stat st;      /* of src */
    struct stat dst_st;
};

struct copy {
    unsigned flags;
    int links; /* directory at the top of DST for a name of every file with several; or -1 */
    int links_made; /* it is to be removed */
    int topfd;
    int no_clone; /* what the file system refused once is not asked for again */
    int no_range;
    size_t depth;
    size_t room;
    struct level *levels;
    char links_name[32];
    _Alignas(struct dent) char dents[DENTS_SIZE];
    char buffer[BUFFER_SIZE];
    char names[XATTR_LIST_MAX];
    char value[XATTR_VALUE_MAX];
};

static struct level *top(struct copy *copy)
{
    return &copy->levels[copy->depth - 1];
}

static char *put_number(char *at, uint64_t value)
{
    char digits[24];
    int count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (count)
        *at++ = digits[--count];
    *at = '\0';
    return at;
}

/* ---- data ----------------------------------------------------- */

static int copy_by_hand(struct copy *copy, int src, int dst, off_t at, off_t end, const char *name,
                        struct pod_err *err)
{
    while (at < end) {
        size_t wanted = end - at < BUFFER_SIZE ? (size_t)(end - at) : BUFFER_SIZE;
        ssize_t got = pread(src, copy->buffer, wanted, at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pod_fail(err, POD_READ, name);
        if (got == 0)
            return 0; /* it became shorter meanwhile */
        for (ssize_t done = 0; done < got;) {
            ssize_t put = pwrite(dst, copy->buffer + done, (size_t)(got - done), at + done);
            if (put < 0 && errno == EINTR)
                continue;
            if (put < 0)
                return pod_fail(err, POD_WRITE, name);
            done += put;
        }
        at += got;
    }
    return 0;
}

static int copy_extent(struct copy *copy, int src, int dst, off_t at, off_t end, const char *name,
                       struct pod_err *err)
{
    while (at < end && !copy->no_range) {
        loff_t from = at;
        loff_t to = at;
        long done = syscall(SYS_copy_file_range, src, &from, dst, &to, (size_t)(end - at), 0u);

        if (done > 0) {
            at += done;
            continue;
        }
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
            return pod_fail(err, POD_WRITE, name);
        /* 0 bytes: procfs and the like, before 5.19 also other things. Other errors: not this pair
         * of files. */
        if (done < 0 &&
            (errno == ENOSYS || errno == EPERM || errno == EXDEV || errno == EOPNOTSUPP))
            copy->no_range = 1;
        break;
    }
    return copy_by_hand(copy, src, dst, at, end, name, err);
}

static int copy_data(struct copy *copy, int src, int dst, off_t size, const char *name,
                     struct pod_err *err)
{
    off_t at = 0;

    if (size == 0)
        return 0;
    if (!copy->no_clone) {
        if (ioctl(dst, FICLONE, src) == 0)
            return 0;
        if (errno == EOPNOTSUPP || errno == ENOTTY || errno == EXDEV || errno == ENOSYS ||
            errno == EPERM)
            copy->no_clone = 1;
    }
    if (ftruncate(dst, size) < 0)
        return pod_fail(err, POD_WRITE, name);
    while (at < size) {
        off_t start = lseek(src, at, SEEK_DATA);
        off_t end;

        if (start < 0 && errno == ENXIO)
            return 0; /* the rest is a hole */
        if (start < 0)
            start = at;
        end = lseek(src, start, SEEK_HOLE);
        if (end < 0 || end > size)
            end = size;
        if (copy_extent(copy, src, dst, start, end, name, err) < 0)
            return -1;
        at = end > at ? end : size;
    }
    return 0;
}

/* ---- attributes ----------------------------------------------------- */

static int is_copied_xattr(const struct copy *copy, const char *name)
{
    if (!strcmp(name, "security.capability"))
        return 1;
    if (strncmp(name, "user.", 5) != 0)
        return 0;
    return !(copy->flags & POD_COPY_WHITEOUTS) || strncmp(name, "user.overlay.", 13) != 0;
}

/* Where DST cannot hold an attribute (tmpfs before 6.6, no right to set capabilities) it goes
 * without; a full disk is an error. */
static int copy_xattrs(struct copy *copy, int src, int dst, const char *name, struct pod_err *err)
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

static int set_open(struct copy *copy, int src, int dst, const struct stat *st, const char *name,
                    struct pod_err *err)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};

    if (copy->flags & POD_COPY_OWNERS && fchown(dst, st->st_uid, st->st_gid) < 0 &&
        !is_owner_refusal(errno))
        return pod_fail(err, POD_CHOWN, name);
    if (fchmod(dst, st->st_mode & 07777) < 0)
        return pod_fail(err, POD_CHMOD, name);
    if (copy_xattrs(copy, src, dst, name, err) < 0)
        return -1;
    return futimens(dst, times) < 0 ? pod_fail(err, POD_UTIMES, name) : 0;
}

static int set_unopened(struct copy *copy, int dirfd, const char *name, const struct stat *st,
                        struct pod_err *err)
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

/* ---- hard links ----------------------------------------------------- */
/* A file with several names is linked, when it is first copied, into a directory of our own at the
 * top of DST under its device and inode; later names are made from there. So what is remembered
 * lies on the disk, not in memory. */

static void link_key(const struct stat *st, char *key)
{
    key = put_number(key, (uint64_t)st->st_dev);
    *key++ = '-';
    put_number(key, (uint64_t)st->st_ino);
}

/* 1: NAME is now one more name of a copy made before. */
static int link_again(struct copy *copy, const struct stat *st, const char *name)
{
    char key[64];

    if (copy->links < 0)
        return 0;
    link_key(st, key);
    return linkat(copy->links, key, top(copy)->dst, name, 0) == 0;
}

/* A file system without hard links gives copies. */
static void link_first(struct copy *copy, const struct stat *st, const char *name)
{
    char key[64];

    for (unsigned tries = 0; copy->links < 0 && !copy->links_made && tries < 1000; tries++) {
        char *end = stpcpy(copy->links_name, ".pod-links-");
        end = put_number(end, (uint64_t)getpid());
        *end++ = '-';
        put_number(end, tries);
        if (mkdirat(copy->topfd, copy->links_name, 0700) == 0)
            copy->links_made = 1;
        else if (errno != EEXIST)
            return;
    }
    if (copy->links < 0)
        copy->links =
            openat(copy->topfd, copy->links_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (copy->links < 0)
        return;
    link_key(st, key);
    /* EMLINK and the like: later names become copies. */
    if (linkat(top(copy)->dst, name, copy->links, key, 0) < 0)
        errno = 0;
}

/* ---- entries ----------------------------------------------------- */

/* Opens what a mode keeps from its owner (no CAP_DAC_OVERRIDE here): the mode is put back at once
 * for files. */
static int open_shut(int dirfd, const char *name, int flags, const struct stat *st)
{
    struct pod_err ignored;
    int fd;
    int saved;

    if (pod_chmod_at(dirfd, name, (st->st_mode & 07777) | (S_ISDIR(st->st_mode) ? 0500 : 0400),
                     &ignored) < 0) {
        errno = EACCES;
        return -1;
    }
    fd = openat(dirfd, name, flags);
    saved = errno;
    if (S_ISREG(st->st_mode) || fd < 0)
        (void)pod_chmod_at(dirfd, name, st->st_mode & 07777, &ignored);
    errno = saved;
    return fd;
}

static int remove_old(struct copy *copy, const char *name, struct pod_err *err)
{
    return pod_rmtree(top(copy)->dst, name, err);
}

static int copy_file(struct copy *copy, const char *name, const struct stat *st,
                     struct pod_err *err)
{
    const int read_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    const int write_flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    POD_AUTO_FD int src = -1;
    POD_AUTO_FD int dst = -1;

    if (st->st_nlink > 1 && link_again(copy, st, name))
        return 0;
    src = openat(top(copy)->src, name, read_flags);
    if (src < 0 && errno == EACCES)
        src = open_shut(top(copy)->src, name, read_flags, st);
    if (src < 0)
        return pod_fail(err, POD_OPEN, name);
    dst = openat(top(copy)->dst, name, write_flags, 0600);
    if (dst < 0)
        return pod_fail(err, POD_COPY, name);
    if (copy_data(copy, src, dst, st->st_size, name, err) < 0 ||
        set_open(copy, src, dst, st, name, err) < 0)
        return -1;
    if (close(pod_steal_fd(&dst)) < 0 && errno != EINTR)
        return pod_fail(err, POD_WRITE, name);
    if (st->st_nlink > 1)
        link_first(copy, st, name);
    return 0;
}

static int copy_link(struct copy *copy, const char *name, const struct stat *st,
                     struct pod_err *err)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(top(copy)->src, name, target, sizeof target - 1);

    if (length < 0)
        return pod_fail(err, POD_READ, name);
    target[length] = '\0';
    if (symlinkat(target, top(copy)->dst, name) < 0)
        return pod_fail(err, POD_SYMLINK, name);
    return set_unopened(copy, top(copy)->dst, name, st, err);
}

static int copy_node(struct copy *copy, const char *name, const struct stat *st,
                     struct pod_err *err)
{
    if (S_ISSOCK(st->st_mode))
        return 0; /* nobody listens on a copy; cp -a makes a dead node, nothing needs it */
    if (mknodat(top(copy)->dst, name, st->st_mode & (S_IFMT | 0777), st->st_rdev) < 0)
        return pod_fail(err, POD_MKNOD, name);
    return set_unopened(copy, top(copy)->dst, name, st, err);
}

/* ---- directories ----------------------------------------------------- */

static int open_levels(int srcdir, const char *src_name, int dst, struct level *level,
                       const char *name, struct pod_err *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

    memset(level, 0, sizeof *level);
    level->dst = dst;
    level->src_mode = (mode_t)-1;
    level->src = openat(srcdir, src_name, flags);
    if (level->src < 0 && errno == EACCES) {
        struct stat st;
        if (fstatat(srcdir, src_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode)) {
            level->src = open_shut(srcdir, src_name, flags, &st);
            level->src_mode = st.st_mode & 07777;
        }
    }
    if (level->src < 0)
        return pod_fail(err, POD_OPEN, name);
    if (fstat(level->src, &level->st) < 0 || fstat(level->dst, &level->dst_st) < 0)
        return pod_fail(err, POD_STAT, name);
    if (level->src_mode != (mode_t)-1)
        level->st.st_mode = (level->st.st_mode & S_IFMT) | level->src_mode;
    return 0;
}

static void close_level(struct level *level)
{
    pod_cleanup_fd(&level->src);
    pod_cleanup_fd(&level->dst);
    level->src = level->dst = -1;
}

static int add_level(struct copy *copy, struct pod_err *err)
{
    if (copy->depth == DEPTH_MAX)
        return pod_fail_errno(err, POD_COPY, ENAMETOOLONG, "");
    if (copy->depth == copy->room) {
        size_t room = copy->room ? copy->room * 2 : 32;
        struct level *bigger = realloc(copy->levels, room * sizeof *bigger);

        if (!bigger)
            return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
        copy->levels = bigger;
        copy->room = room;
    }
    if (copy->depth >= OPEN_MAX_LEVELS)
        close_level(&copy->levels[copy->depth - OPEN_MAX_LEVELS]);
    return 0;
}

/* Into the directory NAME: the one of DST is made, or kept and filled further. */
static int enter(struct copy *copy, const char *name, struct pod_err *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    struct level level;
    int dst;

    if (mkdirat(top(copy)->dst, name, 0700) < 0 && errno != EEXIST)
        return pod_fail(err, POD_MKDIR, name);
    dst = openat(top(copy)->dst, name, flags);
    if (dst < 0 && errno == EACCES && pod_chmod_at(top(copy)->dst, name, 0700, err) == 0)
        dst = openat(top(copy)->dst, name, flags);
    if (dst < 0 && (errno == ENOTDIR || errno == ELOOP)) {
        if (remove_old(copy, name, err) < 0)
            return -1;
        if (mkdirat(top(copy)->dst, name, 0700) < 0)
            return pod_fail(err, POD_MKDIR, name);
        dst = openat(top(copy)->dst, name, flags);
    }
    if (dst < 0)
        return pod_fail(err, POD_OPEN, name);
    if (open_levels(top(copy)->src, name, dst, &level, name, err) < 0 || add_level(copy, err) < 0) {
        close_level(&level);
        return -1;
    }
    copy->levels[copy->depth++] = level;
    return fchmod(dst, 0700) < 0 ? pod_fail(err, POD_CHMOD, name) : 0;
}

static int same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The directory above again, from one that is still open. */
static int reopen(int below, const struct stat *expected, struct pod_err *err)
{
    struct stat st;
    int fd = openat(below, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return pod_fail(err, POD_OPEN, "..");
    if (fstat(fd, &st) < 0 || !same(&st, expected)) {
        close(fd);
        return pod_fail_errno(err, POD_COPY, ESTALE, "..");
    }
    return fd;
}

static int leave(struct copy *copy, struct pod_err *err)
{
    struct level *level = top(copy);
    struct level *above = copy->depth > 1 ? level - 1 : NULL;

    if (set_open(copy, level->src, level->dst, &level->st, "", err) < 0)
        return -1;
    if (above && above->src < 0) {
        above->src = reopen(level->src, &above->st, err);
        above->dst = above->src < 0 ? -1 : reopen(level->dst, &above->dst_st, err);
        if (above->dst < 0)
            return -1;
    }
    if (level->src_mode != (mode_t)-1 && fchmod(level->src, level->src_mode) < 0)
        return pod_fail(err, POD_CHMOD, "");
    close_level(level);
    copy->depth--;
    return 0;
}

/* ---- whiteouts ----------------------------------------------------- */

/* Calls FN for each entry of the directory FD from POSITION on. Not 0 from FN ends it. */
typedef int (*entry_function)(struct copy *copy, const struct dent *dent, struct pod_err *err);

static int scan(struct copy *copy, int fd, int64_t position, entry_function function,
                struct pod_err *err)
{
    if (lseek(fd, position, SEEK_SET) < 0)
        return pod_fail(err, POD_READ, "");
    for (;;) {
        long length = syscall(SYS_getdents64, fd, copy->dents, DENTS_SIZE);

        if (length <= 0)
            return length < 0 ? pod_fail(err, POD_READ, "") : 0;
        for (long at = 0; at < length;) {
            const struct dent *dent = (const struct dent *)(const void *)(copy->dents + at);
            int result = 0;

            if (strcmp(dent->name, ".") != 0 && strcmp(dent->name, "..") != 0)
                result = function(copy, dent, err);
            if (result)
                return result;
            at += dent->reclen;
        }
    }
}

static int clear_entry(struct copy *copy, const struct dent *dent, struct pod_err *err)
{
    if (copy->links_made && copy->depth == 1 && !strcmp(dent->name, copy->links_name))
        return 0;
    return remove_old(copy, dent->name, err);
}

static int clear_directory(struct copy *copy, struct pod_err *err)
{
    /* Twice: positions may shift while entries vanish (tmpfs before 6.6). */
    for (int pass = 0; pass < CLEAR_PASSES; pass++)
        if (scan(copy, top(copy)->dst, 0, clear_entry, err) < 0)
            return -1;
    return 0;
}

/* Whiteouts work on what lower layers left, so they go before this layer's own entries. */
static int carry_out(struct copy *copy, const struct dent *dent, struct pod_err *err)
{
    const char *hidden = dent->name;

    if (pod_is_whiteout_name(dent->name)) {
        if (!strncmp(dent->name, POD_WHITEOUT_META, POD_WHITEOUT_META_LENGTH))
            return 0;
        hidden += POD_WHITEOUT_PREFIX_LENGTH;
        if (!hidden[0] || !strcmp(hidden, ".") || !strcmp(hidden, ".."))
            return 0;
    } else {
        struct stat st;

        if (dent->type != DT_CHR && dent->type != DT_UNKNOWN)
            return 0;
        if (fstatat(top(copy)->src, dent->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return pod_fail(err, POD_STAT, dent->name);
        if (!pod_is_whiteout_node(&st))
            return 0;
    }
    return remove_old(copy, hidden, err);
}

static int hide_lower(struct copy *copy, struct pod_err *err)
{
    struct stat st;

    if (!(copy->flags & POD_COPY_WHITEOUTS))
        return 0;
    if (pod_is_opaque(top(copy)->src) ||
        fstatat(top(copy)->src, POD_WHITEOUT_OPAQUE, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return clear_directory(copy, err);
    return scan(copy, top(copy)->src, 0, carry_out, err) < 0 ? -1 : 0;
}

/* ---- the tree ----------------------------------------------------- */

/* 1: a directory was entered. */
static int copy_entry(struct copy *copy, const struct dent *dent, struct pod_err *err)
{
    struct level *level = top(copy);
    struct stat st;

    level->resume = dent->off;
    if (fstatat(level->src, dent->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : pod_fail(err, POD_STAT, dent->name);
    if (copy->flags & POD_COPY_WHITEOUTS &&
        (pod_is_whiteout_name(dent->name) || pod_is_whiteout_node(&st)))
        return 0;
    if (S_ISDIR(st.st_mode)) {
        if (same(&st, &copy->levels[0].dst_st)) /* DST lies in SRC */
            return 0;
        return enter(copy, dent->name, err) < 0 || hide_lower(copy, err) < 0 ? -1 : 1;
    }
    if (remove_old(copy, dent->name, err) < 0)
        return -1;
    if (S_ISREG(st.st_mode))
        return copy_file(copy, dent->name, &st, err);
    if (S_ISLNK(st.st_mode))
        return copy_link(copy, dent->name, &st, err);
    return copy_node(copy, dent->name, &st, err);
}

static int copy_levels(struct copy *copy, struct pod_err *err)
{
    while (copy->depth) {
        int entered = scan(copy, top(copy)->src, top(copy)->resume, copy_entry, err);

        if (entered < 0)
            return -1;
        if (entered)
            continue;
        /* The top's times are final: our own directory in it goes first. */
        if (copy->depth == 1 && copy->links_made) {
            pod_cleanup_fd(&copy->links);
            copy->links = -1;
            copy->links_made = 0;
            if (pod_rmtree(copy->topfd, copy->links_name, err) < 0)
                return -1;
        }
        if (leave(copy, err) < 0)
            return -1;
    }
    return 0;
}

static int copy_top(struct copy *copy, int srcfd, int dstfd, struct pod_err *err)
{
    struct level level;
    int dst = openat(dstfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dst < 0)
        return pod_fail(err, POD_OPEN, "");
    if (open_levels(srcfd, ".", dst, &level, "", err) < 0 || add_level(copy, err) < 0) {
        close_level(&level);
        return -1;
    }
    copy->levels[copy->depth++] = level;
    if (fchmod(dst, 0700) < 0)
        return pod_fail(err, POD_CHMOD, "");
    return hide_lower(copy, err) < 0 ? -1 : copy_levels(copy, err);
}

int pod_copytree(int srcfd, int dstfd, unsigned flags, struct pod_err *err)
{
    struct copy *copy = malloc(sizeof *copy);
    int failed;

    if (!copy)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    memset(copy, 0, offsetof(struct copy, dents));
    copy->flags = flags;
    copy->links = -1;
    copy->topfd = dstfd;
    failed = copy_top(copy, srcfd, dstfd, err);
    pod_cleanup_fd(&copy->links);
    while (copy->depth) {
        struct level *level = top(copy);
        if (level->src_mode != (mode_t)-1 && level->src >= 0)
            (void)fchmod(level->src, level->src_mode);
        close_level(level);
        copy->depth--;
    }
    if (copy->links_made) {
        struct pod_err ignored;
        (void)pod_rmtree(dstfd, copy->links_name, &ignored);
    }
    free(copy->levels);
    free(copy);
    return failed;
}
