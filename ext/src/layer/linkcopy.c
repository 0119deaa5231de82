/* A hard link on a file system that has none, or has no more for this file: a copy. */
#define _GNU_SOURCE 1

#include "linkcopy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../core/beneath.h"
#include "../core/copyattrs.h"
#include "../core/copydata.h"

struct copying {
    struct pod_copy_data data;
    struct pod_copy_attrs attrs;
};

int pod_link_is_refused(int errnum)
{
    /* EPERM: also the kernel where fs.protected_hardlinks forbids one to a file of another owner. */
    return errnum == EPERM || errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == EMLINK;
}

static void release(struct copying **copying)
{
    free(*copying);
}

/* A file that its owner may not read is opened for the moment: with one id no capability helps. */
static int open_source(int dirfd, const char *name, const struct stat *st)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    struct pod_err ignored;
    int fd = openat(dirfd, name, flags);

    if (fd >= 0 || errno != EACCES)
        return fd;
    if (pod_chmod_at(dirfd, name, 0400, &ignored) < 0) {
        errno = EACCES;
        return -1;
    }
    fd = openat(dirfd, name, flags);
    if (fd >= 0 && fchmod(fd, st->st_mode & 07777) < 0)
        pod_cleanup_fd(&fd);
    return fd;
}

static int copy_file(const struct pod_linked *link, struct pod_err *err)
{
    __attribute__((cleanup(release))) struct copying *copying = malloc(sizeof *copying);
    POD_AUTO_FD int from = open_source(link->from, link->from_name, &link->st);
    POD_AUTO_FD int to = -1;
    struct stat st;

    if (!copying)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    copying->data.no_clone = copying->data.no_range = 0;
    copying->attrs.flags = POD_COPY_OWNERS;
    if (from < 0 || fstat(from, &st) < 0)
        return pod_fail(err, POD_LINK, link->name);
    to = openat(link->to, link->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return pod_fail(err, POD_OPEN, link->name);
    if (pod_copy_data(&copying->data, from, to, st.st_size, link->name, err) < 0 ||
        pod_copy_attrs_open(&copying->attrs, from, to, &st, link->name, err) < 0)
        return -1;
    if (close(pod_steal_fd(&to)) < 0 && errno != EINTR)
        return pod_fail(err, POD_WRITE, link->name);
    return 0;
}

static int copy_symlink(const struct pod_linked *link, struct pod_err *err)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(link->from, link->from_name, target, sizeof target - 1);

    if (length < 0)
        return pod_fail(err, POD_LINK, link->name);
    target[length] = '\0';
    return symlinkat(target, link->to, link->name) < 0 ? pod_fail(err, POD_SYMLINK, link->name) : 0;
}

static int copy_node(const struct pod_linked *link, struct pod_err *err)
{
    __attribute__((cleanup(release))) struct copying *copying = malloc(sizeof *copying);

    if (!copying)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    copying->attrs.flags = POD_COPY_OWNERS;
    return pod_copy_attrs_at(&copying->attrs, link->to, link->name, &link->st, err);
}

int pod_link_copy(const struct pod_linked *link, struct pod_err *err)
{
    if (S_ISREG(link->st.st_mode))
        return copy_file(link, err);
    if (S_ISLNK(link->st.st_mode)) {
        if (copy_symlink(link, err) < 0)
            return -1;
    } else if (!S_ISFIFO(link->st.st_mode)) {
        return pod_fail_errno(err, POD_LINK, EPERM, link->name);
    } else if (mkfifoat(link->to, link->name, 0600) < 0) {
        return pod_fail(err, POD_MKNOD, link->name);
    }
    return copy_node(link, err);
}
