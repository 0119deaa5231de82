/* The emulator against processes that hate it: fuzz_emulator SEED ROUNDS SCRATCH PLAN FILTER own|host|many|devices
 *
 *   main ──clone──▶ zygote, in a user and mount namespace of its own (and a pid namespace: own) whose root is a small tmpfs
 *     │               │──fork──▶ a worker a round: random calls with arguments that another thread changes meanwhile
 *     │──fork──▶ emulator, from its own sources, under sanitizers
 *
 * Half of the workers are killed in the middle; some of them by the emulator itself, between two of its steps, where it
 * also swaps names (the wrapped functions at the end). After each call it must have as many descriptors as before, the
 * same working directory and umask. Beside that main sends it handovers that are none; "many": more that are right than
 * there is room for, and no workers; "devices": where ids are real, and only devices are recorded. Ends with 0 where the emulator lives and still answers right. Built and run by test_emulator_fuzz.py. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"
#include "emulator.h"
#include "fuzz_emulator.h"

#define HANG_S 20

static struct shared {
    volatile int racing; /* the emulator kills and swaps */
    volatile unsigned long calls, handovers;
    volatile pid_t zygote;
} *shared;

static char scratch[256];
static int control; /* to the zygote */
static int real; /* the mode is devices */
uint64_t state;

uint32_t any(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 20) % below;
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "fuzz_emulator: %s: %s\n", what, strerror(errno));
    _exit(3);
}

/* --- the world, and who makes workers in it ------------------------------------------------------------------- */

static void make_world(int own_pids)
{
    char place[300], out[600];

    snprintf(place, sizeof place, "%s/world", scratch);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("fuzz", place, "tmpfs", 0, "size=6m,nr_inodes=3000") ||
        chdir(place) || mkdir("proc", 0755) || mkdir("race", 0777) || mkdir("race/dir", 0777) || mkdir("race/sub", 02777) ||
        mkdir("race/race", 0777) || mkdir("old", 0755))
        give_up("world");
    if (own_pids ? mount("proc", "proc", "proc", 0, NULL) : mount("/proc", "proc", NULL, MS_BIND | MS_REC, NULL))
        give_up("proc");
    /* By 3 the emulator holds the host's /proc, by others what is the host's as well. */
    snprintf(out, sizeof out, "/proc/self/fd/3/..%s/outside", scratch);
    if (symlink("sub", "race/link") || symlink(out, "race/out") || symlink("loop", "race/loop") || mkfifo("race/fifo", 0666))
        give_up("links");
    int file = open("race/file", O_CREAT | O_WRONLY, 0666), elf = open("race/elf", O_CREAT | O_WRONLY, 0755);
    if (write(elf, "\177ELF\2\1\1", 8) != 8 || fchmod(elf, 06755))
        give_up("elf");
    close(file);
    close(elf);
    if (syscall(SYS_pivot_root, ".", "old") || chdir("/") || umount2("/old", MNT_DETACH))
        give_up("pivot_root");
}

static int listen_for_calls(const char *file)
{
    static struct sock_filter code[4096];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, code, sizeof code);
    struct sock_fprog program = {(unsigned short)(size / (ssize_t)sizeof *code), code};

    close(fd);
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | 1ul << 5, &program);
}

/* What was moved away or removed comes again. */
static void mend_world(void)
{
    mkdir("/race", 0777);
    mkdir("/race/dir", 0777);
    mkdir("/race/sub", 02777);
    chmod("/race/sub", 02777);
    symlink("sub", "/race/link");
    mkfifo("/race/fifo", 0666);
    close(open("/race/file", O_CREAT | O_WRONLY | O_NONBLOCK, 0666));
}

/* Devices are recorded, shown and refused, one after the other. */
static int devices_still_right(void)
{
    struct stat st;

    for (int i = 1; i < 50; i++) {
        mode_t mode = (i % 2 ? S_IFCHR : S_IFBLK) | 0600;
        dev_t device = makedev((unsigned)i, 7u * (unsigned)i);
        unlink("/race/last");
        memset(&st, 0, sizeof st);
        if (syscall(SYS_mknodat, AT_FDCWD, "/race/last", mode, device) || stat("/race/last", &st) || st.st_mode != mode ||
            st.st_rdev != device || st.st_uid || !syscall(SYS_mknodat, AT_FDCWD, "/race/last", mode, device) || errno != EEXIST)
            return fprintf(stderr, "at %d: %o, %lx, %s\n", i, st.st_mode, (long)st.st_rdev, strerror(errno)), 0;
    }
    return 1;
}

