#include "mount.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beneath.h"
#include "copytree.h"
#include "preload.h"

/* Of linux/mount.h, which some C libraries' sys/mount.h cannot stand beside. */
#define ATTR_RDONLY 0x1u
#define ATTR_NOSUID 0x2u
#define ATTR_NODEV 0x4u
#define ATTR_NOEXEC 0x8u
#define OPEN_TREE_CLONE_FLAG 1u
#define AT_RECURSIVE_FLAG 0x8000u
#define MOVE_EMPTY_PATHS 0x44u /* MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH */
#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

struct mount_attributes {
    uint64_t set, clear, propagation, userns_fd;
};

struct fd_path {
    char text[32];
};

static struct fd_path fd_path(int fd)
{
    struct fd_path path;
    snprintf(path.text, sizeof path.text, "/proc/self/fd/%d", fd);
    return path;
}

static uint64_t attributes(unsigned long flags)
{
    return (flags & MS_RDONLY ? ATTR_RDONLY : 0) | (flags & MS_NOSUID ? ATTR_NOSUID : 0) |
           (flags & MS_NODEV ? ATTR_NODEV : 0) | (flags & MS_NOEXEC ? ATTR_NOEXEC : 0);
}

/* open_tree, mount_setattr, move_mount: the mount gets its flags before anybody can see it. 1 = this kernel cannot. */
static int bind_new_api(int sourcefd, int targetfd, unsigned long flags, int recursive_flags)
{
    unsigned recursive = flags & MS_REC ? AT_RECURSIVE_FLAG : 0;
    struct mount_attributes attr = {.set = attributes(flags), .propagation = MS_PRIVATE};
    POD_AUTO_FD int tree = (int)syscall(
        SYS_open_tree, sourcefd, "", OPEN_TREE_CLONE_FLAG | O_CLOEXEC | AT_EMPTY_PATH | recursive);

    if (tree < 0)
        return errno == ENOSYS || errno == EPERM ? 1 : -1;
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | (recursive_flags ? recursive : 0),
                &attr, sizeof attr))
        return errno == ENOSYS || errno == EPERM || errno == EINVAL ? 1 : -1;
    if (syscall(SYS_move_mount, tree, "", targetfd, "", MOVE_EMPTY_PATHS))
        return errno == ENOSYS || errno == EPERM ? 1 : -1;
    return 0;
}

/* Flags that the source's mount has and that a less privileged namespace may not clear (mount_namespaces(7)). */
static unsigned long locked_flags(int fd)
{
    struct statfs st;
    unsigned long flags = 0;

    if (fstatfs(fd, &st))
        return 0;
    /* ST_* of statvfs(3) have the values of MS_* for these. */
    flags |= (unsigned long)st.f_flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC |
                                          MS_NOATIME | MS_NODIRATIME | MS_RELATIME);
    return flags;
}

/* mount(2) twice. The second call must name the new mount, not what lies below it: the parent is walked again. */
static int bind_old_api(int sourcefd, int targetfd, unsigned long flags)
{
    struct fd_path source = fd_path(sourcefd), target = fd_path(targetfd);
    char path[4096];
    ssize_t length;

    if (mount(source.text, target.text, NULL, MS_BIND | (flags & MS_REC), NULL))
        return -1;
    if (!attributes(flags))
        return 0;
    length = readlink(target.text, path, sizeof path - 1);
    if (length <= 0)
        return -1;
    path[length] = '\0';
    POD_AUTO_FD int top = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (top < 0)
        return -1;
    struct fd_path again = fd_path(top);
    return mount(NULL, again.text, NULL,
                 MS_REMOUNT | MS_BIND | (flags & ~(unsigned long)MS_REC) | locked_flags(top), NULL);
}

int pod_mount_bind(int sourcefd, int targetfd, unsigned long flags, int recursive_flags,
                   const char *name, struct pod_err *err)
{
    int done = bind_new_api(sourcefd, targetfd, flags, recursive_flags);
    if (done == 1)
        done = bind_old_api(sourcefd, targetfd, flags);
    return done ? pod_fail(err, POD_BIND, name) : 0;
}

static int append(char *text, size_t size, size_t *used, const char *what)
{
    size_t length = strlen(what);
    if (*used + length + 1 > size)
        return -1;
    memcpy(text + *used, what, length + 1);
    *used += length;
    return 0;
}

/* The upper folder's own mode and owner shadow those of the image's root. */
static void copy_root_attributes(int lowerfd, int upperfd)
{
    struct stat st;
    struct fd_path upper = fd_path(upperfd);

    if (fstat(lowerfd, &st))
        return;
    /* Best effort: a single id cannot chown, and needs not. */
    if (chown(upper.text, st.st_uid, st.st_gid) == 0 || errno == EPERM || errno == EINVAL)
        chmod(upper.text, st.st_mode & 07777);
}

