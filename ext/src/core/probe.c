#include "probe.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Older headers lack these; the numbers are the same on every architecture of ours. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SECCOMP_RET_USER_NOTIF
#define SECCOMP_RET_USER_NOTIF 0x7fc00000U
#endif
#ifndef SECCOMP_FILTER_FLAG_NEW_LISTENER
#define SECCOMP_FILTER_FLAG_NEW_LISTENER (1UL << 3)
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#define MEMFD_CLOEXEC 1U
#define MEMFD_EXEC 0x10U /* MFD_EXEC, Linux 6.3 */

/* What is done for a probe before its function runs: all in the child, in this order. */
enum world {
    OUTSIDE,  /* nothing: the caller's own namespaces */
    INSIDE,   /* a user namespace with the caller's id as 0 */
    MOUNTING, /* and a mount namespace with private propagation */
};

struct probe {
    const char *name;
    int (*try)(const char *scratch, struct pod_err *err); /* the working directory is SCRATCH */
    enum world world;
    int namespaces; /* CLONE_NEW…, unshared last */
};

static int nothing(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    (void)err;
    return 0;
}

static int mount_at(const char *type, const char *target, unsigned long flags, const char *data,
                    struct pod_err *err)
{
    if (mount(type, target, type, MS_NOSUID | MS_NODEV | MS_NOEXEC | flags, data))
        return pod_fail(err, POD_MOUNT, type);
    return 0;
}

static int try_mount(const char *scratch, struct pod_err *err)
{
    return mount_at("tmpfs", scratch, 0, "size=64k", err);
}

/* A procfs of one's own needs a pid namespace of one's own, so a child in it; the kernel refuses
 * where the visible /proc has something mounted over it (nested containers): mount_too_revealing().
 */
static int try_proc(const char *scratch, struct pod_err *err)
{
    int status;
    pid_t child = fork();

    if (child < 0)
        return pod_fail(err, POD_FORK, NULL);
    if (child == 0)
        _exit(mount("proc", scratch, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) ? errno : 0);
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return pod_fail_errno(err, POD_MOUNT, EINTR, "proc");
    return WEXITSTATUS(status) ? pod_fail_errno(err, POD_MOUNT, WEXITSTATUS(status), "proc") : 0;
}

static int try_sysfs(const char *scratch, struct pod_err *err)
{
    return mount_at("sysfs", scratch, MS_RDONLY, NULL, err);
}