/* Answers are right once nobody disturbs. */
static int still_right(void)
{
    struct stat st;
    struct timespec soon = {0, 200000000};

    shared->racing = 0;
    nanosleep(&soon, NULL);
    umask(0);
    if (real)
        return devices_still_right();
    int slack = open("/proc/self/timerslack_ns", O_WRONLY); /* a handover may have made this process somebody */
    if (write(slack, "50000", 5) != 5)
        give_up("slack");
    mkdir("/race/last", 0777);
    for (int i = 1; i < 50; i++) {
        memset(&st, 0, sizeof st);
        if (syscall(SYS_fchownat, AT_FDCWD, "/race/last", i, i + 1, 0) || stat("/race/last", &st) || (int)st.st_uid != i ||
            (int)st.st_gid != i + 1 || syscall(SYS_setresuid, i, i, 0) || geteuid() != (uid_t)i || syscall(SYS_setresuid, 0, 0, 0))
            return fprintf(stderr, "at %d: %u:%u, %u, %s\n", i, st.st_uid, st.st_gid, geteuid(), strerror(errno)), 0;
    }
    return 1;
}

static _Noreturn void zygote(unsigned long rounds, int sync, const char *filter, int own_pids)
{
    struct pod_handover handover = {.kind = 'U'};
    char go;

    if (read(sync, &go, 1) != 1)
        _exit(3);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    int code = open(filter, O_RDONLY | O_CLOEXEC);
    make_world(own_pids);
    snprintf(scratch, sizeof scratch, "/proc/self/fd/%d", code);
    int listener = listen_for_calls(scratch);
    if (listener < 0 || pod_send_fd(sync, &handover, sizeof handover, listener) || read(sync, &go, 1) != 1)
        give_up("listener");
    close(listener);
    if (!rounds && read(sync, &go, 1) != 1)
        _exit(3);
    shared->racing = rounds > 0;
    for (unsigned long i = 0; i < rounds; i++) {
        int status = 0;
        uint64_t seed = state;
        if (i % 8 == 0)
            mend_world();
        pid_t pid = fork();
        if (pid == 0)
            worker();
        any(2);
        if (any(2)) {
            struct timespec moment = {0, (long)any(4000) * 1000};
            nanosleep(&moment, NULL);
            kill(pid, SIGKILL);
        }
        for (int waited = 0; waitpid(pid, &status, WNOHANG) == 0; waited++) {
            struct timespec moment = {0, 1000000};
            if (waited > HANG_S * 1000) {
                fprintf(stderr, "round %lu (state %llu) hangs\n", i, (unsigned long long)seed);
                _exit(4);
            }
            nanosleep(&moment, NULL);
        }
    }
    _exit(still_right() ? 0 : 5);
}

/* --- main: the supervisor's part ------------------------------------------------------------------------------ */

static void write_map(pid_t pid, const char *name, const char *text)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        give_up(path);
    close(fd);
}

static void hand_over(const char *run, pid_t zygote_pid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static char bytes[sizeof(struct pod_handover) * 2];
    struct pod_handover *handover = (struct pod_handover *)(void *)bytes;
    char room[CMSG_SPACE(3 * sizeof(int))];
    int fds[3], count = (int)any(4);
    size_t sizes[] = {sizeof *handover, sizeof *handover, sizeof *handover, 0, 1, sizeof bytes, sizeof *handover - 1};
    struct iovec part = {.iov_base = bytes, .iov_len = sizes[any(7)]};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    int dir = open(run, O_PATH | O_CLOEXEC);

    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/emu", dir);
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (!connect(sock, (struct sockaddr *)&address, sizeof address) && any(8)) {
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (char)any(256);
        handover->pid = any(3) ? (int32_t)zygote_pid : (int32_t)any(70000) - 5;
        if (any(2))
            handover->uid = handover->gid = handover->group_count = 0;
        for (int i = 0; i < 3; i++)
            fds[i] = open(i ? "/dev/null" : "/dev/zero", O_RDONLY | O_CLOEXEC);
        if (count) {
            memset(room, 0, sizeof room);
            message.msg_control = room;
            message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
            struct cmsghdr *head = CMSG_FIRSTHDR(&message);
            head->cmsg_level = SOL_SOCKET;
            head->cmsg_type = SCM_RIGHTS;
            head->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
            memcpy(CMSG_DATA(head), fds, (size_t)count * sizeof(int));
        }
        sendmsg(sock, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        shared->handovers++;
        for (int i = 0; i < 3; i++)
            close(fds[i]);
    }
    close(sock);
    close(dir);
}

static pid_t begin(struct pod_emulator *emulator, unsigned long rounds, const char *filter, int own_pids)
{
    struct pod_handover handover;
    struct pod_err err;
    char map[64];
    int sync[2], listener;

    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync);
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD | (own_pids ? CLONE_NEWPID : 0), 0, 0, 0, 0);
    if (pid == 0)
        zygote(rounds, sync[1], filter, own_pids);
    close(sync[1]);
    if (pid < 0 || pod_emulator_namespaces(emulator, pid, &err))
        give_up("clone");
    write_map(pid, "setgroups", "deny");
    shared->zygote = pid;
    snprintf(map, sizeof map, "0 %u 1", getuid());
    write_map(pid, "uid_map", map);
    snprintf(map, sizeof map, "0 %u 1", getgid());
    write_map(pid, "gid_map", map);
    send(sync[0], "G", 1, 0);
    if (pod_receive_fd(sync[0], &handover, sizeof handover, &listener) != (ssize_t)sizeof handover || listener < 0)
        give_up("handover");
    handover.pid = pid;
    if (pod_emulator_take(emulator, &handover, listener, &err))
        give_up("emulator");
    send(sync[0], "G", 1, 0);
    control = sync[0];
    return pid;
}

