/* Where a mount goes: resolved inside the new root, so that no link of an image or of a shared volume leads out of it. */
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "beneath.h"
#include "mount_parts.h"

int pod_mount_target_directory(const struct pod_mount *m, int rootfd, const char *target,
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

int pod_mount_target_file(int rootfd, const char *target, struct pod_err *err)
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
        int made = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (made >= 0)
            return made; /* a new file, and nobody else's */
        if (errno != EEXIST)
            return pod_fail(err, POD_OPEN, target);
        if (!follow_link(parent, name, target, paths[links % 2], sizeof paths[0]))
            return pod_open_in_root(rootfd, target, O_PATH, 0, err);
        target = paths[links % 2];
    }
    return pod_fail_errno(err, POD_RESOLVE, ELOOP, target);
}

int pod_mount_check_place(int fd, const char *target, struct pod_err *err)
{
    struct statfs fs;

    if (!strncmp(target, "/proc", 5) && (!target[5] || target[5] == '/'))
        return 0;
    if (fstatfs(fd, &fs))
        return pod_fail(err, POD_RESOLVE, target);
    return fs.f_type == PROC_SUPER_MAGIC ? pod_fail_errno(err, POD_RESOLVE, EXDEV, target) : 0;
}