static int try_devpts(const char *scratch, struct pod_err *err)
{
    if (mount("devpts", scratch, "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=0620"))
        return pod_fail(err, POD_MOUNT, "devpts");
    POD_AUTO_FD int folder = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    POD_AUTO_FD int master =
        folder < 0 ? -1 : openat(folder, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    return master < 0 ? pod_fail(err, POD_PTY, "ptmx") : 0;
}

static int try_mqueue(const char *scratch, struct pod_err *err)
{
    return mount_at("mqueue", scratch, 0, NULL, err);
}

static int try_netns(const char *scratch, struct pod_err *err)
{
    struct ifreq request;

    (void)scratch;
    POD_AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP;
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
        return pod_fail(err, POD_NETNS, "lo");
    return 0;
}

static int make_file(const char *path, struct pod_err *err)
{
    POD_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    return fd < 0 || write(fd, "x", 1) != 1 ? pod_fail(err, POD_OPEN, path) : 0;
}

static int make_folders(const char *const *names, struct pod_err *err)
{
    for (; *names; names++)
        if (mkdir(*names, 0700))
            return pod_fail(err, POD_MKDIR, *names);
    return 0;
}

static int mount_overlay(const char *options, struct pod_err *err)
{
    /* Relative names: SCRATCH may hold commas and colons. */
    return mount("overlay", "merged", "overlay", 0, options) ? pod_fail(err, POD_OVERLAY, NULL) : 0;
}

/* An overlay that does what containers do to it. Mounting is not proof: without userxattr (5.10)
 * and with an upper on tmpfs (6.1) it mounts, and removing a lower folder then gives EIO. */
static int use_overlay(const char *options, struct pod_err *err)
{
    static const char *const folders[] = {"lower",       "lower/kept",    "lower/gone",
                                          "lower/again", "lower/again/x", "upper",
                                          "work",        "merged",        NULL};

    if (make_folders(folders, err) || make_file("lower/kept/file", err) ||
        make_file("lower/gone/file", err) || mount_overlay(options, err))
        return -1;
    if (make_file("merged/new", err) || rename("merged/new", "merged/newer"))
        return pod_fail(err, POD_RENAME, "a new file in the overlay");
    if (chmod("merged/kept/file", 0640))
        return pod_fail(err, POD_CHMOD, "a lower file in the overlay");
    if (rename("merged/kept/file", "merged/kept/moved"))
        return pod_fail(err, POD_RENAME, "a lower file in the overlay");
    if (unlink("merged/gone/file") || rmdir("merged/gone"))
        return pod_fail(err, POD_UNLINK, "a lower folder in the overlay");
    /* Removed and made again: an opaque folder, through which the lower "x" must not show. */
    if (rmdir("merged/again/x") || rmdir("merged/again") || mkdir("merged/again", 0700))
        return pod_fail(err, POD_MKDIR, "a folder again in the overlay");
    if (access("merged/again/x", F_OK) == 0 || access("merged/gone", F_OK) == 0)
        return pod_fail_errno(err, POD_OVERLAY, EIO, "removed names still show");
    return 0;
}

static int try_overlay(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    return use_overlay("lowerdir=lower,upperdir=upper,workdir=work,userxattr", err);
}

/* Without the writeback that ends an ordinary overlay on a disk (5.10). */
static int try_volatile(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    return use_overlay("lowerdir=lower,upperdir=upper,workdir=work,userxattr,volatile", err);
}

/* What layers use: whiteouts and opaque marks made by us, not by overlayfs, and several lower
 * layers. No upper: an unmount without writeback. */
static int try_overlay_layers(const char *scratch, struct pod_err *err)
{
    static const char *const folders[] = {"lower",      "lower/opaque", "top",
                                          "top/opaque", "merged",       NULL};

    (void)scratch;
    if (make_folders(folders, err) || make_file("lower/opaque/file", err) ||
        make_file("lower/gone", err))
        return -1;
    if (mknod("top/gone", S_IFCHR, makedev(0, 0)))
        return pod_fail(err, POD_MKNOD, "a whiteout");
    if (setxattr("top/opaque", "user.overlay.opaque", "y", 1, 0))
        return pod_fail(err, POD_XATTR, "user.overlay.opaque");
    if (mount_overlay("lowerdir=top:lower,userxattr", err))
        return -1;
    if (access("merged/gone", F_OK) == 0 || access("merged/opaque/file", F_OK) == 0)
        return pod_fail_errno(err, POD_OVERLAY, EIO, "whiteouts are not honoured");
    return 0;
}

/* mknod(2) of a 0/0 character device is allowed without CAP_MKNOD from 5.8 on. */
static int try_whiteout(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    return mknod("whiteout", S_IFCHR, makedev(0, 0)) ? pod_fail(err, POD_MKNOD, "a whiteout") : 0;
}

static int try_xattr(const char *scratch, struct pod_err *err)
{
    return setxattr(scratch, "user.pod.probe", "y", 1, 0) ? pod_fail(err, POD_XATTR, "user.*") : 0;
}

static int attach(unsigned int answer, unsigned long flags, struct pod_err *err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return pod_fail(err, POD_NO_NEW_PRIVS, NULL);
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) < 0
               ? pod_fail(err, POD_SECCOMP, NULL)
               : 0;
}

static int try_seccomp(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    if (attach(SECCOMP_RET_ERRNO | ESRCH, 0, err))
        return -1;
    if (syscall(SYS_getpgid, 0) != -1 || errno != ESRCH)
        return pod_fail_errno(err, POD_SECCOMP, EIO, "the filter has no effect");
    return 0;
}

static int try_seccomp_notify(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    return attach(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER, err);
}

static int try_pidfd(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    return syscall(SYS_pidfd_open, getpid(), 0) < 0 ? pod_fail(err, POD_PROBE, "pidfd_open") : 0;
}

static int try_clone3(const char *scratch, struct pod_err *err)
{
    uint64_t arguments[11] = {0}; /* struct clone_args; [4] is exit_signal */
    int status;

    (void)scratch;
    arguments[4] = SIGCHLD;
    long child = syscall(SYS_clone3, arguments, sizeof arguments);
    if (child == 0)
        _exit(0);
    if (child < 0 || waitpid((pid_t)child, &status, 0) < 0)
        return pod_fail(err, POD_PROBE, "clone3");
    return 0;
}