int main(int argc, char **argv)
{
    struct pod_emulator emulator;
    struct pod_plan plan;
    struct pod_err err;
    int status = -1;

    if (argc != 7)
        return 2;
    state = strtoull(argv[1], NULL, 10) * 2654435761u + 88172645463325252ull;
    snprintf(scratch, sizeof scratch, "%s", argv[3]);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pod_plan_open(open(argv[4], O_RDONLY | O_CLOEXEC), &plan, &err))
        give_up("plan");
    int folder = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pod_emulator_init(&emulator, &plan, folder);
    pod_emulator_prepare(&emulator);
    if (pod_emulator_listen(&emulator, &err))
        give_up("listen");
    int many = !strcmp(argv[6], "many"), failed = 0;
    real = !strcmp(argv[6], "devices");
    pid_t pid = begin(&emulator, many ? 0 : strtoul(argv[2], NULL, 10), argv[5], real || !strcmp(argv[6], "own"));
    if (many)
        failed = many_listeners(pod_plan_str(&plan, POD_KEY_SOCKET_DIR), pid) | (send(control, "G", 1, 0) != 1);
    while (waitpid(pid, &status, WNOHANG) == 0) {
        struct timespec moment = {0, 3000000};
        if (shared->racing)
            hand_over(pod_plan_str(&plan, POD_KEY_SOCKET_DIR), pid);
        nanosleep(&moment, NULL);
    }
    int gone = waitpid(emulator.pid, NULL, WNOHANG) != 0;
    printf("%d, emulator %s\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), gone ? "died" : "lives");
    if (!many && (shared->calls < 1000 || !shared->handovers))
        printf("only %lu calls, %lu handovers\n", shared->calls, shared->handovers);
    fprintf(stderr, "%lu calls, %lu handovers\n", shared->calls, shared->handovers);
    pod_emulator_stop(&emulator, 0);
    return failed || status != 0 || gone;
}

/* --- in the emulator: what is wrapped ------------------------------------------------------------------------- */

static pid_t caller;

int64_t __real_pod_call_answer(struct pod_call *call);
int __real_openat(int dir, const char *path, int flags, mode_t mode);
int __real_ioctl(int fd, unsigned long request, void *argument);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);

static _Noreturn void fault(const struct pod_call *call, const char *what, long is)
{
    fprintf(stderr, "after call %d: %s: %ld\n", call->notif->data.nr, what, is);
    abort();
}

int64_t __wrap_pod_call_answer(struct pod_call *call)
{
    struct timespec begin, end;
    struct stat proc, here;
    int before = fcntl(0, F_DUPFD, 3), after;

    close(before);
    shared->calls++;
    caller = (pid_t)call->notif->pid;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int64_t result = __real_pod_call_answer(call);
    clock_gettime(CLOCK_MONOTONIC, &end);
    caller = 0;
    close(after = fcntl(0, F_DUPFD, 3));
    if (before != after)
        fault(call, "descriptors", after - before);
    if (fstat(call->e->proc, &proc) || stat(".", &here) || proc.st_ino != here.st_ino || proc.st_dev != here.st_dev)
        fault(call, "working directory", (long)here.st_ino);
    if (umask(0))
        fault(call, "umask", 0);
    if (end.tv_sec - begin.tv_sec > 5)
        fault(call, "seconds", end.tv_sec - begin.tv_sec);
    return result;
}

/* The worst moment for everything is between two steps. */
static void disturb(void)
{
    if (!caller || !shared->racing || any(6))
        return;
    switch (any(6)) {
    case 0:
        if (caller != shared->zygote)
            kill(caller, SIGKILL);
        for (int i = 0; any(2) && i < 50; i++)
            sched_yield();
        break;
    case 1:
    case 2:
        renameat2(AT_FDCWD, "/race/link", AT_FDCWD, "/race/out", 2);
        break;
    case 3:
        renameat2(AT_FDCWD, "/race/file", AT_FDCWD, any(2) ? "/race/sub" : "/race/fifo", 2);
        break;
    case 4:
        renameat2(AT_FDCWD, "/race/link", AT_FDCWD, "/race/dir", 2);
        break;
    default:
        rename("/race/sub/1", "/race/sub/2");
    }
}

int __wrap_openat(int dir, const char *path, int flags, mode_t mode)
{
    disturb();
    return __real_openat(dir, path, flags, mode);
}

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
    if (request == SECCOMP_IOCTL_NOTIF_ID_VALID)
        disturb();
    return __real_ioctl(fd, request, argument);
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    disturb();
    return __real_syscall(number, a, b, c, d, e, f);
}
