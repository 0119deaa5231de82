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
#include "mount_parts.h"
#include "preload.h"

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
    struct pod_fd_path upper = pod_fd_path(upperfd);

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
        failed |= append(text, size, &used, pod_fd_path(fd).text);
    }
    int lowest = pod_preload_tree(plan, first);
    if (lowest >= 0) {
        failed |= append(text, size, &used, ":");
        failed |= append(text, size, &used, pod_fd_path(lowest).text);
    }
    for (int i = 0; i < 2 && dirs[i]; i++) {
        int fd = open(dirs[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return pod_fail(err, POD_OVERLAY, dirs[i]);
        if (i == 0)
            copy_root_attributes(first, fd);
        failed |= append(text, size, &used, keys[i]);
        failed |= append(text, size, &used, pod_fd_path(fd).text);
    }
    if (further && *further) {
        failed |= append(text, size, &used, ",");
        failed |= append(text, size, &used, further);
    }
    return failed ? pod_fail_errno(err, POD_OVERLAY, E2BIG, "too many layers") : 0;
}

static int wants_slaves(const struct pod_plan *plan)
{
    uint32_t length;
    const struct pod_mount *mounts = pod_plan_blob(plan, POD_KEY_MOUNTS, &length);

    for (uint32_t i = 0; mounts && i < length / sizeof *mounts; i++)
        if ((mounts[i].kind == POD_MOUNT_BIND || mounts[i].kind == POD_MOUNT_VOLUME) &&
            mounts[i].flags & MS_SLAVE)
            return 1;
    return 0;
}

int pod_mount_root(const struct pod_plan *plan, struct pod_err *err)
{
    const char *root = pod_plan_str(plan, POD_KEY_ROOT);
    char options[4096];

    if (!root)
        return pod_fail_errno(err, POD_PLAN, EINVAL, "ROOT");
    /* Mounts of a more privileged namespace are slaves here already (mount_namespaces(7)): for :rslave they stay that. */
    if (mount(NULL, "/", NULL, MS_REC | (wants_slaves(plan) ? MS_SLAVE : MS_PRIVATE), NULL))
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

static int do_fs(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                 struct pod_err *err)
{
    const char *target = pod_plan_string(plan, m->target), *type = pod_plan_string(plan, m->fstype);
    const char *data = pod_plan_string(plan, m->data), *source = pod_plan_string(plan, m->source);
    POD_AUTO_FD int fd = pod_mount_target_directory(m, rootfd, target, err);

    if (fd < 0 || pod_mount_check_place(fd, target, err))
        return -1;
    if (mount(*source ? source : type, pod_fd_path(fd).text, type, m->flags, *data ? data : NULL))
        return pod_fail(err, POD_MOUNT, target);
    return 0;
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
        if (mount("tmpfs", pod_fd_path(fd).text, "tmpfs",
                  MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0k,nr_inodes=2"))
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
    [POD_MOUNT_FS] = do_fs,
    [POD_MOUNT_BIND] = pod_mount_do_bind,
    [POD_MOUNT_MKDIR] = do_mkdir,
    [POD_MOUNT_SYMLINK] = do_symlink,
    [POD_MOUNT_MASK] = do_mask,
    [POD_MOUNT_RDONLY] = do_rdonly,
    [POD_MOUNT_IMAGE] = pod_mount_do_image,
};

static int operate(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                   const struct pod_mount_watch *watch, struct pod_err *err)
{
    if (m->kind == POD_MOUNT_VOLUME)
        return pod_mount_do_volume(plan, m, rootfd, watch, err);
    if (m->kind >= sizeof operations / sizeof *operations || !operations[m->kind])
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
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | pod_mount_locked_flags(root),
              NULL))
        return pod_fail(err, POD_REMOUNT, "/");
    return 0;
}
