#include "share.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "beneath.h"
#include "inner.h"
#include "mount_api.h"
#include "userns.h"

#ifndef NS_GET_USERNS
#define NS_GET_USERNS _IO(0xb7, 0x1)
#endif
/* How often pod_share_end looks before it gives up on what keeps making processes. */
#define END_ROUNDS 100

/* X's; -1: not joined. */
struct theirs {
    int user, mounts, pid, ipc, net;
};

/* What a process that is inside tells; with a descriptor where it worked. */
struct answer {
    int32_t child;
    struct pod_err err;
};

static int open_one(pid_t pid, const char *name, int *fd, struct pod_err *err)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%ld/ns/%s", (long)pid, name);
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    return *fd < 0 ? pod_fail(err, POD_SETNS, errno == ENOENT ? "container" : path) : 0;
}

static int open_theirs(const struct pod_plan *plan, struct theirs *theirs, struct pod_err *err)
{
    pid_t pid = (pid_t)pod_plan_u64(plan, POD_KEY_SHARE_PID);
    uint64_t which = pod_plan_u64(plan, POD_KEY_SHARE);

    if (open_one(pid, "mnt", &theirs->mounts, err))
        return -1;
    if ((theirs->user = ioctl(theirs->mounts, NS_GET_USERNS)) < 0)
        return pod_fail(err, POD_SETNS, "user");
    if ((which & CLONE_NEWPID) && open_one(pid, "pid", &theirs->pid, err))
        return -1;
    if ((which & CLONE_NEWIPC) && open_one(pid, "ipc", &theirs->ipc, err))
        return -1;
    if ((which & CLONE_NEWNET) && open_one(pid, "net", &theirs->net, err))
        return -1;
    /* After the opens: had the pid been reused before them, the start time would differ now. */
    if (pod_process_start(pid) != pod_plan_u64(plan, POD_KEY_SHARE_START))
        return pod_fail_errno(err, POD_SETNS, ESRCH, "container");
    return 0;
}

static void close_theirs(struct theirs *theirs)
{
    pod_cleanup_fd(&theirs->user);
    pod_cleanup_fd(&theirs->mounts);
    pod_cleanup_fd(&theirs->pid);
    pod_cleanup_fd(&theirs->ipc);
    pod_cleanup_fd(&theirs->net);
}

static _Noreturn void tell(int sock, const struct answer *answer, int fd)
{
    if (fd >= 0)
        pod_send_fd(sock, answer, sizeof *answer, fd);
    else if (send(sock, answer, sizeof *answer, MSG_NOSIGNAL) < 0)
        _exit(1);
    _exit(0);
}

/* Before anything of theirs is joined: X's processes could trace or look into us else. */
static int enter(int fd, int kind, const char *name, struct pod_err *err)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return pod_fail(err, POD_SETNS, "dumpable");
    return setns(fd, kind) ? pod_fail(err, POD_SETNS, name) : 0;
}

/* In a process of its own, for there is no way back: a copy of X's mount on /dev/shm. */
static _Noreturn void fetch_shm(const struct pod_plan *plan, const struct theirs *theirs, int sock)
{
    const char *path = pod_plan_str(plan, POD_KEY_SHARE_SHM);
    struct answer answer = {0};
    int tree = -1, dir = -1;

    if (enter(theirs->user, CLONE_NEWUSER, "user", &answer.err) ||
        enter(theirs->mounts, CLONE_NEWNS, "mnt", &answer.err))
        tell(sock, &answer, -1);
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root >= 0)
        dir = pod_open_beneath(root, path + 1, O_PATH | O_DIRECTORY, 0, &answer.err);
    if (dir >= 0) {
        tree =
            (int)syscall(SYS_open_tree, dir, "", POD_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);
        if (tree < 0)
            pod_fail(&answer.err, POD_BIND, path);
    }
    tell(sock, &answer, tree);
}

