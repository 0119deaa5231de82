#include "holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "netd_start.h"
#include "rights.h"
#include "userns.h"

#define LINGER_S \
    5 /* after netd was killed: for as long a new one finds the namespaces by the pin */

enum { ASK_SOCKETS = 1, ASK_SYSCTL = 2, ASK_END = 3 };

struct request {
    int32_t kind, domain, type, protocol, count;
    char path[128], value[64];
};

/* With the descriptors that were asked for, or a pod_err. */
struct answer {
    int32_t failed;
    struct pod_err err;
};

/* --- the process inside ----------------------------------------------------------------------------------------- */

static int write_sysctl(const char *path, const char *value, struct pod_err *err)
{
    char name[160];

    snprintf(name, sizeof name, "/proc/sys/%s", path);
    POD_AUTO_FD int fd = open(name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || write(fd, value, strlen(value)) < 0)
        return pod_fail(err, POD_SYSCTL, path);
    return 0;
}

static void make_sockets(int sock, const struct request *request)
{
    struct answer answer = {0};
    int fds[POD_RIGHTS_MAX], count = request->count, made = 0;

    if (count < 1 || count > POD_RIGHTS_MAX)
        return;
    while (made < count && !answer.failed) {
        fds[made] = socket(request->domain, request->type | SOCK_CLOEXEC | SOCK_NONBLOCK,
                           request->protocol);
        if (fds[made] < 0)
            answer.failed = pod_fail(&answer.err, POD_NETWORK, "socket") != 0;
        else
            made++;
    }
    pod_rights_send(sock, &answer, sizeof answer, fds, answer.failed ? 0 : made, 0);
    while (made)
        close(fds[--made]);
}

/* Until it is told to end, or netd was killed and nobody needs its namespaces any more. */
static _Noreturn void serve(int sock, const char *folder)
{
    struct request request;
    struct timespec linger = {.tv_sec = LINGER_S};
    char pin[POD_NETD_PATH];

    for (;;) {
        ssize_t got = recv(sock, &request, sizeof request, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != (ssize_t)sizeof request)
            break;
        request.path[sizeof request.path - 1] = request.value[sizeof request.value - 1] = '\0';
        if (request.kind == ASK_END)
            _exit(0);
        if (request.kind == ASK_SOCKETS)
            make_sockets(sock, &request);
        if (request.kind == ASK_SYSCTL) {
            struct answer answer = {0};
            answer.failed = write_sysctl(request.path, request.value, &answer.err) != 0;
            pod_rights_send(sock, &answer, sizeof answer, NULL, 0, 0);
        }
    }
    close(sock);
    nanosleep(&linger, NULL);
    snprintf(pin, sizeof pin, "%s/holder-%ld-%llu", folder, (long)getpid(),
             (unsigned long long)pod_process_start(getpid()));
    unlink(pin);
    _exit(0);
}

static int make_namespaces(int mapped, struct pod_err *err)
{
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (mapped >= 0 && setns(mapped, CLONE_NEWUSER))
        return pod_fail(err, POD_SETNS, "user");
    /* Who has gained capabilities is not dumpable, and may not write its own maps then. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (pod_userns_unshare_single(proc, 0, 0, err))
        return -1;
    close(proc);
    return unshare(CLONE_NEWNET) ? pod_fail(err, POD_CLONE, "net") : 0;
}

static int loopback_up(struct pod_err *err)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    POD_AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) ? pod_fail(err, POD_NETNS, "lo") : 0;
}

static int enter(const struct pod_holder *holder, int mapped, struct pod_err *err)
{
    if (holder->userns < 0)
        return make_namespaces(mapped, err) || loopback_up(err) ? -1 : 0;
    if (setns(holder->userns, CLONE_NEWUSER))
        return pod_fail(err, POD_SETNS, "user");
    return setns(holder->netns, CLONE_NEWNET) ? pod_fail(err, POD_SETNS, "net") : 0;
}

static _Noreturn void be_inside(const struct pod_holder *holder, const char *folder, int mapped,
                                int sock)
{
    struct answer answer = {0};
    int fds[4];

    prctl(PR_SET_NAME, "pod-holder", 0, 0, 0);
    if (enter(holder, mapped, &answer.err)) {
        answer.failed = 1;
        pod_rights_send(sock, &answer, sizeof answer, NULL, 0, 0);
        _exit(1);
    }
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* so that netd finds our namespaces by the pin */
    fds[0] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    fds[1] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    fds[2] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    fds[3] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    for (int i = 0; i < 4 && !answer.failed; i++)
        if (fds[i] < 0)
            answer.failed = pod_fail(&answer.err, POD_NETNS, i < 2 ? "ns" : "netlink") != 0;
    pod_rights_send(sock, &answer, sizeof answer, fds, answer.failed ? 0 : 4, 0);
    if (answer.failed)
        _exit(1);
    /* Nothing of netd's stays open in here: its sockets end when it does. */
    if (sock != 3 && dup2(sock, 3) < 0)
        _exit(1);
    if (syscall(SYS_close_range, 4u, ~0u, 0))
        for (int fd = 4; fd < 65536; fd++)
            close(fd);
    serve(3, folder);
}

