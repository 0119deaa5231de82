#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "confine.h"
#include "err.h"

/* Where something new goes, and whose it will be. */
struct birth {
    int parent;
    char name[NAME_MAX + 1];
    struct pod_owned owned;
    int folder; /* it may be named with a slash at its end */
    int plain; /* root's, in a folder that does not hand its group on: as the kernel makes it */
};

static void leave_parent(struct birth *birth)
{
    pod_cleanup_fd(&birth->parent);
}

#define AUTO_BIRTH __attribute__((cleanup(leave_parent))) struct birth
#define NO_BIRTH {.parent = -1}

/* Of what is made in the parent. */
static int64_t choose_owner(struct pod_call *call, struct birth *birth)
{
    struct stat st;
    struct pod_owned folder;

    memset(&birth->owned, 0, sizeof birth->owned);
    birth->owned.uid = call->creds->uid[POD_ID_FS];
    birth->owned.gid = call->creds->gid[POD_ID_FS];
    if (fstat(birth->parent, &st))
        return -errno;
    if (st.st_mode & S_ISGID) {
        pod_records_get(&call->e->records, birth->parent, &folder);
        birth->owned.gid = folder.gid;
    }
    birth->plain = !birth->owned.uid && !birth->owned.gid;
    return 0;
}

/* 0, a negative errno or POD_CALL_GONE. */
static int64_t prepare_text(struct pod_call *call, int dirfd, char *path, struct birth *birth)
{
    int64_t failed = pod_call_creds(call);

    if (failed)
        return failed;
    size_t length = strlen(path);
    if (!birth->folder && length && path[length - 1] == '/')
        return -EINVAL;
    int64_t parent = pod_call_parent(call, dirfd, path, birth->name);
    if (parent < 0)
        return parent;
    birth->parent = (int)parent;
    return choose_owner(call, birth);
}

static int64_t prepare(struct pod_call *call, int dirfd, uint64_t from, struct birth *birth)
{
    char path[PATH_MAX];
    int length = pod_call_path(call, from, path, sizeof path);

    if (length < 0)
        return pod_call_alive(call) ? length : POD_CALL_GONE;
    return prepare_text(call, dirfd, path, birth);
}

/* For what the kernel makes right by itself where it is root's, and whose errors it words as well: 0, or what to return. */
static int64_t own(int64_t failed, const struct birth *birth)
{
    if (failed == POD_CALL_GONE)
        return failed;
    return failed || birth->plain ? POD_CALL_PASS : 0;
}

static int64_t prepare_own(struct pod_call *call, int dirfd, uint64_t from, struct birth *birth)
{
    return own(prepare(call, dirfd, from, birth), birth);
}

static uint32_t without_umask(const struct pod_call *call, uint32_t mode)
{
    return mode & 07777 & ~(uint32_t)pod_call_status(call, "\nUmask:", 8, 022);
}

/* Records what was just made; where that fails it is taken away again. */
static int64_t record_open(struct pod_call *call, const struct birth *birth, int fd,
                           int remove_flags)
{
    int failed = fd < 0 ? -errno : pod_records_set(&call->e->records, fd, &birth->owned);

    if (failed)
        unlinkat(birth->parent, birth->name, remove_flags);
    return failed;
}

