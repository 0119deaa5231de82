/* Trials of namespaces, single system calls and devices. */
#include "probe_trials.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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
#ifndef SECCOMP_RET_USER_NOTIF
#define SECCOMP_RET_USER_NOTIF 0x7fc00000U
#endif
#ifndef SECCOMP_FILTER_FLAG_NEW_LISTENER
#define SECCOMP_FILTER_FLAG_NEW_LISTENER (1UL << 3)
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#define MEMFD_EXEC 0x10U /* MFD_EXEC, Linux 6.3 */

static int nothing(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    (void)err;
    return 0;
}

int pod_try_loopback(const char *scratch, struct pod_err *err)
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

int pod_probe_filter(unsigned int answer, unsigned long flags, struct pod_err *err)
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
    int done = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    return done < 0 ? pod_fail(err, POD_SECCOMP, NULL) : done;
}

static int try_seccomp(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    if (pod_probe_filter(SECCOMP_RET_ERRNO | ESRCH, 0, err))
        return -1;
    if (syscall(SYS_getpgid, 0) != -1 || errno != ESRCH)
        return pod_fail_errno(err, POD_SECCOMP, EIO, "the filter has no effect");
    return 0;
}

static int try_seccomp_notify(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    return pod_probe_filter(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER, err) < 0 ? -1
                                                                                               : 0;
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

const struct pod_trial pod_call_trials[] = {
    {"userns", nothing, INSIDE, 0},
    {"pidns", nothing, INSIDE, CLONE_NEWPID},
    {"utsns", nothing, INSIDE, CLONE_NEWUTS},
    {"ipcns", nothing, INSIDE, CLONE_NEWIPC},
    {"cgroupns", nothing, INSIDE, CLONE_NEWCGROUP},
    {"netns", pod_try_loopback, INSIDE, CLONE_NEWNET},
    {"bridge", pod_try_bridge, INSIDE, CLONE_NEWNET},
    {"gateway", pod_try_gateway, INSIDE, CLONE_NEWNET},
    {"ipv6", pod_try_ipv6, INSIDE, CLONE_NEWNET},
    {"seccomp", try_seccomp, OUTSIDE, 0},
    {"seccomp_notify", try_seccomp_notify, OUTSIDE, 0},
    {"emulation", pod_try_emulation, INSIDE, 0},
    {"pidfd_open", try_pidfd, OUTSIDE, 0},
    {"clone3", try_clone3, OUTSIDE, 0},
    {"openat2", try_openat2, OUTSIDE, 0},
    {"close_range", try_close_range, OUTSIDE, 0},
    {"memfd_exec", try_memfd_exec, OUTSIDE, 0},
    {"landlock", pod_try_landlock, OUTSIDE, 0},
    {"sandbox", pod_try_sandbox, OUTSIDE, 0},
    {"tun", try_tun, OUTSIDE, 0},
    {"fuse", try_fuse, OUTSIDE, 0},
    {NULL, NULL, OUTSIDE, 0},
};
