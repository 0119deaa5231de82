#include "tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "err.h"
#include "page_writer.h"

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

int pod_call_alive(const struct pod_call *call)
{
    uint64_t id = call->notif->id;
    return !ioctl(call->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id);
}

int pod_call_proc(const struct pod_call *call, const char *name, int flags)
{
    char path[64];

    snprintf(path, sizeof path, "%u/%s", call->notif->pid, name);
    return openat(call->e->proc, path, flags | O_CLOEXEC);
}

/* What the kernel says where ids are real; capable of mknod(2), nothing else is asked. */
static int64_t real_creds(struct pod_call *call)
{
    char text[4096];
    struct pod_creds *creds = &call->e->scratch;
    POD_AUTO_FD int fd = pod_call_proc(call, "status", O_RDONLY);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (got <= 0 || !pod_call_alive(call))
        return POD_CALL_GONE;
    text[got] = '\0';
    memset(creds, 0, sizeof *creds);
    const char *uids = strstr(text, "\nUid:"), *gids = strstr(text, "\nGid:"),
               *caps = strstr(text, "\nCapEff:");
    if (!uids || !gids || !caps ||
        sscanf(uids + 5, "%u %u %u %u", &creds->uid[0], &creds->uid[1], &creds->uid[2],
               &creds->uid[3]) != 4 ||
        sscanf(gids + 5, "%u %u %u %u", &creds->gid[0], &creds->gid[1], &creds->gid[2],
               &creds->gid[3]) != 4)
        return -EPERM;
    creds->flags = strtoull(caps + 8, NULL, 16) >> CAP_MKNOD & 1 ? POD_CREDS_CAPABLE : 0;
    call->creds = creds;
    return 0;
}

int64_t pod_call_creds(struct pod_call *call)
{
    char text[24];

    if (call->creds)
        return 0;
    if (call->e->real)
        return real_creds(call);
    call->slack = pod_call_proc(call, "timerslack_ns", O_RDWR);
    ssize_t got = call->slack < 0 ? -1 : pread(call->slack, text, sizeof text - 1, 0);
    if (got < 0 || !pod_call_alive(call))
        return POD_CALL_GONE;
    text[got] = '\0';
    call->creds = pod_creds_of(&call->e->creds, strtoull(text, NULL, 10));
    return 0;
}

int64_t pod_call_become(struct pod_call *call, const struct pod_creds *creds)
{
    char text[24];
    int token = pod_creds_intern(&call->e->creds, creds);

    if (token < 0)
        return -EAGAIN;
    if (call->e->creds.sets[token] == call->creds)
        return 0;
    int length = snprintf(text, sizeof text, "%u", POD_SLACK_BASE + (unsigned)token);
    /* ESRCH: it was killed meanwhile. A realtime thread has no slack, whatever is written: its ids cannot be kept. */
    if (write(call->slack, text, (size_t)length) != length)
        return errno == ESRCH ? POD_CALL_GONE : -EAGAIN;
    char now[24];
    ssize_t got = pread(call->slack, now, sizeof now, 0);
    return got >= length && !memcmp(now, text, (size_t)length) ? 0 : -EAGAIN;
}

int pod_call_read(const struct pod_call *call, uint64_t from, void *to, size_t size)
{
    struct iovec ours = {.iov_base = to, .iov_len = size};
    struct iovec theirs = {.iov_base = (void *)(uintptr_t)from, .iov_len = size};
    ssize_t got = process_vm_readv((pid_t)call->notif->pid, &ours, 1, &theirs, 1, 0);

    return got == (ssize_t)size ? 0 : -EFAULT;
}

int64_t pod_call_write(const struct pod_call *call, uint64_t to, const void *from, size_t size)
{
    /* Not process_vm_writev: by number it could hit another process that got it. */
    POD_AUTO_FD int memory = pod_call_proc(call, "mem", O_RDWR);

    if (memory < 0 || !pod_call_alive(call))
        return POD_CALL_GONE;
    return pwrite(memory, from, size, (off_t)to) == (ssize_t)size ? 0 : -EFAULT;
}

int pod_call_path(const struct pod_call *call, uint64_t from, char *path, size_t size)
{
    size_t length = 0;

    while (length < size) {
        size_t part = 4096 - (from + length) % 4096; /* what follows the page may not be there */
        if (part > size - length)
            part = size - length;
        if (pod_call_read(call, from + length, path + length, part))
            return -EFAULT;
        const char *end = memchr(path + length, '\0', part);
        if (end)
            return (int)(end - path);
        length += part;
    }
    return -ENAMETOOLONG;
}

unsigned long pod_call_status(const struct pod_call *call, const char *key, int base,
                              unsigned long fallback)
{
    char text[4096];
    POD_AUTO_FD int fd = pod_call_proc(call, "status", O_RDONLY);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (got <= 0 || !pod_call_alive(call))
        return fallback;
    text[got] = '\0';
    /* By its newline: the process' own name, of its choice, has newlines escaped. */
    const char *at = strstr(text, key);
    return at ? strtoul(at + strlen(key), NULL, base) : fallback;
}

int pod_call_is_nested(const struct pod_call *call)
{
    char path[40];
    struct stat st;

    snprintf(path, sizeof path, "%u/ns/user", call->notif->pid);
    int nested = !fstatat(call->e->proc, path, &st, 0) && st.st_ino != call->e->userns;
    if (nested)
        pod_page_nested(&call->e->page);
    return nested;
}

