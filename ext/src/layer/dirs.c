#define _GNU_SOURCE 1

#include "dirs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/beneath.h"
#include "../core/whiteout.h"

#define LINKS_MAX 40 /* path_resolution(7) */
#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct pod_dirs {
    int rootfd;
    int overlay;
    struct pod_names *names;
    int (*settle)(void *, struct pod_err *); /* or NULL */
    void *settle_context;
    int (*want)(void *, struct pod_err *); /* or NULL */
    void *want_context;
    size_t depth; /* of dirs in use; dirs[0] is the root */
    char path[PATH_MAX];
    char todo[PATH_MAX];
    struct pod_dir dirs[POD_DIRS_DEPTH_MAX + 1];
};

struct pod_dir *pod_dirs_top(struct pod_dirs *dirs)
{
    return &dirs->dirs[dirs->depth - 1];
}

int pod_dirs_is_deep(const struct pod_dirs *dirs)
{
    return dirs->depth > POD_DIRS_FOLDERS_MAX;
}

const char *pod_dirs_path(const struct pod_dirs *dirs)
{
    return dirs->path;
}

/* What a directory needs while it is filled: we can list, enter and write it, and files in it get
 * our group. */
static int open_modes(struct pod_dir *dir, const char *path, struct pod_err *err)
{
    mode_t wanted = (dir->on_disk & 0777) | 0700;

    if (wanted == dir->on_disk)
        return 0;
    if (fchmod(dir->fd, wanted) < 0)
        return pod_fail(err, POD_CHMOD, path);
    dir->on_disk = wanted;
    return 0;
}

static void put_aside(struct pod_dir *dir, const struct stat *st)
{
    dir->mode = st->st_mode & 07777;
    dir->on_disk = dir->mode;
    dir->keep_times = 1;
    dir->times[0] = st->st_atim;
    dir->times[1] = st->st_mtim;
}

int pod_dirs_open(int rootfd, int overlay, struct pod_dirs **dirs, struct pod_err *err)
{
    struct pod_dirs *made = malloc(sizeof *made);
    struct stat st;

    if (!made)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    *dirs = made;
    made->rootfd = rootfd;
    made->overlay = overlay;
    made->names = NULL;
    made->settle = NULL;
    made->want = NULL;
    made->depth = 1;
    made->path[0] = '\0';
    memset(&made->dirs[0], 0, sizeof made->dirs[0]);
    made->dirs[0].fd = openat(rootfd, ".", DIRECTORY);
    if (pod_names_open(&made->names, err) < 0)
        return -1;
    if (made->dirs[0].fd < 0 || fstat(made->dirs[0].fd, &st) < 0)
        return pod_fail(err, POD_OPEN, "");
    put_aside(&made->dirs[0], &st);
    return open_modes(&made->dirs[0], "", err);
}

void pod_dirs_on_settle(struct pod_dirs *dirs, int (*settle)(void *, struct pod_err *),
                        void *context)
{
    dirs->settle = settle;
    dirs->settle_context = context;
}

void pod_dirs_on_want(struct pod_dirs *dirs, int (*want)(void *, struct pod_err *), void *context)
{
    dirs->want = want;
    dirs->want_context = context;
}

static int settle(struct pod_dirs *dirs, struct pod_err *err)
{
    return dirs->settle ? dirs->settle(dirs->settle_context, err) : 0;
}

void pod_dirs_forget_top(struct pod_dirs *dirs)
{
    pod_dirs_top(dirs)->number = 0;
}

int pod_dirs_note(struct pod_dirs *dirs, const char *name, struct pod_err *err)
{
    if (pod_names_are_full(dirs->names)) {
        if (settle(dirs, err) < 0)
            return -1;
        pod_names_forget(dirs->names);
    }
    switch (pod_names_note(dirs->names, pod_dirs_top(dirs)->number, name)) {
    case POD_NAME_FRESH:
        return 1;
    case POD_NAME_SEEN:
        return settle(dirs, err);
    case POD_NAME_UNKNOWN: /* so nothing was left to writers here, or it was settled */
        break;
    }
    return 0;
}

static void close_one(struct pod_dir *dir)
{
    struct pod_err unused;

    pod_cleanup_fd(&dir->fd);
    if (dir->folder)
        (void)pod_folder_release(dir->folder, &unused); /* not left: there is nothing to fail */
}

void pod_dirs_close(struct pod_dirs **dirs)
{
    if (!*dirs)
        return;
    for (size_t i = 0; i < (*dirs)->depth; i++)
        close_one(&(*dirs)->dirs[i]);
    pod_names_close(&(*dirs)->names);
    free(*dirs);
    *dirs = NULL;
}

