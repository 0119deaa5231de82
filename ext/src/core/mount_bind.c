/* Bind mounts: by descriptors, with their flags in force before anybody sees them. */
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "mount_api.h"
#include "mount_parts.h"

/* struct mount_attr and MOUNT_ATTR_* of linux/mount.h. */
#define ATTR_RDONLY 0x1u
#define ATTR_NOSUID 0x2u
#define ATTR_NODEV 0x4u
#define ATTR_NOEXEC 0x8u

struct mount_attributes {
    uint64_t set, clear, propagation, userns_fd;
};

static uint64_t attributes(unsigned long flags)
{
    return (flags & MS_RDONLY ? ATTR_RDONLY : 0) | (flags & MS_NOSUID ? ATTR_NOSUID : 0) |
           (flags & MS_NODEV ? ATTR_NODEV : 0) | (flags & MS_NOEXEC ? ATTR_NOEXEC : 0);
}

/* open_tree, mount_setattr, move_mount: the mount gets its flags before anybody can see it. 1 = this kernel cannot. */
static int bind_new_api(int sourcefd, int targetfd, unsigned long flags, int recursive_flags)
{
    unsigned recursive = flags & MS_REC ? POD_AT_RECURSIVE : 0;
    unsigned depth = recursive_flags ? recursive : 0;
    struct mount_attributes attr = {.set = attributes(flags),
                                    .propagation = flags & MS_SLAVE ? 0 : MS_PRIVATE};
    struct mount_attributes top = {.set = attr.set};
    POD_AUTO_FD int tree = (int)syscall(
        SYS_open_tree, sourcefd, "", POD_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | recursive);

    if (tree < 0)
        return errno == ENOSYS || errno == EPERM ? 1 : -1;
    /* One call where both go as deep. */
    if (attr.set && attr.propagation && depth != recursive) {
        if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &top, sizeof top))
            return errno == ENOSYS || errno == EPERM || errno == EINVAL ? 1 : -1;
        attr.set = 0;
    }
    if ((attr.set || attr.propagation) &&
        syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | (attr.propagation ? recursive : depth),
                &attr, sizeof attr))
        return errno == ENOSYS || errno == EPERM || errno == EINVAL ? 1 : -1;
    if (syscall(SYS_move_mount, tree, "", targetfd, "", POD_MOVE_EMPTY_PATHS))
        return errno == ENOSYS || errno == EPERM ? 1 : -1;
    return 0;
}

/* Flags that the source's mount has and that a less privileged namespace may not clear (mount_namespaces(7)). */
unsigned long pod_mount_locked_flags(int fd)
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
    struct pod_fd_path source = pod_fd_path(sourcefd), target = pod_fd_path(targetfd);
    char path[4096];
    ssize_t length;

    if (mount(source.text, target.text, NULL, MS_BIND | (flags & MS_REC), NULL))
        return -1;
    if (!attributes(flags) && (flags & MS_SLAVE || !(flags & MS_REC)))
        return 0;
    length = readlink(target.text, path, sizeof path - 1);
    if (length <= 0)
        return -1;
    path[length] = '\0';
    POD_AUTO_FD int top = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (top < 0)
        return -1;
    struct pod_fd_path again = pod_fd_path(top);
    if (!(flags & MS_SLAVE) && mount(NULL, again.text, NULL, MS_PRIVATE | (flags & MS_REC), NULL))
        return -1;
    flags &= ~(unsigned long)(MS_REC | MS_SLAVE);
    return attributes(flags)
               ? mount(NULL, again.text, NULL,
                       MS_REMOUNT | MS_BIND | flags | pod_mount_locked_flags(top), NULL)
               : 0;
}

int pod_mount_bind(int sourcefd, int targetfd, unsigned long flags, int recursive_flags,
                   const char *name, struct pod_err *err)
{
    int done = bind_new_api(sourcefd, targetfd, flags, recursive_flags);
    if (done == 1 && recursive_flags == POD_BIND_WHOLE)
        return pod_fail_errno(err, POD_BIND, EOPNOTSUPP, name);
    if (done == 1)
        done = bind_old_api(sourcefd, targetfd, flags);
    return done ? pod_fail(err, POD_BIND, name) : 0;
}