/* In a process of its own: joins, makes what is the container's own, and leaves a first process to the supervisor. */
static _Noreturn void clone_inside(struct pod_launch *launch, const struct theirs *theirs,
                                   uint64_t namespaces, int sock)
{
    struct answer answer = {0};
    struct pod_err *err = &answer.err;
    int mounts = -1;

    if (enter(theirs->user, CLONE_NEWUSER, "user", err) ||
        (pod_inner_needed(launch->plan) &&
         (launch->inner = pod_inner_offer(launch->host_proc, theirs->mounts, err)) < 0) ||
        (theirs->pid >= 0 && enter(theirs->pid, CLONE_NEWPID, "pid", err)) ||
        (theirs->ipc >= 0 && enter(theirs->ipc, CLONE_NEWIPC, "ipc", err)) ||
        (theirs->net >= 0 && enter(theirs->net, CLONE_NEWNET, "net", err)))
        tell(sock, &answer, -1);
    if (unshare((int)namespaces)) {
        pod_fail(err, POD_CLONE, NULL);
        tell(sock, &answer, -1);
    }
    mounts = openat(launch->host_proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (mounts < 0) {
        pod_fail(err, POD_SETNS, "mnt");
        tell(sock, &answer, -1);
    }
    answer.child = (int32_t)syscall(SYS_clone, (unsigned long)(CLONE_PARENT | SIGCHLD), 0, 0, 0, 0);
    if (answer.child == 0)
        pod_launch_container(launch);
    if (answer.child < 0) /* ENOMEM: X's process 1 has ended meanwhile */
        pod_fail_errno(err, POD_SETNS, errno == ENOMEM && theirs->pid >= 0 ? ESRCH : errno,
                       "container");
    tell(sock, &answer, answer.child > 0 ? mounts : -1);
}

/* What the process told that has the other end of SOCK; its descriptor, or -1. */
static int ask(pid_t pid, int sock, struct answer *answer, struct pod_err *err)
{
    int fd = -1;
    ssize_t got;

    if (pid < 0)
        return pod_fail(err, POD_FORK, NULL);
    do
        got = pod_receive_fd(sock, answer, sizeof *answer, &fd);
    while (got < 0 && errno == EINTR);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (got != (ssize_t)sizeof *answer)
        return pod_fail_errno(err, POD_SETNS, ECHILD, "container");
    if (fd < 0)
        *err = answer->err;
    return fd;
}

/* SOCK[0] is ours. */
static pid_t fork_with(int sock[2], struct pod_err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
        return pod_fail(err, POD_SOCKET, NULL);
    pid_t pid = fork();
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    pod_cleanup_fd(&sock[pid == 0 ? 0 : 1]);
    return pid;
}

static int get_shm(struct pod_launch *launch, const struct theirs *theirs, struct pod_err *err)
{
    struct answer answer;
    int sock[2];
    pid_t pid = fork_with(sock, err);

    if (pid == 0)
        fetch_shm(launch->plan, theirs, sock[1]);
    launch->shm = ask(pid, sock[0], &answer, err);
    close(sock[0]);
    return launch->shm < 0 ? -1 : 0;
}

static int start_inside(struct pod_launch *launch, struct theirs *theirs, uint64_t namespaces,
                        pid_t *child, uint64_t *mounts, struct pod_err *err)
{
    struct answer answer;
    struct stat st;
    int sock[2];
    pid_t pid = fork_with(sock, err);

    if (pid == 0)
        clone_inside(launch, theirs, namespaces, sock[1]);
    int fd = ask(pid, sock[0], &answer, err);
    close(sock[0]);
    if (fd < 0)
        return -1;
    *child = answer.child;
    *mounts = fstat(fd, &st) ? 0 : st.st_ino;
    if (!pod_plan_has(launch->plan, POD_KEY_NOTIFY)) {
        close(fd);
        return 0;
    }
    launch->emulator->mntns = fd;
    launch->emulator->userns = pod_steal_fd(&theirs->user);
    return 0;
}

int pod_share_start(struct pod_launch *launch, uint64_t namespaces, pid_t *child, uint64_t *mounts,
                    struct pod_err *err)
{
    struct theirs theirs = {-1, -1, -1, -1, -1};

    launch->shm = 0;
    int failed = open_theirs(launch->plan, &theirs, err) ||
                 (pod_plan_has(launch->plan, POD_KEY_SHARE_SHM) && get_shm(launch, &theirs, err)) ||
                 start_inside(launch, &theirs, namespaces, child, mounts, err);
    close_theirs(&theirs);
    if (launch->shm > 0)
        close(launch->shm);
    return failed ? -1 : 0;
}

int pod_share_attach(struct pod_launch *launch, int rootfd, struct pod_err *err)
{
    const char *path = pod_plan_str(launch->plan, POD_KEY_SHARE_SHM);
    POD_AUTO_FD int target = pod_open_beneath(rootfd, path + 1, O_PATH | O_DIRECTORY, 0, err);

    if (target < 0)
        return -1;
    return syscall(SYS_move_mount, launch->shm, "", target, "", POD_MOVE_EMPTY_PATHS)
               ? pod_fail(err, POD_MOUNT, path)
               : 0;
}

uint64_t pod_share_mounts(pid_t pid)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof path, "/proc/%ld/ns/mnt", (long)pid);
    return stat(path, &st) ? 0 : st.st_ino;
}

/* How many processes of MOUNTS it has sent SIGKILL. */
static int kill_all(DIR *proc, uint64_t mounts)
{
    struct dirent *entry;
    int killed = 0;

    rewinddir(proc);
    while ((entry = readdir(proc))) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid <= 1 || pid == getpid() || pod_share_mounts(pid) != mounts)
            continue;
        /* By a descriptor, and looked at again: the number may be another's by now. */
        POD_AUTO_FD int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pod_share_mounts(pid) != mounts)
            continue;
        if (fd >= 0 ? !syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) : !kill(pid, SIGKILL))
            killed++;
    }
    return killed;
}

void pod_share_end(uint64_t mounts)
{
    struct timespec pause = {.tv_nsec = 2000000};
    DIR *proc = mounts ? opendir("/proc") : NULL;

    for (int i = 0; proc && i < END_ROUNDS && kill_all(proc, mounts); i++)
        nanosleep(&pause, NULL);
    if (proc)
        closedir(proc);
}