/* --- netd's side -------------------------------------------------------------------------------------------------- */

static int read_answer(int sock, int *fds, int count, struct pod_err *err)
{
    struct answer answer;
    ssize_t got = pod_rights_receive(sock, &answer, sizeof answer, fds, count, NULL);

    if (got != (ssize_t)sizeof answer)
        return pod_fail_errno(err, POD_NETD, got < 0 ? errno : ECHILD, "holder");
    if (answer.failed) {
        *err = answer.err;
        return -1;
    }
    if (count && fds[count - 1] < 0) {
        for (int i = 0; i < count; i++)
            pod_cleanup_fd(&fds[i]);
        return pod_fail_errno(err, POD_NETD, EMFILE, "holder");
    }
    return 0;
}

static int pin_path(char *path, size_t size, const char *folder, pid_t pid)
{
    return snprintf(path, size, "%s/holder-%ld-%llu", folder, (long)pid,
                    (unsigned long long)pod_process_start(pid));
}

/* The namespaces of a process that has a pin; 0 where there is none. Stale pins are removed. */
static int find_pinned(struct pod_holder *holder, const char *folder)
{
    DIR *all = opendir(folder);
    struct dirent *entry;
    char path[64], *end;

    while (all && holder->userns < 0 && (entry = readdir(all))) {
        if (strncmp(entry->d_name, "holder-", 7))
            continue;
        long pid = strtol(entry->d_name + 7, &end, 10);
        uint64_t start = *end == '-' ? strtoull(end + 1, NULL, 10) : 0;
        snprintf(path, sizeof path, "/proc/%ld/ns/user", pid);
        int userns = open(path, O_RDONLY | O_CLOEXEC);
        snprintf(path, sizeof path, "/proc/%ld/ns/net", pid);
        int netns = open(path, O_RDONLY | O_CLOEXEC);
        /* Read after the open: a pid that was reused in between shows here. */
        if (userns >= 0 && netns >= 0 && start && pod_process_start((pid_t)pid) == start) {
            holder->userns = userns;
            holder->netns = netns;
            break;
        }
        pod_cleanup_fd(&userns);
        pod_cleanup_fd(&netns);
        if (pod_process_start((pid_t)pid) != start || !start)
            unlinkat(dirfd(all), entry->d_name, 0);
    }
    if (all)
        closedir(all);
    return holder->userns >= 0;
}

/* Only ours is left: one that an earlier netd left has the same namespaces, or nobody's. */
static int leave_pin(const struct pod_holder *holder, const char *folder, struct pod_err *err)
{
    char path[POD_NETD_PATH];
    DIR *all = opendir(folder);
    struct dirent *entry;

    while (all && (entry = readdir(all)))
        if (!strncmp(entry->d_name, "holder-", 7))
            unlinkat(dirfd(all), entry->d_name, 0);
    if (all)
        closedir(all);
    pin_path(path, sizeof path, folder, holder->pid);
    POD_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? pod_fail(err, POD_NETD, path) : 0;
}

