#define _GNU_SOURCE 1

#include "copytree.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beneath.h"
#include "copyattrs.h"
#include "copydata.h"
#include "copylinks.h"
#include "dents.h"
#include "rmtree.h"
#include "whiteout.h"

/* Pairs of directories held open; those above are come back to by "..", and checked to be the
 * same. */
#define OPEN_MAX_LEVELS 24
#define DEPTH_MAX 4096
#define DENTS_SIZE 16384
#define CLEAR_PASSES 3

struct level {
    int src; /* O_RDONLY, or -1 while closed */
    int dst;
    int64_t resume; /* position in src behind the directory that is being copied below */
    mode_t src_mode; /* as it was, where it had to be opened for us; else (mode_t)-1 */
    struct stat st;      /* of src */
    struct stat dst_st;
};

struct copy {
    const struct pod_copy_watch *watch; /* or NULL */
    size_t depth;
    size_t room;
    struct level *levels;
    struct pod_copy_links links;
    struct pod_copy_data data;
    struct pod_copy_attrs attrs;
    _Alignas(struct pod_dent) char dents[DENTS_SIZE];
};

static struct level *top(struct copy *copy)
{
    return &copy->levels[copy->depth - 1];
}

static int tell(struct copy *copy, enum pod_copy_event event, const char *name, struct pod_err *err)
{
    return copy->watch ? copy->watch->event(copy->watch->context, event, name, err) : 0;
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

    if (st->st_nlink > 1 && pod_copy_links_again(&copy->links, st, top(copy)->dst, name))
        return 0;
    src = openat(top(copy)->src, name, read_flags);
    if (src < 0 && errno == EACCES)
        src = open_shut(top(copy)->src, name, read_flags, st);
    if (src < 0)
        return pod_fail(err, POD_OPEN, name);
    dst = openat(top(copy)->dst, name, write_flags, 0600);
    if (dst < 0)
        return pod_fail(err, POD_COPY, name);
    if (pod_copy_data(&copy->data, src, dst, st->st_size, name, err) < 0 ||
        pod_copy_attrs_open(&copy->attrs, src, dst, st, name, err) < 0)
        return -1;
    if (close(pod_steal_fd(&dst)) < 0 && errno != EINTR)
        return pod_fail(err, POD_WRITE, name);
    if (st->st_nlink > 1)
        pod_copy_links_first(&copy->links, st, top(copy)->dst, name);
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
    return pod_copy_attrs_at(&copy->attrs, top(copy)->dst, name, st, err);
}

static int copy_node(struct copy *copy, const char *name, const struct stat *st,
                     struct pod_err *err)
{
    if (S_ISSOCK(st->st_mode))
        return 0; /* nobody listens on a copy; cp -a makes a dead node, nothing needs it */
    if (mknodat(top(copy)->dst, name, st->st_mode & (S_IFMT | 0777), st->st_rdev) < 0)
        return pod_fail(err, POD_MKNOD, name);
    return pod_copy_attrs_at(&copy->attrs, top(copy)->dst, name, st, err);
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
    if (fchmod(dst, 0700) < 0)
        return pod_fail(err, POD_CHMOD, name);
    return tell(copy, POD_COPY_ENTERED, name, err);
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

    if (pod_copy_attrs_open(&copy->attrs, level->src, level->dst, &level->st, "", err) < 0)
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
    return tell(copy, POD_COPY_LEFT, "", err);
}

/* ---- whiteouts ----------------------------------------------------- */

/* Calls FN for each entry of the directory FD from POSITION on. Not 0 from FN ends it. */
typedef int (*entry_function)(struct copy *copy, const struct pod_dent *dent, struct pod_err *err);

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
            const struct pod_dent *dent = (const struct pod_dent *)(const void *)(copy->dents + at);
            int result = 0;

            if (strcmp(dent->name, ".") != 0 && strcmp(dent->name, "..") != 0)
                result = function(copy, dent, err);
            if (result)
                return result;
            at += dent->reclen;
        }
    }
}

static int clear_entry(struct copy *copy, const struct pod_dent *dent, struct pod_err *err)
{
    if (copy->links.made && copy->depth == 1 && !strcmp(dent->name, copy->links.name))
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
static int carry_out(struct copy *copy, const struct pod_dent *dent, struct pod_err *err)
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
    return remove_old(copy, hidden, err) < 0 ? -1 : tell(copy, POD_COPY_GONE, hidden, err);
}

static int hide_lower(struct copy *copy, struct pod_err *err)
{
    struct stat st;

    if (!(copy->attrs.flags & POD_COPY_WHITEOUTS))
        return 0;
    if (pod_is_opaque(top(copy)->src) ||
        fstatat(top(copy)->src, POD_WHITEOUT_OPAQUE, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return clear_directory(copy, err) < 0 ? -1 : tell(copy, POD_COPY_EMPTIED, "", err);
    return scan(copy, top(copy)->src, 0, carry_out, err) < 0 ? -1 : 0;
}

/* ---- the tree ----------------------------------------------------- */

/* 1: a directory was entered. */
static int copy_entry(struct copy *copy, const struct pod_dent *dent, struct pod_err *err)
{
    struct level *level = top(copy);
    struct stat st;

    level->resume = dent->off;
    if (fstatat(level->src, dent->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : pod_fail(err, POD_STAT, dent->name);
    if (copy->attrs.flags & POD_COPY_WHITEOUTS &&
        (pod_is_whiteout_name(dent->name) || pod_is_whiteout_node(&st)))
        return 0;
    if (S_ISDIR(st.st_mode)) {
        if (same(&st, &copy->levels[0].dst_st)) /* DST lies in SRC */
            return 0;
        return enter(copy, dent->name, err) < 0 || hide_lower(copy, err) < 0 ? -1 : 1;
    }
    if (remove_old(copy, dent->name, err) < 0 || tell(copy, POD_COPY_PLACED, dent->name, err) < 0)
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
        if (copy->depth == 1 && pod_copy_links_end(&copy->links, err) < 0)
            return -1;
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
    if (tell(copy, POD_COPY_ENTERED, "", err) < 0 || hide_lower(copy, err) < 0)
        return -1;
    return copy_levels(copy, err);
}

int pod_copytree(int srcfd, int dstfd, unsigned flags, struct pod_err *err)
{
    return pod_copytree_watched(srcfd, dstfd, flags, NULL, err);
}

int pod_copytree_watched(int srcfd, int dstfd, unsigned flags, const struct pod_copy_watch *watch,
                         struct pod_err *err)
{
    struct copy *copy = malloc(sizeof *copy);
    struct pod_err ignored;
    int failed;

    if (!copy)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    copy->watch = watch;
    copy->depth = copy->room = 0;
    copy->levels = NULL;
    copy->data.no_clone = copy->data.no_range = 0;
    copy->attrs.flags = flags;
    pod_copy_links_begin(&copy->links, dstfd);
    failed = copy_top(copy, srcfd, dstfd, err);
    while (copy->depth) {
        struct level *level = top(copy);
        if (level->src_mode != (mode_t)-1 && level->src >= 0)
            (void)fchmod(level->src, level->src_mode);
        close_level(level);
        copy->depth--;
    }
    (void)pod_copy_links_end(&copy->links, &ignored);
    free(copy->levels);
    free(copy);
    return failed;
}
