#define _GNU_SOURCE 1

#include "beneath.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "decimal.h"

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

/* openat2(2) answers EAGAIN while renames or mounts go on beside a ".." of ours; after that many
 * the walk decides. */
#define AGAIN_TRIES 64
/* path_resolution(7): more than 40 links is ELOOP. */
#define LINKS_MAX 40
/* statfs(2), PROC_SUPER_MAGIC. */
#define PROC_MAGIC 0x9fa0L

static int openat2_in(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct open_how how;

    memset(&how, 0, sizeof how);
    how.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC);
    if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE)
        how.mode = mode & 07777;
    how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
    for (int tries = 0;; tries++) {
        int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || tries >= AGAIN_TRIES)
            return fd;
    }
}

/* Whether the walk should be asked instead: no such call (before 5.6), an outer seccomp filter that
 * answers EPERM (a real EPERM comes out of the walk again), or races without end. */
static int wants_walk(int errnum)
{
    return errnum == ENOSYS || errnum == EPERM || errnum == EAGAIN;
}

/* ---- the walk -----------------------------------------------------
 * `here` is the directory reached, by names `done` from the root ("a/b", no links among them). It
 * only ever goes down, by O_NOFOLLOW; for ".." it starts again at the root, so that a directory
 * which another process moves out of the root meanwhile does not take the walk along. */
struct walk {
    int rootfd;
    int here;             /* never rootfd itself: always ours to close */
    int links;
    int make;             /* missing directories are made with `make_mode` */
    mode_t make_mode;
    size_t done_length;
    char done[PATH_MAX];
    char todo[PATH_MAX];  /* what is left of the path, links expanded */
};

static void walk_end(struct walk *walk)
{
    pod_cleanup_fd(&walk->here);
}

