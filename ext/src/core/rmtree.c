#define _GNU_SOURCE 1

#include "rmtree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beneath.h"
#include "decimal.h"
#include "dents.h"

/* Directories held open at once. What lies deeper is first moved up beside the tree's first
 * level. */
#define DEPTH_MAX 48
/* Directories that were empty and are not so any more: somebody fills them while they are
 * removed. */
#define RACES_MAX 16
/* Of the whole tree. */
#define TRIES_MAX 3
#define DENTS_SIZE 16384

struct level {
    int fd;
    int again;      /* entries may have been passed over since the last start from position 0 */
    uint64_t removed; /* entries, since then */
    uint64_t before; /* entries in the scan before; at first more than there can be */
    int64_t resume; /* position of the directory that is being removed below */
    uint64_t child; /* its inode */
};

struct removal {
    int depth; /* of levels in use */
    int races;
    uint64_t emptied; /* inode of the directory that was seen empty last */
    unsigned moved; /* for the next free name */
    struct level levels[DEPTH_MAX];
    _Alignas(struct pod_dent) char dents[DENTS_SIZE];
};

/* u+rwx for a directory that cannot be opened for reading; never through a link. */
static int open_up(int dirfd, const char *name)
{
    struct pod_err err;

    if (pod_chmod_at(dirfd, name, 0700, &err) == 0)
        return 0;
    errno = err.errnum;
    return -1;
}

static int open_directory(int dirfd, const char *name)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dirfd, name, flags);

    if (fd < 0 && errno == EACCES && open_up(dirfd, name) == 0)
        fd = openat(dirfd, name, flags);
    return fd;
}

/* unlinkat(2) of whatever NAME is; opens the modes of the directory around it when that is what is
 * missing. A directory with something in it gives ENOTEMPTY; a mount point EBUSY, before that. */
static int remove_one(int dirfd, const char *name, int is_dir, int ours)
{
    for (int tries = 0; tries < 4; tries++) {
        if (unlinkat(dirfd, name, is_dir ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT)
            return 0;
        if (!is_dir && (errno == EISDIR || errno == EPERM)) {
            struct stat st;
            if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode)) {
                errno = EPERM;
                return -1;
            }
            is_dir = 1;
        } else if (is_dir && errno == ENOTDIR) {
            is_dir = 0;
        } else if (errno == EACCES && ours) {
            if (fchmod(dirfd, 0700) < 0)
                return -1;
            ours = 0;
        } else {
            break;
        }
    }
    if (errno == EEXIST)
        errno = ENOTEMPTY;
    return -1;
}

/* Moves a directory that lies too deep beside the first level, where the scan of that level finds
 * it later. What is in the way of the new name is about to be removed as well: an empty directory
 * may be replaced. */
static int move_up(struct removal *removal, int dirfd, const char *name)
{
    for (int tries = 0; tries < 1000000; tries++) {
        char target[32] = ".pod-rm-";

        pod_put_decimal(target + strlen(target), removal->moved++);
        if (renameat(dirfd, name, removal->levels[0].fd, target) == 0)
            return 0;
        if (errno == EACCES) {
            /* A directory that changes its parent must be writable itself: its ".." is. */
            if (fchmod(dirfd, 0700) < 0 || fchmod(removal->levels[0].fd, 0700) < 0 ||
                open_up(dirfd, name) < 0)
                return -1;
            if (renameat(dirfd, name, removal->levels[0].fd, target) == 0)
                return 0;
        }
        if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
            return -1;
    }
    errno = EEXIST;
    return -1;
}

/* One entry of the deepest level. 1: a new level was opened, what was read of this one is void. */
static int remove_entry(struct removal *removal, const struct pod_dent *dent, int64_t position,
                        struct pod_err *err)
{
    struct level *level = &removal->levels[removal->depth - 1];
    int fd;

