/* The trial of root emulation: a program whose call waits is answered in the ways that the emulator (ext/src/emulator)
 * answers, by a process that has no more power than it has. */
#include "probe.h"
#include "probe_trials.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Older headers lack these; the numbers are the same on every architecture of ours. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SECCOMP_RET_USER_NOTIF
#define SECCOMP_RET_USER_NOTIF 0x7fc00000U
#endif
#ifndef SECCOMP_FILTER_FLAG_NEW_LISTENER
#define SECCOMP_FILTER_FLAG_NEW_LISTENER (1UL << 3)
#endif

#define WAIT_MS 4000
#define PLAIN_SLACK 50000 /* POD_SLACK_BASE of the emulator */
#define ANSWER 4242

/* seccomp_unotify(2), with room for what newer kernels may add. */
union question {
    struct {
        uint64_t id;
        uint32_t pid, flags;
        int32_t nr;
        uint32_t arch;
        uint64_t instruction, args[6];
    };
    char room[512];
};

union answer {
    struct {
        uint64_t id;
        int64_t val;
        int32_t error;
        uint32_t flags; /* 1: SECCOMP_USER_NOTIF_FLAG_CONTINUE */
    };
    char room[512];
};

struct descriptor {
    uint64_t id;
    uint32_t flags, srcfd, newfd, newfd_flags; /* flags 2: SECCOMP_ADDFD_FLAG_SEND */
};

#define RECEIVE _IOC(_IOC_READ | _IOC_WRITE, '!', 0, 80)
#define SEND _IOC(_IOC_READ | _IOC_WRITE, '!', 1, 24)
#define STILL_THERE _IOC(_IOC_WRITE, '!', 2, 8)
#define ADD_DESCRIPTOR _IOC(_IOC_WRITE, '!', 3, 24)

/* The program whose calls are answered: tells its listener's number (or a negative errno), then makes three calls and holds
 * the answers against what was promised. */
static _Noreturn void ask(int writer)
{
    volatile char text[4] = "ask";
    struct pod_err why;
    int listener;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    alarm(POD_PROBE_SECONDS);
    listener = pod_probe_filter(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER, &why);
    listener = listener < 0 ? -why.errnum : listener;
    if (write(writer, &listener, sizeof listener) != sizeof listener || listener < 0)
        _exit(1);
    if (syscall(SYS_getpgid, text) != ANSWER || text[0] != 'A' ||
        prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) != PLAIN_SLACK + 1)
        _exit(1);
    if (fcntl((int)syscall(SYS_getpgid, 0), F_GETFD) != FD_CLOEXEC)
        _exit(1);
    _exit(syscall(SYS_getpgid, 0) < 0);
}

static int receive(int listener, union question *question, struct pod_err *err)
{
    struct pollfd slot = {.fd = listener, .events = POLLIN};

    memset(question, 0, sizeof *question); /* the kernel insists */
    if (poll(&slot, 1, WAIT_MS) != 1)
        return pod_fail_errno(err, POD_PROBE, ETIMEDOUT, "a call that waits");
    return ioctl(listener, RECEIVE, question) ? pod_fail(err, POD_PROBE, "a call that waits") : 0;
}

static int reply(int listener, uint64_t id, int64_t value, uint32_t flags, struct pod_err *err)
{
    union answer answer;

    memset(&answer, 0, sizeof answer);
    answer.id = id;
    answer.val = value;
    answer.flags = flags;
    return ioctl(listener, SEND, &answer) ? pod_fail(err, POD_PROBE, "the answer to a call") : 0;
}

/* The first call: the caller's memory and timer slack, as ids and stat need them. */
static int answer_value(int listener, struct pod_err *err)
{
    union question question;
    char path[40], text[4] = "";

    if (receive(listener, &question, err))
        return -1;
    struct iovec ours = {text, sizeof text}, theirs = {NULL, sizeof text};
    theirs.iov_base = (void *)(uintptr_t)question.args[0];
    if (process_vm_readv((pid_t)question.pid, &ours, 1, &theirs, 1, 0) != sizeof text ||
        strcmp(text, "ask"))
        return pod_fail(err, POD_PROBE, "a caller's memory");
    snprintf(path, sizeof path, "/proc/%u/mem", question.pid);
    POD_AUTO_FD int memory = open(path, O_WRONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%u/timerslack_ns", question.pid);
    POD_AUTO_FD int slack = open(path, O_RDWR | O_CLOEXEC);
    if (ioctl(listener, STILL_THERE, &question.id))
        return pod_fail(err, POD_PROBE, "a caller that waits");
    if (memory < 0 || pwrite(memory, "A", 1, (off_t)question.args[0]) != 1)
        return pod_fail(err, POD_PROBE, "a caller's memory");
    int length = snprintf(path, sizeof path, "%d", PLAIN_SLACK + 1);
    if (slack < 0 || write(slack, path, (size_t)length) != length)
        return pod_fail(err, POD_PROBE, "another thread's timer slack");
    return reply(listener, question.id, ANSWER, 0, err);
}

/* The second: a descriptor, as open() of a new file gets it. */
static int answer_descriptor(int listener, struct pod_err *err)
{
    union question question;
    int number;
    POD_AUTO_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (receive(listener, &question, err))
        return -1;
    struct descriptor add = {question.id, 2, (uint32_t)null, 0, O_CLOEXEC};
    if (ioctl(listener, ADD_DESCRIPTOR, &add) >= 0)
        return 0;
    add.flags = 0; /* before Linux 5.14 the copy is given first, then the answer */
    number = errno == EINVAL ? ioctl(listener, ADD_DESCRIPTOR, &add) : -1;
    return number < 0 ? pod_fail(err, POD_PROBE, "a descriptor for a caller")
                      : reply(listener, question.id, number, 0, err);
}

/* The third: the kernel carries it out. */
static int answer_continue(int listener, struct pod_err *err)
{
    union question question;

    return receive(listener, &question, err) || reply(listener, question.id, 0, 1, err) ? -1 : 0;
}

static int serve(pid_t child, int reader, struct pod_err *err)
{
    int number;

    if (read(reader, &number, sizeof number) != sizeof number)
        return pod_fail_errno(err, POD_PROBE, EIO, "a listener");
    if (number < 0)
        return pod_fail_errno(err, POD_PROBE, -number, "a listener");
    POD_AUTO_FD int process = (int)syscall(SYS_pidfd_open, child, 0);
    POD_AUTO_FD int listener = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, number, 0);
    if (listener < 0)
        return pod_fail(err, POD_PROBE, "another process's descriptor");
    return answer_value(listener, err) || answer_descriptor(listener, err) ||
                   answer_continue(listener, err)
               ? -1
               : 0;
}

int pod_try_emulation(const char *scratch, struct pod_err *err)
{
    int ends[2], status;

    (void)scratch;
    if (pipe2(ends, O_CLOEXEC))
        return pod_fail(err, POD_PROBE, "pipe");
    POD_AUTO_FD int reader = ends[0];
    pid_t child = fork();
    if (child == 0)
        ask(ends[1]);
    close(ends[1]);
    if (child < 0)
        return pod_fail(err, POD_FORK, NULL);
    int failed = serve(child, reader, err);
    if (failed)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return pod_fail(err, POD_WAIT, NULL);
    if (failed)
        return -1;
    return status ? pod_fail_errno(err, POD_PROBE, EIO, "answers that arrive") : 0;
}
