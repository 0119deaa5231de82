#include "netd_start.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "confine.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif
#define LOCK_WAIT_MS 10000
#define BACKLOG 512

/* Of FOLDER's socket. sun_path has 108 bytes: what is longer is reached by way of a descriptor, *DIR, which the caller closes. */
static int socket_address(const char *folder, struct sockaddr_un *address, int *dir,
                          struct pod_err *err)
{
    size_t size = sizeof address->sun_path;

    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    *dir = -1;
    if (snprintf(address->sun_path, size, "%s/ctl", folder) < (int)size)
        return 0;
    *dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*dir < 0)
        return pod_fail(err, POD_NETD, folder);
    snprintf(address->sun_path, size, "/proc/self/fd/%d/ctl", *dir);
    return 0;
}

int pod_netd_connect_only(const char *folder, struct pod_err *err)
{
    struct sockaddr_un address;
    POD_AUTO_FD int dir = -1;

    if (socket_address(folder, &address, &dir, err))
        return -1;
    POD_AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    /* The queue of one that does not run may be full. */
    struct timeval limit = {.tv_sec = LOCK_WAIT_MS / 1000};
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
        return pod_fail(err, POD_NETD, folder);
    return pod_steal_fd(&fd);
}

/* The lock, held. Not waited for for ever: who holds it may be stopped. */
static int take_lock(const char *folder, struct pod_err *err)
{
    struct timespec pause = {.tv_nsec = 1000000};
    char path[POD_NETD_PATH];

    if (mkdir(folder, 0700) && errno != EEXIST)
        return pod_fail(err, POD_NETD, folder);
    snprintf(path, sizeof path, "%s/lock", folder);
    POD_AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return pod_fail(err, POD_NETD, path);
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB); waited++) {
        if (pod_netd_without_locks(errno))
            break;
        if ((errno != EWOULDBLOCK && errno != EINTR) || waited >= LOCK_WAIT_MS)
            return pod_fail(err, POD_NETD, path);
        nanosleep(&pause, NULL);
    }
    return pod_steal_fd(&fd);
}

/* Sealed, like the helper's (CVE-2019-5736). */
static int load_program(const char *path, struct pod_err *err)
{
    struct stat st;
    off_t done = 0;
    POD_AUTO_FD int source = open(path, O_RDONLY | O_CLOEXEC);

    if (source < 0 || fstat(source, &st))
        return pod_fail(err, POD_NETD, path);
    unsigned flags = 1u | 2u; /* MFD_CLOEXEC, MFD_ALLOW_SEALING */
    POD_AUTO_FD int target = (int)syscall(SYS_memfd_create, "pod-netd", flags | MFD_EXEC);
    if (target < 0)
        target = (int)syscall(SYS_memfd_create, "pod-netd", flags);
    if (target < 0)
        return pod_fail(err, POD_NETD, "memory file");
    while (done < st.st_size)
        if (sendfile(target, source, &done, (size_t)(st.st_size - done)) <= 0)
            return pod_fail(err, POD_NETD, path);
    /* F_ADD_SEALS: SEAL, SHRINK, GROW, WRITE. */
    if (fcntl(target, 1033, 0xF))
        return pod_fail(err, POD_NETD, "memory file");
    return pod_steal_fd(&target);
}

/* In the child: the descriptors of enum pod_netd_fd in their places, nothing else of ours. */
static _Noreturn void become_netd(const struct pod_netd_start *start, int listener, int program)
{
    const int given[] = {listener, program, start->mapped, start->userns, start->netns};
    int high[sizeof given / sizeof *given], count = 0;
    char letters[4] = "", name[] = "pod-netd", none[] = "-";
    char *argv[] = {name, (char *)(uintptr_t)start->folder, none, NULL}, *env[] = {NULL};
    sigset_t mask;

    setsid();
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++)
        if (dup2(null, i) < 0)
            _exit(1);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        high[i] = given[i] < 0 ? -1 : fcntl(given[i], F_DUPFD, 32);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (high[i] >= 0 && dup2(high[i], POD_NETD_LISTENER + (int)i) < 0)
            _exit(1);
    for (size_t i = 2; i < sizeof given / sizeof *given; i++)
        if (high[i] >= 0)
            letters[count++] = "mun"[i - 2];
        else
            close(POD_NETD_LISTENER + (int)i);
    if (count)
        argv[2] = letters;
    pod_close_from(POD_NETD_FDS);
    for (int number = 1; number < 65; number++)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, SIG_DFL);
    sigemptyset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    if (chdir("/"))
        _exit(1);
    syscall(SYS_execveat, POD_NETD_PROGRAM, "", argv, env, 0x1000 /* AT_EMPTY_PATH */);
    _exit(1);
}

/* By two forks, so that nobody here has a child that it does not know. */
static int spawn(const struct pod_netd_start *start, int listener, int program, struct pod_err *err)
{
    int status;
    pid_t between = fork();

    if (between == 0) {
        pid_t child = fork();
        if (child == 0)
            become_netd(start, listener, program);
        _exit(child < 0 ? errno : 0);
    }
    if (between < 0)
        return pod_fail(err, POD_NETD, "fork");
    while (waitpid(between, &status, 0) < 0)
        if (errno != EINTR)
            return 0; /* whoever ignores SIGCHLD */
    return WIFEXITED(status) && !WEXITSTATUS(status)
               ? 0
               : pod_fail_errno(err, POD_NETD, WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD,
                                "fork");
}

static int listen_at(const char *folder, struct sockaddr_un *address, int *dir, struct pod_err *err)
{
    POD_AUTO_FD int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (socket_address(folder, address, dir, err))
        return -1;
    if (unlink(address->sun_path) && errno != ENOENT)
        return pod_fail(err, POD_NETD, folder);
    if (listener < 0 || bind(listener, (struct sockaddr *)address, sizeof *address) ||
        listen(listener, BACKLOG))
        return pod_fail(err, POD_NETD, folder);
    return pod_steal_fd(&listener);
}

int pod_netd_connect(const struct pod_netd_start *start, struct pod_err *err)
{
    struct sockaddr_un address;
    int fd = pod_netd_connect_only(start->folder, err);

    if (fd >= 0 || (err->errnum != ENOENT && err->errnum != ECONNREFUSED))
        return fd;
    POD_AUTO_FD int lock = take_lock(start->folder, err);
    if (lock < 0)
        return -1;
    /* Somebody else may have been faster. */
    fd = pod_netd_connect_only(start->folder, err);
    if (fd >= 0 || (err->errnum != ENOENT && err->errnum != ECONNREFUSED))
        return fd;
    POD_AUTO_FD int program = start->program ? load_program(start->program, err)
                                             : fcntl(start->program_fd, F_DUPFD_CLOEXEC, 0);
    if (program < 0)
        return start->program ? -1 : pod_fail(err, POD_NETD, "program");
    POD_AUTO_FD int dir = -1;
    POD_AUTO_FD int listener = listen_at(start->folder, &address, &dir, err);
    if (listener < 0)
        return -1;
    if (spawn(start, listener, program, err)) {
        unlink(address.sun_path);
        return -1;
    }
    return pod_netd_connect_only(start->folder, err);
}