    if (!strcmp(dent->name, ".") || !strcmp(dent->name, ".."))
        return 0;
    if (remove_one(level->fd, dent->name, dent->type == DT_DIR, 1) == 0) {
        level->removed++;
        return 0;
    }
    if (errno != ENOTEMPTY)
        return pod_fail(err, POD_UNLINK, dent->name);
    if (removal->depth == DEPTH_MAX) {
        if (move_up(removal, level->fd, dent->name) < 0)
            return pod_fail(err, POD_RENAME, dent->name);
        removal->levels[0].again = 1;
        removal->levels[0].before = UINT64_MAX; /* it got more by ourselves */
        level->removed++;
        return 0;
    }
    if (dent->ino == removal->emptied && ++removal->races > RACES_MAX)
        return pod_fail_errno(err, POD_UNLINK, ENOTEMPTY, dent->name);
    fd = open_directory(level->fd, dent->name);
    if (fd < 0)
        return errno == ENOENT ? 0 : pod_fail(err, POD_OPEN, dent->name);
    level->resume = position;
    level->child = dent->ino;
    level = &removal->levels[removal->depth++];
    level->fd = fd;
    level->again = 0;
    level->removed = 0;
    level->before = UINT64_MAX;
    return 1;
}

/* Removes what the deepest level holds. 1: it was seen empty; 0: a new level was opened. */
static int remove_level(struct removal *removal, int64_t position, struct pod_err *err)
{
    struct level *level = &removal->levels[removal->depth - 1];

    /* A position may lose its meaning (EINVAL) when somebody else empties the directory: begin anew. */
    if (lseek(level->fd, position, SEEK_SET) < 0 && lseek(level->fd, 0, SEEK_SET) < 0)
        return pod_fail(err, POD_READ, "");
    for (;;) {
        long length = syscall(SYS_getdents64, level->fd, removal->dents, DENTS_SIZE);

        if (length < 0 && errno == ENOENT)
            return 1; /* somebody else removed the directory: getdents64(2) */
        if (length < 0)
            return pod_fail(err, POD_READ, "");
        if (length == 0) {
            /* Where positions shift while entries vanish (tmpfs before 6.6), coming back to one
             * passed others over: each scan finds half of the rest. One that finds as many as the
             * one before meets somebody who fills the directory. */
            if (!level->again || level->removed >= level->before)
                return 1;
            level->before = level->removed;
            level->removed = 0;
            level->again = 0;
            position = 0;
            if (lseek(level->fd, 0, SEEK_SET) < 0)
                return pod_fail(err, POD_READ, "");
            continue;
        }
        for (long at = 0; at < length;) {
            const struct pod_dent *dent =
                (const struct pod_dent *)(const void *)(removal->dents + at);
            int entered = remove_entry(removal, dent, position, err);

            if (entered)
                return entered < 0 ? -1 : 0;
            position = dent->off;
            at += dent->reclen;
        }
    }
}

static int remove_levels(struct removal *removal, struct pod_err *err)
{
    int64_t position = 0;

    while (removal->depth) {
        int emptied = remove_level(removal, position, err);

        if (emptied < 0)
            return -1;
        position = 0;
        if (!emptied)
            continue;
        close(removal->levels[--removal->depth].fd);
        if (removal->depth) {
            /* The parent reads the entry once more, and its rmdir succeeds now. */
            struct level *parent = &removal->levels[removal->depth - 1];
            parent->again = 1;
            position = parent->resume;
            removal->emptied = parent->child;
        }
    }
    return 0;
}

int pod_rmtree(int dirfd, const char *name, struct pod_err *err)
{
    struct removal removal;

    removal.moved = 0;
    for (int races = 0;; races++) {
        int fd;
        int failed;

        if (remove_one(dirfd, name, 0, 0) == 0)
            return 0;
        if (errno != ENOTEMPTY || races == TRIES_MAX)
            return pod_fail(err, POD_UNLINK, name);
        fd = open_directory(dirfd, name);
        if (fd < 0)
            return pod_fail(err, POD_OPEN, name);
        removal.depth = 1;
        removal.races = 0;
        removal.emptied = 0;
        removal.levels[0].fd = fd;
        removal.levels[0].again = 0;
        removal.levels[0].removed = 0;
        removal.levels[0].before = UINT64_MAX;
        failed = remove_levels(&removal, err);
        while (removal.depth > 0)
            close(removal.levels[--removal.depth].fd);
        if (failed)
            return -1;
    }
}