/* Writers may still be at work in it: the last of them sees to its mode and times. */
static int leave_to_writers(struct pod_dir *dir, struct pod_err *err)
{
    struct pod_folder *folder = dir->folder;

    dir->folder = NULL;
    folder->left = 1;
    folder->mode = dir->mode;
    folder->on_disk = dir->on_disk;
    folder->keep_times = dir->keep_times;
    memcpy(folder->times, dir->times, sizeof folder->times);
    return pod_folder_release(folder, err);
}

static int finish(struct pod_dirs *dirs, struct pod_dir *dir, struct pod_err *err)
{
    if (dir->folder)
        return leave_to_writers(dir, err);
    if (dir->on_disk != dir->mode && fchmod(dir->fd, dir->mode) < 0)
        return pod_fail(err, POD_CHMOD, dirs->path);
    if (dir->keep_times && futimens(dir->fd, dir->times) < 0)
        return pod_fail(err, POD_UTIMES, dirs->path);
    return 0;
}

static int leave(struct pod_dirs *dirs, struct pod_err *err)
{
    struct pod_dir *dir = pod_dirs_top(dirs);

    if (finish(dirs, dir, err) < 0)
        return -1;
    close(dir->fd);
    dir->fd = -1;
    if (--dirs->depth == 0)
        return 0;
    dir = pod_dirs_top(dirs);
    dirs->path[dir->path_end] = '\0';
    if (dir->fd >= 0)
        return 0;
    if (settle(dirs, err) < 0) /* descriptors may be few */
        return -1;
    /* All directories above are on the stack, so open to us. */
    dir->fd = pod_open_beneath(dirs->rootfd, dirs->path[0] ? dirs->path : ".", DIRECTORY, 0, err);
    return dir->fd < 0 ? -1 : 0;
}

int pod_dirs_leave_all(struct pod_dirs *dirs, struct pod_err *err)
{
    while (dirs->depth)
        if (leave(dirs, err) < 0)
            return -1;
    return 0;
}

/* Puts NAME, open as FD, on the stack; takes FD over. */
static int push_fd(struct pod_dirs *dirs, const char *name, int fd, const struct stat *st,
                   struct pod_err *err)
{
    struct pod_dir *top = pod_dirs_top(dirs);
    size_t length = strlen(name);
    size_t end = top->path_end;

    if (end + length + 2 > sizeof dirs->path || dirs->depth > POD_DIRS_DEPTH_MAX) {
        close(fd);
        return pod_fail_errno(err, POD_TAR_PATH, ENAMETOOLONG, dirs->path);
    }
    if (dirs->depth > POD_DIRS_OPEN_MAX) {
        struct pod_dir *far = &dirs->dirs[dirs->depth - POD_DIRS_OPEN_MAX];
        pod_cleanup_fd(&far->fd);
        far->fd = -1;
    }
    if (end)
        dirs->path[end++] = '/';
    memcpy(dirs->path + end, name, length + 1);
    top = &dirs->dirs[dirs->depth++];
    memset(top, 0, sizeof *top);
    top->fd = fd;
    top->path_end = end + length;
    put_aside(top, st);
    return open_modes(top, dirs->path, err);
}

static int push(struct pod_dirs *dirs, const char *name, struct stat *st, struct pod_err *err)
{
    int here = pod_dirs_top(dirs)->fd;
    int fd = openat(here, name, DIRECTORY);

    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && dirs->want) {
        if (dirs->want(dirs->want_context, err) < 0)
            return -1;
        fd = openat(here, name, DIRECTORY);
    }
    if (fd < 0 && errno != EACCES && errno != ELOOP && errno != ENOTDIR)
        return pod_fail(err, POD_TAR_PATH, name);
    if (fd >= 0) {
        if (fstat(fd, st) < 0) {
            close(fd);
            return pod_fail(err, POD_TAR_PATH, name);
        }
        return push_fd(dirs, name, fd, st, err);
    }
    if (fstatat(here, name, st, AT_SYMLINK_NOFOLLOW) < 0)
        return pod_fail(err, POD_TAR_PATH, name);
    if (!S_ISDIR(st->st_mode))
        return 1;
    /* A directory that we may not read (its mode came from the archive). */
    if (pod_chmod_at(here, name, (st->st_mode & 07777) | 0700, err) < 0)
        return -1;
    fd = openat(here, name, DIRECTORY);
    if (fd < 0)
        return pod_fail(err, POD_TAR_PATH, name);
    return push_fd(dirs, name, fd, st, err);
}

int pod_dirs_push(struct pod_dirs *dirs, const char *name, struct stat *st, struct pod_err *err)
{
    return settle(dirs, err) < 0 ? -1 : push(dirs, name, st, err);
}

int pod_dirs_push_new(struct pod_dirs *dirs, const char *name, struct stat *st, struct pod_err *err)
{
    int other = push(dirs, name, st, err);

    if (!other)
        pod_dirs_top(dirs)->number = pod_names_begin_directory(dirs->names);
    return other;
}