static int walk_enter(struct walk *walk, const char *name)
{
    int fd = openat(walk->here, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -1;
    close(walk->here);
    walk->here = fd;
    return 0;
}

static int walk_home(struct walk *walk)
{
    int fd = openat(walk->rootfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    if (walk->here >= 0)
        close(walk->here);
    walk->here = fd;
    return 0;
}

static int walk_up(struct walk *walk)
{
    while (walk->done_length && walk->done[walk->done_length - 1] != '/')
        walk->done_length--;
    if (walk->done_length)
        walk->done_length--;
    if (walk_home(walk) < 0)
        return -1;
    for (size_t start = 0; start < walk->done_length;) {
        char name[NAME_MAX + 1];
        size_t length = 0;

        while (start + length < walk->done_length && walk->done[start + length] != '/')
            length++;
        memcpy(name, walk->done + start, length);
        name[length] = '\0';
        if (walk_enter(walk, name) < 0)
            return -1;
        start += length + 1;
    }
    return 0;
}

static int walk_note(struct walk *walk, const char *name)
{
    size_t length = strlen(name);

    if (walk->done_length + length + 2 > sizeof walk->done) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (walk->done_length)
        walk->done[walk->done_length++] = '/';
    memcpy(walk->done + walk->done_length, name, length);
    walk->done_length += length;
    return 0;
}

/* Links of /proc/PID that lead to objects, not to names, read as "/…", "pipe:[…]"; the ordinary
 * links of procfs are plain
 * relative paths. */
static int is_magic(int dirfd, const char *target)
{
    struct statfs fs;

    if (target[0] != '/' && !strchr(target, ':'))
        return 0;
    return fstatfs(dirfd, &fs) == 0 && (long)fs.f_type == PROC_MAGIC;
}

/* 1: NAME was a link and is now in front of todo; 0: no link (or nothing there). */
static int walk_link(struct walk *walk, const char *name, const char *rest)
{
    char target[PATH_MAX];
    size_t rest_length = strlen(rest);
    ssize_t length = readlinkat(walk->here, name, target, sizeof target - 1);

    if (length < 0)
        return errno == EINVAL || errno == ENOENT ? 0 : -1;
    target[length] = '\0';
    if (++walk->links > LINKS_MAX || is_magic(walk->here, target)) {
        errno = ELOOP;
        return -1;
    }
    if (length == 0) {
        errno = ENOENT;
        return -1;
    }
    if ((size_t)length + rest_length + 2 > sizeof walk->todo) {
        errno = ENAMETOOLONG;
        return -1;
    }
    /* rest points into todo: move it first. */
    memmove(walk->todo + length + (rest_length ? 1 : 0), rest, rest_length + 1);
    memcpy(walk->todo, target, (size_t)length);
    if (rest_length)
        walk->todo[length] = '/';
    if (target[0] == '/') {
        walk->done_length = 0;
        if (walk_home(walk) < 0)
            return -1;
    }
    return 1;
}

static int walk_make(struct walk *walk, const char *name)
{
    POD_AUTO_FD int fd = -1;

    if (mkdirat(walk->here, name, walk->make_mode) < 0)
        return errno == EEXIST ? 0 : -1;
    /* Whatever the umask is. */
    fd = openat(walk->here, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fchmod(fd, walk->make_mode) < 0)
        return -1;
    return 0;
}

static int walk_down(struct walk *walk, const char *name)
{
    int entered = walk_enter(walk, name);

    if (entered < 0 && errno == ENOENT && walk->make) {
        if (walk_make(walk, name) < 0)
            return -1;
        entered = walk_enter(walk, name);
    }
    return entered < 0 ? -1 : walk_note(walk, name);
}

/* Takes the first name off todo into NAME; *rest is what follows its slashes; *slash whether there
 * were any. */
static int walk_next(struct walk *walk, char *name, const char **rest, int *slash)
{
    const char *start = walk->todo;
    size_t length;

    while (*start == '/')
        start++;
    length = strcspn(start, "/");
    if (length > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, start, length);
    name[length] = '\0';
    start += length;
    *slash = *start == '/';
    while (*start == '/')
        start++;
    *rest = start;
    return 0;
}

/* One component that is not the last. */
static int walk_step(struct walk *walk, const char *name, const char *rest)
{
    int linked;

    if (strcmp(name, ".") == 0)
        linked = 0;
    else if (strcmp(name, "..") == 0)
        linked = walk_up(walk);
    else if ((linked = walk_link(walk, name, rest)) == 0)
        linked = walk_down(walk, name);
    if (linked < 0)
        return -1;
    if (linked == 0)
        memmove(walk->todo, rest, strlen(rest) + 1);
    return 0;
}

static int walk_run(struct walk *walk, int flags, mode_t mode)
{
    for (;;) {
        char name[NAME_MAX + 1];
        const char *rest;
        int slash;

        if (walk_next(walk, name, &rest, &slash) < 0)
            return -1;
        if (!name[0])
            return openat(walk->here, ".", flags | O_CLOEXEC, mode);
        if (slash || walk->make || !strcmp(name, ".") || !strcmp(name, "..")) {
            if (walk_step(walk, name, rest) < 0)
                return -1;
            continue;
        }
        if (!(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL)) {
            int linked = walk_link(walk, name, "");
            if (linked < 0)
                return -1;
            if (linked)
                continue;
        }
        return openat(walk->here, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    }
}

static int walk_open(int rootfd, const char *path, int flags, mode_t mode, int make,
                     mode_t make_mode)
{
    struct walk walk;
    int fd;

    if (!path[0]) {
        errno = ENOENT;
        return -1;
    }
    if (strlen(path) >= sizeof walk.todo) {
        errno = ENAMETOOLONG;
        return -1;
    }
    walk.rootfd = rootfd;
    walk.here = -1;
    walk.links = 0;
    walk.make = make;
    walk.make_mode = make_mode;
    walk.done_length = 0;
    strcpy(walk.todo, path);
    fd = walk_home(&walk) < 0 ? -1 : walk_run(&walk, flags, mode);
    walk_end(&walk);
    return fd;
}

/* The walk of pod_open_beneath: no link is followed and ".." was refused before. */
static int walk_beneath(int rootfd, const char *path, int flags, mode_t mode)
{
    POD_AUTO_FD int here = openat(rootfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    while (here >= 0) {
        char name[NAME_MAX + 1];
        size_t length = strcspn(path, "/");
        int next;

        if (length > NAME_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(name, path, length);
        name[length] = '\0';
        path += length;
        if (!path[0])
            return openat(here, name[0] ? name : ".", flags | O_NOFOLLOW | O_CLOEXEC, mode);
        while (*path == '/')
            path++;
        next = openat(here, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (next >= 0) {
            struct stat st;
            int errnum = fstat(next, &st) < 0  ? errno
                         : S_ISLNK(st.st_mode) ? ELOOP
                         : S_ISDIR(st.st_mode) ? 0
                                               : ENOTDIR;
            if (errnum) {
                close(next);
                errno = errnum;
                return -1;
            }
        }
        pod_cleanup_fd(&here);
        here = next;
    }
    return -1;
}

static int has_dotdot(const char *path)
{
    while (*path) {
        size_t length;
        while (*path == '/')
            path++;
        length = strcspn(path, "/");
        if (length == 2 && path[0] == '.' && path[1] == '.')
            return 1;
        path += length;
    }
    return 0;
}

int pod_open_in_root(int rootfd, const char *path, int flags, mode_t mode, struct pod_err *err)
{
    int fd = openat2_in(rootfd, path, flags, mode, RESOLVE_IN_ROOT);

    if (fd < 0 && wants_walk(errno))
        fd = walk_open(rootfd, path, flags, mode, 0, 0);
    return fd < 0 ? pod_fail(err, POD_RESOLVE, path) : fd;
}

int pod_open_beneath(int rootfd, const char *path, int flags, mode_t mode, struct pod_err *err)
{
    int fd;

    if (path[0] == '/' || has_dotdot(path))
        return pod_fail_errno(err, POD_RESOLVE, EXDEV, path);
    if (!path[0])
        return pod_fail_errno(err, POD_RESOLVE, ENOENT, path);
    fd = openat2_in(rootfd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (fd < 0 && wants_walk(errno))
        fd = walk_beneath(rootfd, path, flags, mode);
    return fd < 0 ? pod_fail(err, POD_RESOLVE, path) : fd;
}

int pod_open_within(int rootfd, const char *path, int flags, struct pod_err *err)
{
    int fd = openat2_in(rootfd, path, flags, 0, RESOLVE_BENEATH);

    if (fd < 0 && wants_walk(errno))
        return pod_open_beneath(rootfd, path, flags, 0, err);
    return fd < 0 ? pod_fail(err, POD_RESOLVE, path) : fd;
}

/* PATH's last component, where all before it is there. -1: to be done step by step. */
static int mkdir_in_root(int rootfd, const char *path, mode_t mode)
{
    struct pod_err ignored;
    char name[NAME_MAX + 1];
    POD_AUTO_FD int parent = pod_parent_in_root(rootfd, path, 0, name, &ignored);

    if (parent < 0 || mkdirat(parent, name, mode))
        return -1;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        fchmod(fd, mode); /* the umask, a parent with the set-group-id bit */
    return fd;
}

int pod_mkdirs_in_root(int rootfd, const char *path, mode_t mode, struct pod_err *err)
{
    int fd = openat2_in(rootfd, path, O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);

    int absent = fd < 0 && errno == ENOENT, steps = absent || (fd < 0 && wants_walk(errno));
    if (absent)
        fd = mkdir_in_root(rootfd, path, mode);
    if (fd < 0 && steps)
        fd = walk_open(rootfd, path, O_PATH | O_DIRECTORY, 0, 1, mode);
    return fd < 0 ? pod_fail(err, POD_RESOLVE, path) : fd;
}

int pod_parent_in_root(int rootfd, const char *path, int make, char *name, struct pod_err *err)
{
    char parent[PATH_MAX];
    size_t end = strlen(path);
    size_t start;
    size_t length;

    while (end && path[end - 1] == '/')
        end--;
    start = end;
    while (start && path[start - 1] != '/')
        start--;
    length = end - start;
    if (!length || (path[start] == '.' && (length == 1 || (length == 2 && path[start + 1] == '.'))))
        return pod_fail_errno(err, POD_RESOLVE, EINVAL, path);
    if (length > NAME_MAX || start >= sizeof parent)
        return pod_fail_errno(err, POD_RESOLVE, ENAMETOOLONG, path);
    memcpy(name, path + start, length);
    name[length] = '\0';
    if (start)
        memcpy(parent, path, start);
    else
        parent[start++] = '/';
    parent[start] = '\0';
    if (make)
        return pod_mkdirs_in_root(rootfd, parent, 0755, err);
    return pod_open_in_root(rootfd, parent, O_PATH | O_DIRECTORY, 0, err);
}

int pod_chmod_at(int dirfd, const char *name, mode_t mode, struct pod_err *err)
{
    POD_AUTO_FD int fd = -1;
    struct stat st;
    char self[32] = "/proc/self/fd/"; /* without stdio: may run between clone and exec */

    if (syscall(SYS_fchmodat2, dirfd, name, mode, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (errno != ENOSYS && errno != EPERM && errno != EINVAL)
        return pod_fail(err, POD_CHMOD, name);
    fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return pod_fail(err, POD_CHMOD, name);
    if (S_ISLNK(st.st_mode))
        return pod_fail_errno(err, POD_CHMOD, ELOOP, name);
    pod_put_decimal(self + strlen(self), (uint64_t)fd);
    if (chmod(self, mode) == 0)
        return 0;
    /* Without /proc this is a process whose root is the tree (sandbox.h): a link that came here leads nowhere else. */
    if (errno == ENOENT && fchmodat(dirfd, name, mode, 0) == 0)
        return 0;
    return pod_fail(err, POD_CHMOD, name);
}
