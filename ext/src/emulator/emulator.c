/* The supervisor's side of the emulator, and that of exec's monitor. */
#include "emulator.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "numbers.h"
#include "page_writer.h"

#define HANDOVER_MS 20000

void pod_emulator_init(struct pod_emulator *emulator, const struct pod_plan *plan, int folder)
{
    memset(emulator, 0, sizeof *emulator);
    emulator->plan = plan;
    emulator->folder = folder;
    emulator->listener = emulator->socket = emulator->userns = emulator->mntns = -1;
    emulator->page = -1;
}

/* By the folder's descriptor: sun_path is short. */
static int open_socket(const struct pod_plan *plan, struct sockaddr_un *address, int *dir)
{
    const char *folder = pod_plan_str(plan, POD_KEY_SOCKET_DIR);

    *dir = folder ? open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (*dir < 0)
        return -1;
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/emu", *dir);
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

static int is_joined(const struct pod_emulator *emulator)
{
    return (pod_plan_u64(emulator->plan, POD_KEY_FLAGS) & POD_PLAN_EXEC) != 0;
}

void pod_emulator_prepare(struct pod_emulator *emulator)
{
    const char *folder = pod_plan_str(emulator->plan, POD_KEY_SOCKET_DIR);

    if (!folder || is_joined(emulator) || !pod_plan_has(emulator->plan, POD_KEY_PRELOAD))
        return;
    POD_AUTO_FD int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir >= 0)
        emulator->page = pod_page_create(dir);
}

int pod_emulator_listen(struct pod_emulator *emulator, struct pod_err *err)
{
    struct sockaddr_un address;
    POD_AUTO_FD int dir = -1;

    if (is_joined(emulator) || !pod_plan_has(emulator->plan, POD_KEY_NOTIFY))
        return 0;
    POD_AUTO_FD int fd = open_socket(emulator->plan, &address, &dir);
    if (dir >= 0)
        unlinkat(dir, "emu", 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 16))
        return pod_fail(err, POD_SOCKET, "emu");
    emulator->socket = pod_steal_fd(&fd);
    return 0;
}

void pod_emulator_connect(struct pod_emulator *emulator)
{
    struct sockaddr_un address;
    POD_AUTO_FD int dir = -1;
    POD_AUTO_FD int fd = open_socket(emulator->plan, &address, &dir);

    if (fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof address))
        emulator->socket = pod_steal_fd(&fd);
}

int pod_emulator_namespaces(struct pod_emulator *emulator, pid_t child, struct pod_err *err)
{
    char path[40];

    if (pod_plan_has(emulator->plan, POD_KEY_NOTIFY)) {
        snprintf(path, sizeof path, "/proc/%ld/ns/user", (long)child);
        emulator->userns = open(path, O_RDONLY | O_CLOEXEC);
        if (emulator->userns < 0)
            return pod_fail(err, POD_SETNS, path);
    }
    snprintf(path, sizeof path, "/proc/%ld/ns/mnt", (long)child);
    emulator->mntns = open(path, O_RDONLY | O_CLOEXEC);
    /* For a later end of the mounts alone nobody needs it. */
    return emulator->mntns < 0 && emulator->userns >= 0 ? pod_fail(err, POD_SETNS, path) : 0;
}

static void close_all(struct pod_emulator *emulator, int keeps_mounts)
{
    int *fds[] = {&emulator->listener, &emulator->socket, &emulator->userns, &emulator->page,
                  keeps_mounts ? &emulator->page : &emulator->mntns};

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        pod_cleanup_fd(fds[i]);
        *fds[i] = -1;
    }
}

/* One byte of FD, not for ever. */
static int await_byte(int fd, struct pod_err *err)
{
    struct pollfd slot = {.fd = fd, .events = POLLIN};
    char byte;

    int said = poll(&slot, 1, HANDOVER_MS) == 1;
    if (said && read(fd, &byte, 1) == 1)
        return 0;
    return pod_fail_errno(err, POD_EMULATOR, said ? ECONNRESET : ETIMEDOUT, NULL);
}

static int fork_it(struct pod_emulator *emulator, int wait, struct pod_err *err)
{
    int ready[2];

    if (pipe2(ready, O_CLOEXEC))
        return pod_fail(err, POD_EMULATOR, "pipe");
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() != parent)
            _exit(1);
        int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (proc < 0)
            _exit(1);
        pod_emulator_serve(emulator, proc, ready[1]);
    }
    close(ready[1]);
    POD_AUTO_FD int reader = ready[0];
    /* From now on it alone has the listeners: should it end, calls fail (ENOSYS) and hang for nobody. */
    close_all(emulator, 0);
    if (pid < 0)
        return pod_fail(err, POD_FORK, NULL);
    emulator->pid = pid;
    return wait ? await_byte(reader, err) : 0;
}

int pod_emulator_start(struct pod_emulator *emulator, struct pod_err *err)
{
    return emulator->pid ? 0 : fork_it(emulator, 0, err);
}

/* All threads are root's, as long as no call to change that came: the kernel's own answer is right. */
static int is_known(const struct seccomp_notif *call)
{
    int bits;
    enum pod_kind kind = pod_kind_of(&call->data, &bits);

    return kind == GETUID || kind == GETEUID || kind == GETGID || kind == GETEGID;
}

int pod_emulator_call(struct pod_emulator *emulator, struct pod_err *err)
{
    union pod_message answer;

    if (emulator->pid)
        return 0;
    memset(&emulator->call, 0, sizeof emulator->call); /* the kernel insists */
    if (ioctl(emulator->listener, SECCOMP_IOCTL_NOTIF_RECV, &emulator->call))
        return errno == ENOENT || errno == EINTR ? 0 : pod_emulator_start(emulator, err);
    emulator->asked = !is_known(&emulator->call.notif);
    if (emulator->asked)
        return pod_emulator_start(emulator, err);
    memset(&answer, 0, sizeof answer);
    answer.answer.id = emulator->call.notif.id;
    answer.answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ioctl(emulator->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer); /* ENOENT: it was killed */
    return 0;
}

int pod_emulator_take(struct pod_emulator *emulator, const struct pod_handover *handover,
                      int listener, struct pod_err *err)
{
    if (!is_joined(emulator)) {
        emulator->listener = listener;
        emulator->first = *handover;
        return handover->kind == 'U' ? fork_it(emulator, 1, err) : 0;
    }
    POD_AUTO_FD int given = listener;
    if (emulator->socket < 0 ||
        pod_send_fd(emulator->socket, handover, sizeof *handover, given) < 0)
        return pod_fail_errno(err, POD_EMULATOR, ENOTCONN, NULL);
    return await_byte(emulator->socket, err);
}

void pod_emulator_stop(struct pod_emulator *emulator, int keeps_mounts)
{
    close_all(emulator, keeps_mounts);
    if (emulator->pid <= 0)
        return;
    kill(emulator->pid, SIGKILL);
    while (waitpid(emulator->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