/* The link NAME, followed: its target in front of what is left of todo. */
static int follow(struct pod_dirs *dirs, const char *name, const char *rest, int *links,
                  struct pod_err *err)
{
    char target[PATH_MAX];
    size_t rest_length = strlen(rest);
    ssize_t length = readlinkat(pod_dirs_top(dirs)->fd, name, target, sizeof target - 1);

    if (length < 0)
        return pod_fail(err, POD_TAR_PATH, name);
    if (++*links > LINKS_MAX)
        return pod_fail_errno(err, POD_TAR_PATH, ELOOP, name);
    if (!length || (size_t)length + rest_length + 2 > sizeof dirs->todo)
        return pod_fail_errno(err, POD_TAR_PATH, length ? ENAMETOOLONG : ENOENT, name);
    memmove(dirs->todo + length + 1, rest, rest_length + 1);
    memcpy(dirs->todo, target, (size_t)length);
    dirs->todo[length] = '/';
    while (target[0] == '/' && dirs->depth > 1)
        if (leave(dirs, err) < 0)
            return -1;
    return 0;
}

/* A directory that no entry made: as Docker does, 0755 of root and the time of now. */
static int make_one(struct pod_dirs *dirs, const char *name, struct pod_err *err)
{
    struct stat st;

    if (mkdirat(pod_dirs_top(dirs)->fd, name, 0700) < 0)
        return pod_fail(err, POD_MKDIR, name);
    if (pod_dirs_push_new(dirs, name, &st, err) != 0)
        return -1;
    pod_dirs_top(dirs)->mode = 0755;
    pod_dirs_top(dirs)->keep_times = 0;
    return 0;
}

/* One name of todo. 1: it was a link, todo begins anew. */
static int step(struct pod_dirs *dirs, const char *name, const char *rest, int make, int *links,
                struct pod_err *err)
{
    struct stat st;
    int other;

    if (!strcmp(name, "."))
        return 0;
    if (!strcmp(name, ".."))
        return dirs->depth > 1 ? leave(dirs, err) : 0;
    other = make ? pod_dirs_note(dirs, name, err) : 0;
    if (other)
        return other < 0 ? -1 : make_one(dirs, name, err);
    other = pod_dirs_push(dirs, name, &st, err);
    if (other < 0 && err->step == POD_TAR_PATH && err->errnum == ENOENT && make)
        return make_one(dirs, name, err);
    if (other <= 0)
        return other;
    if (S_ISLNK(st.st_mode))
        return follow(dirs, name, rest, links, err) < 0 ? -1 : 1;
    if (!make || !dirs->overlay || !pod_is_whiteout_node(&st))
        return pod_fail_errno(err, POD_TAR_PATH, ENOTDIR, name);
    if (unlinkat(pod_dirs_top(dirs)->fd, name, 0) < 0)
        return pod_fail(err, POD_UNLINK, name);
    if (make_one(dirs, name, err) < 0)
        return -1;
    return pod_set_opaque(pod_dirs_top(dirs)->fd) < 0 ? pod_fail(err, POD_XATTR, dirs->path) : 0;
}

/* How much of the stack leads the way to PATH: leaves the rest. Returns what is left of PATH, NULL
 * on failure. */
static const char *back_to_common(struct pod_dirs *dirs, const char *path, struct pod_err *err)
{
    for (;;) {
        size_t end = pod_dirs_top(dirs)->path_end;

        if (!end)
            return path;
        if (strncmp(path, dirs->path, end) == 0 && (!path[end] || path[end] == '/'))
            return path + end;
        if (leave(dirs, err) < 0)
            return NULL;
    }
}

int pod_dirs_enter(struct pod_dirs *dirs, const char *path, int make, struct pod_err *err)
{
    const char *rest = back_to_common(dirs, path, err);
    int links = 0;

    if (!rest)
        return -1;
    if (strlen(rest) >= sizeof dirs->todo)
        return pod_fail_errno(err, POD_TAR_PATH, ENAMETOOLONG, path);
    memmove(dirs->todo, rest, strlen(rest) + 1);
    for (const char *at = dirs->todo;;) {
        char name[NAME_MAX + 1];
        size_t length;
        int followed;

        while (*at == '/')
            at++;
        length = strcspn(at, "/");
        if (!length)
            return 0;
        if (length > NAME_MAX)
            return pod_fail_errno(err, POD_TAR_PATH, ENAMETOOLONG, path);
        memcpy(name, at, length);
        name[length] = '\0';
        at += length;
        followed = step(dirs, name, at, make, &links, err);
        if (followed < 0)
            return -1;
        if (followed)
            at = dirs->todo;
    }
}