static int64_t record(struct pod_call *call, const struct birth *birth, int remove_flags)
{
    POD_AUTO_FD int fd = openat(birth->parent, birth->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    return record_open(call, birth, fd, remove_flags);
}

/* A device: an empty file with the record of it. */
static int64_t make_device(struct pod_call *call, struct birth *birth, uint32_t mode,
                           uint64_t device)
{
    birth->owned.device = mode & S_IFMT;
    birth->owned.major = major(device);
    birth->owned.minor = minor(device);
    POD_AUTO_FD int fd =
        openat(birth->parent, birth->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
               without_umask(call, mode));
    if (fd >= 0 && call->e->real && fchown(fd, birth->owned.uid, birth->owned.gid)) {
        int failed = -errno;
        unlinkat(birth->parent, birth->name, 0);
        return failed;
    }
    return fd < 0 ? -errno : record_open(call, birth, fd, 0);
}

int64_t pod_answer_mknod(struct pod_call *call, int dirfd, uint64_t path, uint32_t mode,
                         uint64_t device)
{
    AUTO_BIRTH birth = NO_BIRTH;
    int is_device = S_ISBLK(mode) || (S_ISCHR(mode) && device); /* 0/0 is overlayfs' whiteout */

    if (call->e->real && (!is_device || pod_call_is_nested(call)))
        return POD_CALL_PASS;
    int64_t failed = prepare(call, dirfd, path, &birth);
    if (call->e->real && (failed || !(call->creds->flags & POD_CREDS_CAPABLE)))
        return failed == POD_CALL_GONE ? failed : POD_CALL_PASS; /* EPERM in the kernel's words */
    if (!failed && is_device)
        return pod_creds_capable(call->creds) ? make_device(call, &birth, mode, device) : -EPERM;
    if ((failed = own(failed, &birth)))
        return failed;
    if (mknodat(birth.parent, birth.name, (mode & S_IFMT) | without_umask(call, mode),
                (dev_t)device))
        return -errno;
    return record(call, &birth, 0);
}

int64_t pod_answer_mkdir(struct pod_call *call, int dirfd, uint64_t path, uint32_t mode)
{
    AUTO_BIRTH birth = {.parent = -1, .folder = 1};
    int64_t failed = prepare_own(call, dirfd, path, &birth);

    if (failed)
        return failed;
    if (mkdirat(birth.parent, birth.name, without_umask(call, mode) & 01777))
        return -errno;
    return record(call, &birth, AT_REMOVEDIR);
}

int64_t pod_answer_symlink(struct pod_call *call, uint64_t target, int dirfd, uint64_t path)
{
    AUTO_BIRTH birth = NO_BIRTH;
    char text[PATH_MAX];
    int length = pod_call_path(call, target, text, sizeof text);
    int64_t failed = prepare_own(call, dirfd, path, &birth);

    if (failed || length < 0)
        return failed ? failed : POD_CALL_PASS;
    if (symlinkat(text, birth.parent, birth.name))
        return -errno;
    return record(call, &birth, 0);
}

/* In a process of its own, which has nothing open but the socket: bind(2) follows every link on its way, and in a container
 * that sees the host's processes one can lead to /proc/self/fd. */
static _Noreturn void bind_alone(int socket, int cwd, mode_t mask,
                                 const struct sockaddr_un *address, socklen_t size)
{
    if (fchdir(cwd) || dup2(socket, 0) < 0)
        _exit(EIO);
    pod_close_from(1);
    umask(mask);
    _exit(bind(0, (const struct sockaddr *)address, size) ? errno : 0);
}

/* bind(2) of a socket with a name, by a copy of its descriptor: under the caller's root, from its directory, by the very name
 * that others will read as its address. */
static int64_t bind_as(struct pod_call *call, const struct sockaddr_un *address, socklen_t size)
{
    mode_t mask = (mode_t)pod_call_status(call, "\nUmask:", 8, 022);
    POD_AUTO_FD int process = pod_call_process(call);
    POD_AUTO_FD int cwd = pod_call_proc(call, "cwd", O_PATH | O_DIRECTORY);
    int status = 0;

    if (process < 0 || cwd < 0 || !pod_call_alive(call))
        return POD_CALL_GONE;
    POD_AUTO_FD int fd = (int)syscall(SYS_pidfd_getfd, process, (int)call->args[0], 0);
    if (fd < 0)
        return POD_CALL_PASS;
    pid_t child = fork();
    if (child == 0)
        bind_alone(fd, cwd, mask, address, size);
    if (child < 0)
        return POD_CALL_PASS;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

int64_t pod_answer_bind(struct pod_call *call)
{
    AUTO_BIRTH birth = NO_BIRTH;
    struct sockaddr_un address;
    uint64_t size = (uint32_t)call->args[2];

    memset(&address, 0, sizeof address);
    int64_t failed = pod_call_creds(call);
    if (failed)
        return failed;
    if (size <= offsetof(struct sockaddr_un, sun_path) || size > sizeof address ||
        pod_call_read(call, call->args[1], &address, size) || address.sun_family != AF_UNIX ||
        !address.sun_path[0] || !memchr(address.sun_path, 0, sizeof address.sun_path))
        return POD_CALL_PASS;
    char path[sizeof address.sun_path];
    memcpy(path, address.sun_path, sizeof path);
    failed = own(prepare_text(call, AT_FDCWD, path, &birth), &birth);
    if (failed)
        return failed;
    failed = bind_as(call, &address, (socklen_t)size);
    return failed ? failed : record(call, &birth, 0);
}

/* Answers with a copy of FD in the caller. */
static int64_t give(const struct pod_call *call, int fd, int cloexec)
{
    struct seccomp_notif_addfd add = {
        .id = call->notif->id,
        .flags = SECCOMP_ADDFD_FLAG_SEND,
        .srcfd = (uint32_t)fd,
        .newfd_flags = (uint32_t)cloexec,
    };

    if (ioctl(call->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0)
        return POD_CALL_GONE;
    if (errno != EINVAL)
        return errno == ENOENT ? POD_CALL_GONE : -errno;
    add.flags = 0; /* before Linux 5.14 the copy is given first, then the answer */
    int number = ioctl(call->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    return number >= 0 ? number : -errno;
}

/* O_TMPFILE: a file without a name in the folder PATH, which may get one. */
static int64_t make_nameless(struct pod_call *call, int dirfd, uint64_t path, int flags,
                             uint32_t mode)
{
    AUTO_BIRTH birth = NO_BIRTH;
    int64_t failed = pod_call_creds(call);

    if (failed)
        return failed;
    int64_t folder = pod_call_open(call, dirfd, path, 0);
    if (folder < 0)
        return folder == POD_CALL_GONE ? folder : POD_CALL_PASS;
    birth.parent = (int)folder;
    failed = own(choose_owner(call, &birth), &birth);
    if (failed)
        return failed;
    POD_AUTO_FD int fd = openat(birth.parent, ".", flags | O_CLOEXEC, without_umask(call, mode));
    if (fd < 0)
        return POD_CALL_PASS;
    failed = pod_records_set(&call->e->records, fd, &birth.owned);
    return failed ? failed : give(call, fd, flags & O_CLOEXEC);
}

int64_t pod_answer_openat2(struct pod_call *call)
{
    struct open_how how;
    uint64_t size = call->args[3];

    /* Larger ones, wrong flags and modes are the kernel's to judge; so is what is found there already. */
    if (size != sizeof how || pod_call_read(call, call->args[2], &how, sizeof how) ||
        how.flags > INT32_MAX || how.mode & ~07777ull || how.resolve & RESOLVE_CACHED)
        return POD_CALL_PASS;
    call->resolve = how.resolve;
    return pod_answer_create(call, (int)call->args[0], call->args[1], (int)how.flags,
                             (uint32_t)how.mode);
}

int64_t pod_answer_create(struct pod_call *call, int dirfd, uint64_t path, int flags, uint32_t mode)
{
    AUTO_BIRTH birth = NO_BIRTH;

    if (!(flags & O_PATH) && (flags & O_TMPFILE) == O_TMPFILE)
        return make_nameless(call, dirfd, path, flags, mode);
    if (!(flags & O_CREAT) || flags & O_PATH) /* which makes nothing */
        return POD_CALL_PASS;
    int64_t failed = prepare_own(call, dirfd, path, &birth);
    if (failed)
        return failed;
    /* What is there already is not made: the kernel opens it, or says that it is there. */
    int with = (flags & ~(O_TRUNC | O_NOCTTY)) | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    POD_AUTO_FD int fd = openat(birth.parent, birth.name, with, without_umask(call, mode));
    if (fd < 0)
        return POD_CALL_PASS;
    failed = record_open(call, &birth, fd, 0);
    if (failed)
        return failed;
    int64_t given = give(call, fd, flags & O_CLOEXEC);
    if (given == -EMFILE) /* the kernel would have looked for a number first */
        unlinkat(birth.parent, birth.name, 0);
    return given;
}