/* Every directory goes in by descriptor: no name of the host is seen in /proc/mounts, and 200 layers fit the one page that mount(2) takes. */
static int overlay_options(const struct pod_plan *plan, char *text, size_t size,
                           struct pod_err *err)
{
    const char *lower = pod_plan_str(plan, POD_KEY_LOWERS);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_LOWERS);
    const char *const dirs[] = {pod_plan_str(plan, POD_KEY_UPPER),
                                pod_plan_str(plan, POD_KEY_WORK)};
    static const char *const keys[] = {",upperdir=", ",workdir="};
    const char *further = pod_plan_str(plan, POD_KEY_OVERLAY);
    size_t used = 0;
    int failed = 0, first = -1;

    for (uint32_t i = 0; i < count; i++, lower += strlen(lower) + 1) {
        int fd = open(lower, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return pod_fail(err, POD_OVERLAY, lower);
        first = i ? first : fd;
        failed |= append(text, size, &used, i ? ":" : "lowerdir=");
        failed |= append(text, size, &used, fd_path(fd).text);
    }
    int lowest = pod_preload_tree(plan, first);
    if (lowest >= 0) {
        failed |= append(text, size, &used, ":");
        failed |= append(text, size, &used, fd_path(lowest).text);
    }
    for (int i = 0; i < 2 && dirs[i]; i++) {
        int fd = open(dirs[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return pod_fail(err, POD_OVERLAY, dirs[i]);
        if (i == 0)
            copy_root_attributes(first, fd);
        failed |= append(text, size, &used, keys[i]);
        failed |= append(text, size, &used, fd_path(fd).text);
    }
    if (further && *further) {
        failed |= append(text, size, &used, ",");
        failed |= append(text, size, &used, further);
    }
    return failed ? pod_fail_errno(err, POD_OVERLAY, E2BIG, "too many layers") : 0;
}

int pod_mount_root(const struct pod_plan *plan, struct pod_err *err)
{
    const char *root = pod_plan_str(plan, POD_KEY_ROOT);
    char options[4096];

    if (!root)
        return pod_fail_errno(err, POD_PLAN, EINVAL, "ROOT");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return pod_fail(err, POD_PROPAGATION, "/");
    if (pod_plan_has(plan, POD_KEY_LOWERS)) {
        if (overlay_options(plan, options, sizeof options, err))
            return -1;
        if (mount("overlay", root, "overlay", 0, options))
            return pod_fail(err, POD_OVERLAY, root);
    } else if (mount(root, root, NULL, MS_BIND | MS_REC, NULL)) {
        return pod_fail(err, POD_BIND, root);
    }
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? pod_fail(err, POD_OPEN, root) : fd;
}

/* The directory TARGET, made if missing; with NOFOLLOW no component may be a link. */
static int target_directory(const struct pod_mount *m, int rootfd, const char *target,
                            struct pod_err *err)
{
    struct pod_err missing;
    int fd;

    if (!(m->bits & POD_MOUNT_NOFOLLOW))
        return pod_mkdirs_in_root(rootfd, target, 0755, err);
    fd = pod_open_beneath(rootfd, target + strspn(target, "/"), O_PATH | O_DIRECTORY, 0, &missing);
    if (fd >= 0)
        return fd;
    if (missing.errnum != ENOENT) {
        *err = missing;
        return -1;
    }
    return pod_mkdirs_in_root(rootfd, target, 0755, err);
}

/* What the link NAME in PARENT says, as a path from the root: 1, or 0 where NAME is no link. TARGET is NAME's own path. */
static int follow_link(int parent, const char *name, const char *target, char *path, size_t size)
{
    char link[1024];
    ssize_t length = readlinkat(parent, name, link, sizeof link - 1);
    const char *slash = strrchr(target, '/');

    if (length <= 0)
        return 0;
    link[length] = '\0';
    int before = link[0] == '/' || !slash ? 0 : (int)(slash - target) + 1;
    length = snprintf(path, size, "%.*s%s", before, target, link);
    return length > 0 && (size_t)length < size;
}

/* TARGET as a regular file to bind on, made empty if missing, also where a link leads to nothing (Ubuntu's resolv.conf). Never
 * opened for reading or writing: it may be a FIFO or device. */
static int target_file(int rootfd, const char *target, struct pod_err *err)
{
    struct pod_err missing;
    char name[256], paths[2][4096];

    for (int links = 0; links < 8; links++) {
        int fd = pod_open_in_root(rootfd, target, O_PATH, 0, &missing);
        if (fd >= 0)
            return fd;
        if (missing.errnum != ENOENT) {
            *err = missing;
            return -1;
        }
        POD_AUTO_FD int parent = pod_parent_in_root(rootfd, target, 1, name, err);
        if (parent < 0)
            return -1;
        if (follow_link(parent, name, target, paths[links % 2], sizeof paths[0])) {
            target = paths[links % 2];
            continue;
        }
        POD_AUTO_FD int made =
            openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (made < 0 && errno != EEXIST)
            return pod_fail(err, POD_OPEN, target);
        return pod_open_in_root(rootfd, target, O_PATH, 0, err);
    }
    return pod_fail_errno(err, POD_RESOLVE, ELOOP, target);
}

/* An image's links may not turn a mount meant for elsewhere into one over /proc (CVE-2019-16884 and its kin). */
static int check_place(int fd, const char *target, struct pod_err *err)
{
    struct statfs fs;

    if (!strncmp(target, "/proc", 5) && (!target[5] || target[5] == '/'))
        return 0;
    if (fstatfs(fd, &fs))
        return pod_fail(err, POD_RESOLVE, target);
    return fs.f_type == PROC_SUPER_MAGIC ? pod_fail_errno(err, POD_RESOLVE, EXDEV, target) : 0;
}

static int do_fs(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                 struct pod_err *err)
{
    const char *target = pod_plan_string(plan, m->target), *type = pod_plan_string(plan, m->fstype);
    const char *data = pod_plan_string(plan, m->data), *source = pod_plan_string(plan, m->source);
    POD_AUTO_FD int fd = target_directory(m, rootfd, target, err);

    if (fd < 0 || check_place(fd, target, err))
        return -1;
    if (mount(*source ? source : type, fd_path(fd).text, type, m->flags, *data ? data : NULL))
        return pod_fail(err, POD_MOUNT, target);
    return 0;
}

static int do_bind(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                   struct pod_err *err)
{
    const char *target = pod_plan_string(plan, m->target),
               *source = pod_plan_string(plan, m->source);
    struct stat st;
    POD_AUTO_FD int from = open(source, O_PATH | O_CLOEXEC);

    if (from < 0 || fstat(from, &st))
        return pod_fail(err, POD_BIND, source);
    POD_AUTO_FD int to = S_ISDIR(st.st_mode) ? target_directory(m, rootfd, target, err)
                                             : target_file(rootfd, target, err);
    if (to < 0 || check_place(to, target, err))
        return -1;
    return pod_mount_bind(from, to, m->flags, (m->bits & POD_MOUNT_REC_RDONLY) != 0, target, err);
}

static int is_empty_directory(int fd)
{
    struct dirent *entry;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), empty = 1;
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;

    if (!dir) {
        pod_cleanup_fd(&copy);
        return 0;
    }
    while (empty && (entry = readdir(dir)))
        empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
    closedir(dir);
    return empty;
}

/* Whether FD lies in the image's own tree, not in something mounted there: copying /proc up would never end. */
static int of_image(int rootfd, int fd)
{
    struct stat root, st;
    return !fstat(rootfd, &root) && !fstat(fd, &st) && root.st_dev == st.st_dev;
}

static int do_volume(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                     const struct pod_mount_watch *watch, struct pod_err *err)
{
    const char *target = pod_plan_string(plan, m->target),
               *source = pod_plan_string(plan, m->source);
    struct pod_err ignored;
    POD_AUTO_FD int from = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (from < 0)
        return pod_fail(err, POD_BIND, source);
    POD_AUTO_FD int content = pod_open_in_root(rootfd, target, O_RDONLY | O_DIRECTORY, 0, &ignored);
    if (content >= 0 && of_image(rootfd, content) && is_empty_directory(from) &&
        (pod_copytree(content, from, POD_COPY_OWNERS, err) ||
         (watch && watch->filled(watch->context, rootfd, content, from, err))))
        return -1;
    return do_bind(plan, m, rootfd, err);
}

static int do_mkdir(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                    struct pod_err *err)
{
    POD_AUTO_FD int fd = pod_mkdirs_in_root(rootfd, pod_plan_string(plan, m->target), m->mode, err);
    return fd < 0 ? -1 : 0;
}

static int do_symlink(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                      struct pod_err *err)
{
    const char *target = pod_plan_string(plan, m->target);
    char name[256];
    POD_AUTO_FD int parent = pod_parent_in_root(rootfd, target, 1, name, err);

    if (parent < 0)
        return -1;
    if (symlinkat(pod_plan_string(plan, m->source), parent, name) && errno != EEXIST)
        return pod_fail(err, POD_SYMLINK, target);
    return 0;
}

/* What is to be covered; -1 with err->errnum ENOENT where there is nothing. */
static int open_covered(const struct pod_mount *m, int rootfd, const char *target, struct stat *st,
                        struct pod_err *err)
{
    struct statfs fs;
    int fd = pod_open_in_root(rootfd, target, O_PATH, 0, err);

    if (fd < 0)
        return -1;
    if (fstat(fd, st) || ((m->bits & POD_MOUNT_ON_PROC) && fstatfs(fd, &fs))) {
        pod_fail(err, POD_MASK, target);
        close(fd);
        return -1;
    }
    if ((m->bits & POD_MOUNT_ON_PROC) && fs.f_type != PROC_SUPER_MAGIC) {
        pod_fail_errno(err, POD_MASK, EXDEV, target);
        close(fd);
        return -1;
    }
    return fd;
}

static int do_mask(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                   struct pod_err *err)
{
    const char *target = pod_plan_string(plan, m->target);
    struct stat st;
    POD_AUTO_FD int fd = open_covered(m, rootfd, target, &st, err);

    if (fd < 0)
        return err->errnum == ENOENT || err->errnum == ENOTDIR || err->errnum == EACCES ? 0 : -1;
    if (S_ISDIR(st.st_mode)) {
        if (mount("tmpfs", fd_path(fd).text, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                  "size=0k,nr_inodes=2"))
            return pod_fail(err, POD_MASK, target);
        return 0;
    }
    POD_AUTO_FD int null = open("/dev/null", O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (null < 0 || fstat(null, &st) || !S_ISCHR(st.st_mode))
        return pod_fail_errno(err, POD_MASK, ENXIO, "/dev/null");
    return pod_mount_bind(null, fd, MS_NOSUID | MS_NOEXEC, 0, target, err);
}

static int do_rdonly(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                     struct pod_err *err)
{
    const char *target = pod_plan_string(plan, m->target);
    struct stat st;
    POD_AUTO_FD int fd = open_covered(m, rootfd, target, &st, err);

    if (fd < 0)
        return err->errnum == ENOENT || err->errnum == ENOTDIR || err->errnum == EACCES ? 0 : -1;
    return pod_mount_bind(fd, fd, MS_RDONLY | MS_REC | MS_NOSUID | MS_NODEV | MS_NOEXEC, 1, target,
                          err);
}

typedef int mount_operation(const struct pod_plan *, const struct pod_mount *, int,
                            struct pod_err *);

static mount_operation *const operations[] = {
    [POD_MOUNT_FS] = do_fs,           [POD_MOUNT_BIND] = do_bind, [POD_MOUNT_MKDIR] = do_mkdir,
    [POD_MOUNT_SYMLINK] = do_symlink, [POD_MOUNT_MASK] = do_mask, [POD_MOUNT_RDONLY] = do_rdonly,
};

static int operate(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                   const struct pod_mount_watch *watch, struct pod_err *err)
{
    if (m->kind == POD_MOUNT_VOLUME)
        return do_volume(plan, m, rootfd, watch, err);
    if (m->kind == 0 || m->kind >= sizeof operations / sizeof *operations)
        return pod_fail_errno(err, POD_PLAN, EINVAL, "kind of a mount");
    return operations[m->kind](plan, m, rootfd, err);
}

int pod_mount_all(const struct pod_plan *plan, int rootfd, const struct pod_mount_watch *watch,
                  struct pod_err *err)
{
    uint32_t length;
    const struct pod_mount *mounts = pod_plan_blob(plan, POD_KEY_MOUNTS, &length);

    for (uint32_t i = 0; i < length / sizeof *mounts; i++)
        if (operate(plan, &mounts[i], rootfd, watch, err) &&
            (err->step == POD_PLAN || !(mounts[i].bits & POD_MOUNT_OPTIONAL)))
            return -1;
    return 0;
}

int pod_mount_pivot(int rootfd, struct pod_err *err)
{
    if (fchdir(rootfd))
        return pod_fail(err, POD_PIVOT, ".");
    /* Both arguments the same: the old root lies on top of the new one and is let go at once (pivot_root(2)). */
    if (syscall(SYS_pivot_root, ".", ".") == 0) {
        if (umount2(".", MNT_DETACH))
            return pod_fail(err, POD_PIVOT, "old root");
    } else if (errno == EINVAL) {
        /* The host's root is an initramfs: it cannot be pivoted away. */
        if (mount(".", "/", NULL, MS_MOVE, NULL) || chroot("."))
            return pod_fail(err, POD_PIVOT, "/");
    } else {
        return pod_fail(err, POD_PIVOT, ".");
    }
    return chdir("/") ? pod_fail(err, POD_PIVOT, "/") : 0;
}

int pod_mount_root_rdonly(struct pod_err *err)
{
    POD_AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return pod_fail(err, POD_REMOUNT, "/");
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | locked_flags(root), NULL))
        return pod_fail(err, POD_REMOUNT, "/");
    return 0;
}