static int try_openat2(const char *scratch, struct pod_err *err)
{
    uint64_t how[3] = {O_PATH | O_CLOEXEC, 0, 0x10}; /* struct open_how; RESOLVE_IN_ROOT */

    (void)scratch;
    return syscall(SYS_openat2, AT_FDCWD, "/", how, sizeof how) < 0
               ? pod_fail(err, POD_PROBE, "openat2")
               : 0;
}

static int try_mount_setattr(const char *scratch, struct pod_err *err)
{
    uint64_t attributes[4] = {1, 0, 0, 0}; /* struct mount_attr; MOUNT_ATTR_RDONLY */

    if (mount_at("tmpfs", scratch, 0, "size=64k", err))
        return -1;
    return syscall(SYS_mount_setattr, AT_FDCWD, scratch, 0, attributes, sizeof attributes) < 0
               ? pod_fail(err, POD_PROBE, "mount_setattr")
               : 0;
}

static int try_close_range(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    /* CLOSE_RANGE_CLOEXEC (5.11) is the form in use. */
    return syscall(SYS_close_range, 3000U, 3001U, 4U) < 0 ? pod_fail(err, POD_PROBE, "close_range")
                                                          : 0;
}

/* The helper runs from a sealed memfd; vm.memfd_noexec and some sandboxes forbid it. */
static int try_memfd_exec(const char *scratch, struct pod_err *err)
{
    static const char script[] = "#!/bin/sh\nexit 0\n";
    char *argv[] = {(char[]){"probe"}, NULL}, *env[] = {NULL};
    int status;

    (void)scratch;
    int fd = (int)syscall(SYS_memfd_create, "pod-probe", MEMFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = (int)syscall(SYS_memfd_create, "pod-probe", 0U);
    if (fd < 0 || write(fd, script, sizeof script - 1) != (ssize_t)(sizeof script - 1))
        return pod_fail(err, POD_PROBE, "memfd_create");
    pid_t child = fork();
    if (child < 0)
        return pod_fail(err, POD_FORK, NULL);
    if (child == 0) {
        char path[32];
        /* No O_CLOEXEC and a path: the interpreter of a script opens it by that name. The writer
         * must be gone (ETXTBSY). */
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int reader = open(path, O_RDONLY);
        close(fd);
        snprintf(path, sizeof path, "/proc/self/fd/%d", reader);
        execve(path, argv, env);
        _exit(errno);
    }
    close(fd);
    if (waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
        return pod_fail_errno(err, POD_EXEC, EINTR, "a memory file");
    return WEXITSTATUS(status) ? pod_fail_errno(err, POD_EXEC, WEXITSTATUS(status), "a memory file")
                               : 0;
}

static int try_device(const char *path, struct pod_err *err)
{
    POD_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);

    return fd < 0 ? pod_fail(err, POD_OPEN, path) : 0;
}

static int try_tun(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    return try_device("/dev/net/tun", err);
}

static int try_fuse(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    return try_device("/dev/fuse", err);
}

static int try_pivot_root(const char *scratch, struct pod_err *err)
{
    if (mount_at("tmpfs", scratch, 0, "size=64k", err))
        return -1;
    if (chdir(scratch) || syscall(SYS_pivot_root, ".", "."))
        return pod_fail(err, POD_PIVOT, scratch);
    return umount2(".", MNT_DETACH) ? pod_fail(err, POD_PIVOT, "the old root") : 0;
}

static const struct probe probes[] = {
    {"userns", nothing, INSIDE, 0},
    {"mountns", try_mount, MOUNTING, 0},
    {"pidns", nothing, INSIDE, CLONE_NEWPID},
    {"utsns", nothing, INSIDE, CLONE_NEWUTS},
    {"ipcns", nothing, INSIDE, CLONE_NEWIPC},
    {"cgroupns", nothing, INSIDE, CLONE_NEWCGROUP},
    {"netns", try_netns, INSIDE, CLONE_NEWNET},
    {"overlay", try_overlay, MOUNTING, 0},
    {"overlay_layers", try_overlay_layers, MOUNTING, 0},
    {"volatile", try_volatile, MOUNTING, 0},
    {"whiteout", try_whiteout, OUTSIDE, 0},
    {"xattr", try_xattr, OUTSIDE, 0},
    {"proc", try_proc, MOUNTING, CLONE_NEWPID},
    {"sysfs", try_sysfs, MOUNTING, CLONE_NEWNET},
    {"devpts", try_devpts, MOUNTING, 0},
    {"mqueue", try_mqueue, MOUNTING, CLONE_NEWIPC},
    {"pivot_root", try_pivot_root, MOUNTING, 0},
    {"mount_setattr", try_mount_setattr, MOUNTING, 0},
    {"seccomp", try_seccomp, OUTSIDE, 0},
    {"seccomp_notify", try_seccomp_notify, OUTSIDE, 0},
    {"pidfd_open", try_pidfd, OUTSIDE, 0},
    {"clone3", try_clone3, OUTSIDE, 0},
    {"openat2", try_openat2, OUTSIDE, 0},
    {"close_range", try_close_range, OUTSIDE, 0},
    {"memfd_exec", try_memfd_exec, OUTSIDE, 0},
    {"tun", try_tun, OUTSIDE, 0},
    {"fuse", try_fuse, OUTSIDE, 0},
};

/* In the child: the probe's world, then the probe. */
static int enter_and_try(const struct probe *probe, const char *scratch, struct pod_err *err)
{
    if (probe->world != OUTSIDE) {
        POD_AUTO_FD int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (proc < 0)
            return pod_fail(err, POD_OPEN, "/proc");
        if (pod_userns_unshare_single(proc, 0, 0, err))
            return -1;
    }
    if (probe->world == MOUNTING) {
        if (unshare(CLONE_NEWNS))
            return pod_fail(err, POD_CLONE, "mnt");
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
            return pod_fail(err, POD_PROPAGATION, "/");
    }
    if (probe->namespaces && unshare(probe->namespaces))
        return pod_fail(err, POD_CLONE, probe->name);
    if (chdir(scratch))
        return pod_fail(err, POD_CHDIR, scratch);
    return probe->
    try
        (scratch, err);
}

/* A child that cannot hang, hold the caller's terminal or write to it. Returns WRITER, out of the
 * way of 0, 1 and 2. */
static int settle_child(int writer)
{
    int moved = fcntl(writer, F_DUPFD_CLOEXEC, 3);

    signal(SIGALRM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        dup2(null, fd);
    alarm(POD_PROBE_SECONDS);
    return moved;
}

/* Reads the child's answer and its end. An empty pipe is success only if the child left by itself.
 */
static int collect(pid_t child, int reader, const char *name, struct pod_err *err)
{
    struct pod_err answer;
    int status;
    ssize_t got;

    do
        got = read(reader, &answer, sizeof answer);
    while (got < 0 && errno == EINTR);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return pod_fail(err, POD_WAIT, name);
    if (got == (ssize_t)sizeof answer) {
        answer.path[sizeof answer.path - 1] = '\0';
        *err = answer;
        return -1;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    int late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    return pod_fail_errno(err, POD_PROBE,
                          late                  ? ETIMEDOUT
                          : WIFSIGNALED(status) ? EINTR
                                                : EIO,
                          name);
}

static void answer_and_exit(int writer, int result, const struct pod_err *err)
{
    if (result && write(writer, err, sizeof *err) != (ssize_t)sizeof *err)
        _exit(1);
    _exit(0);
}

int pod_probe(const char *name, const char *scratch, struct pod_err *err)
{
    const struct probe *probe = NULL;
    int ends[2];

    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++)
        if (!strcmp(probes[i].name, name))
            probe = &probes[i];
    if (!probe)
        return pod_fail_errno(err, POD_PROBE, EINVAL, name);
    if (pipe2(ends, O_CLOEXEC))
        return pod_fail(err, POD_PROBE, name);
    POD_AUTO_FD int reader = ends[0];
    pid_t child = fork();
    if (child == 0) {
        int writer = settle_child(ends[1]);
        answer_and_exit(writer, enter_and_try(probe, scratch, err), err);
    }
    close(ends[1]);
    return child < 0 ? pod_fail(err, POD_FORK, name) : collect(child, reader, name, err);
}

int pod_probe_range(const struct pod_idmap *map, struct pod_err *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return pod_fail(err, POD_PROBE, "range");
    POD_AUTO_FD int reader = ends[0];
    pid_t child = fork();
    if (child == 0) {
        int writer = settle_child(ends[1]);
        int namespace = pod_userns_open(map, err);
        answer_and_exit(writer, namespace < 0 || pod_userns_enter(namespace, err), err);
    }
    close(ends[1]);
    return child < 0 ? pod_fail(err, POD_FORK, "range") : collect(child, reader, "range", err);
}