/* Makes the caller's root ours, where it is not yet. */
static int64_t enter_root(struct pod_call *call)
{
    struct pod_emulation *e = call->e;
    struct statx st;
    char path[32];
    POD_AUTO_FD int root = pod_call_proc(call, "root", O_PATH | O_DIRECTORY);

    if (root < 0 || statx(root, "", AT_EMPTY_PATH, STATX_INO | POD_STATX_MOUNT, &st))
        return -EPERM;
    uint64_t mount = pod_statx_mount(&st); /* 0 before 5.8: roots differ by their inode */
    uint64_t dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
    if (st.stx_ino == e->root_ino && mount == e->root_mount && dev == e->root_dev)
        return 0;
    snprintf(path, sizeof path, "self/fd/%d", root);
    if (chroot(path))
        return -EPERM;
    e->root_ino = st.stx_ino;
    e->root_mount = mount;
    e->root_dev = dev;
    return 0;
}

/* N of /dev/stdin, /dev/fd/N, /proc/self/fd/N …, which only the caller's own look-up finds; -1 for any other path. */
static int own_descriptor(const char *path)
{
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/"};
    static const char *const names[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};

    for (int i = 0; i < 3; i++)
        if (!strcmp(path, names[i]))
            return i;
    for (int i = 0; i < 3; i++) {
        const char *at = path + strlen(folders[i]);
        if (strncmp(path, folders[i], strlen(folders[i])) || *at < '0' || *at > '9')
            continue;
        unsigned long number = strtoul(at, (char **)(uintptr_t)&at, 10);
        return *at || number > INT_MAX ? -1 : (int)number;
    }
    return -1;
}

static int or_error(int fd)
{
    return fd >= 0 ? fd : -errno;
}

static int open_descriptor(const struct pod_call *call, int number)
{
    char name[32];

    snprintf(name, sizeof name, "fd/%d", number);
    int fd = pod_call_proc(call, name, O_PATH);
    return fd >= 0 ? fd : errno == ENOENT ? -EBADF : -errno;
}

static int64_t alive_or_close(const struct pod_call *call, int fd)
{
    if (pod_call_alive(call))
        return fd;
    if (fd >= 0)
        close(fd);
    return POD_CALL_GONE;
}

static int64_t open_path(struct pod_call *call, int dirfd, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | flags,
                           .resolve = RESOLVE_NO_MAGICLINKS | call->resolve};
    POD_AUTO_FD int base = -1;
    int64_t failed = enter_root(call);
    int from_root = path[0] == '/' && !(call->resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH));

    if (!from_root && !failed) {
        base =
            dirfd == AT_FDCWD ? pod_call_proc(call, "cwd", O_PATH) : open_descriptor(call, dirfd);
        if (base < 0)
            failed = dirfd == AT_FDCWD ? -errno : base;
    }
    if (!pod_call_alive(call))
        return POD_CALL_GONE;
    if (failed)
        return failed;
    for (int tries = 0;; tries++) {
        int fd = (int)syscall(SYS_openat2, from_root ? AT_FDCWD : base, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN || tries > 16)
            return fd >= 0 ? fd : -errno;
    }
}

int64_t pod_call_open(struct pod_call *call, int dirfd, uint64_t from, int flags)
{
    char path[PATH_MAX];
    int length = 0;

    path[0] = '\0';
    if (from || !(flags & AT_EMPTY_PATH))
        length = pod_call_path(call, from, path, sizeof path);
    if (length < 0)
        return alive_or_close(call, length);
    if (!length && !(flags & AT_EMPTY_PATH))
        return -ENOENT;
    if (!length && dirfd != AT_FDCWD)
        return alive_or_close(call, open_descriptor(call, dirfd));
    call->in_proc = !strncmp(path, "/proc/", 6);
    int own = flags & AT_SYMLINK_NOFOLLOW ? -1 : own_descriptor(path);
    if (own >= 0)
        return alive_or_close(call, open_descriptor(call, own));
    if (!(flags & AT_SYMLINK_NOFOLLOW) && !strcmp(path, "/proc/self/exe"))
        return alive_or_close(call, or_error(pod_call_proc(call, "exe", O_PATH)));
    return open_path(call, dirfd, length ? path : ".",
                     flags & AT_SYMLINK_NOFOLLOW && length ? O_NOFOLLOW : 0);
}

int64_t pod_call_parent(struct pod_call *call, int dirfd, char *path, char *name)
{
    int end = (int)strlen(path), start;

    while (end && path[end - 1] == '/')
        end--;
    for (start = end; start && path[start - 1] != '/';)
        start--;
    if (end == start || end - start > NAME_MAX)
        return end == start ? -EINVAL : -ENAMETOOLONG;
    memcpy(name, path + start, (size_t)(end - start));
    name[end - start] = '\0';
    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return -EINVAL;
    path[start] = '\0';
    return open_path(call, dirfd, start ? path : ".", O_DIRECTORY);
}

int pod_call_process(const struct pod_call *call)
{
    unsigned long leader = pod_call_status(call, "\nTgid:", 10, 0);

    return leader ? (int)syscall(SYS_pidfd_open, (pid_t)leader, 0) : -1;
}

unsigned long pod_call_inner_pid(const struct pod_call *call)
{
    char text[4096];
    unsigned long pid = 0;
    POD_AUTO_FD int fd = pod_call_proc(call, "status", O_RDONLY);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (got <= 0)
        return 0;
    text[got] = '\0';
    char *at = strstr(text, "\nNSpid:");
    for (at = at ? at + 7 : NULL; at && (*at == '\t' || *at == ' ');)
        pid = strtoul(at, &at, 10);
    return pid;
}