/* The number stays the same: HELLO knows it. */
static void take(int *slot, int fd)
{
    if (*slot < 0 || dup3(fd, *slot, O_CLOEXEC) < 0) {
        pod_cleanup_fd(slot);
        *slot = fd;
        return;
    }
    close(fd);
}

static int start(struct pod_holder *holder, const char *folder, int mapped, struct pod_err *err)
{
    int sock[2], fds[4];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
        return pod_fail(err, POD_NETD, "socketpair");
    holder->pid = fork();
    if (holder->pid == 0) {
        close(sock[0]);
        be_inside(holder, folder, mapped, sock[1]);
    }
    close(sock[1]);
    struct timeval limit = {.tv_sec = 5};
    setsockopt(sock[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (holder->pid < 0 || read_answer(sock[0], fds, 4, err)) {
        close(sock[0]);
        return holder->pid < 0 ? pod_fail(err, POD_FORK, "holder") : -1;
    }
    holder->socket = sock[0];
    take(&holder->userns, fds[0]);
    take(&holder->netns, fds[1]);
    holder->rtnl = fds[2];
    holder->nfnl = fds[3];
    return leave_pin(holder, folder, err);
}

int pod_holder_open(struct pod_holder *holder, const char *folder, int mapped, struct pod_err *err)
{
    if (holder->userns < 0 && !find_pinned(holder, folder))
        return start(holder, folder, mapped, err);
    if (!start(holder, folder, mapped, err))
        return 0;
    /* Namespaces over which we have no power: containers in them keep what they have among themselves. */
    pod_cleanup_fd(&holder->userns);
    pod_cleanup_fd(&holder->netns);
    holder->userns = holder->netns = -1;
    return start(holder, folder, mapped, err);
}

int pod_holder_again(struct pod_holder *holder, const char *folder, struct pod_err *err)
{
    int rtnl = holder->rtnl, nfnl = holder->nfnl, sock = holder->socket;

    if (start(holder, folder, -1, err))
        return -1;
    close(rtnl);
    close(nfnl);
    close(sock);
    return 0;
}

void pod_holder_end(struct pod_holder *holder, const char *folder)
{
    struct request request = {.kind = ASK_END};
    char path[POD_NETD_PATH];

    pin_path(path, sizeof path, folder, holder->pid);
    unlink(path);
    send(holder->socket, &request, sizeof request, MSG_NOSIGNAL);
    close(holder->socket);
}

int pod_holder_sockets(struct pod_holder *holder, int domain, int type, int protocol, int *fds,
                       int count, struct pod_err *err)
{
    struct request request = {
        .kind = ASK_SOCKETS, .domain = domain, .type = type, .protocol = protocol, .count = count};

    if (count < 1 || count > POD_RIGHTS_MAX)
        return pod_fail_errno(err, POD_NETD, EINVAL, "holder");
    if (send(holder->socket, &request, sizeof request, MSG_NOSIGNAL) < 0)
        return pod_fail(err, POD_NETD, "holder");
    return read_answer(holder->socket, fds, count, err);
}

int pod_holder_socket(struct pod_holder *holder, int domain, int type, int protocol,
                      struct pod_err *err)
{
    int fd;

    return pod_holder_sockets(holder, domain, type, protocol, &fd, 1, err) ? -1 : fd;
}

int pod_holder_sysctl(struct pod_holder *holder, const char *path, const char *value,
                      struct pod_err *err)
{
    struct request request = {.kind = ASK_SYSCTL};

    if (strlen(path) >= sizeof request.path || strlen(value) >= sizeof request.value)
        return pod_fail_errno(err, POD_SYSCTL, ENAMETOOLONG, path);
    memcpy(request.path, path, strlen(path));
    memcpy(request.value, value, strlen(value));
    if (send(holder->socket, &request, sizeof request, MSG_NOSIGNAL) < 0)
        return pod_fail(err, POD_NETD, "holder");
    return read_answer(holder->socket, NULL, 0, err);
}
