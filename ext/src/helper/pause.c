#include "pause.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "health.h"

#ifndef NS_GET_USERNS
#define NS_GET_USERNS _IO(0xb7, 0x1)
#define NS_GET_PARENT _IO(0xb7, 0x2)
#endif

#define PATIENCE_MS 5000
#define ROUNDS 400
#define DEPTH 34 /* namespaces nest 32 levels deep at most */

/* --- whose process is it? -------------------------------------------------------------------------------------- */

static int open_namespace(pid_t pid, const char *name)
{
    char path[48];

    snprintf(path, sizeof path, "/proc/%ld/ns/%s", (long)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static ino_t inode_of(int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* Whether the namespace FD (closed here) is WANTED or below it; OURS is known not to be. */
static int is_below(int fd, ino_t wanted, ino_t ours)
{
    int found = 0;

    for (int depth = 0; fd >= 0 && depth < DEPTH; depth++) {
        ino_t here = inode_of(fd);
        found = here == wanted;
        int above = found || here == ours ? -1 : ioctl(fd, NS_GET_PARENT);
        close(fd);
        fd = above;
    }
    return found;
}

int pod_pause_has(pid_t child, const char *name, pid_t pid)
{
    POD_AUTO_FD int wanted_fd = open_namespace(child, name);
    POD_AUTO_FD int our_fd = open_namespace(getpid(), name);
    ino_t wanted = inode_of(wanted_fd), ours = inode_of(our_fd);

    return wanted && wanted != ours && is_below(open_namespace(pid, name), wanted, ours);
}

int pod_pause_each(pid_t child, const char *name, int (*each)(void *what, pid_t pid), void *what)
{
    POD_AUTO_FD int wanted_fd = open_namespace(child, name);
    POD_AUTO_FD int our_fd = open_namespace(getpid(), name);
    ino_t wanted = inode_of(wanted_fd), ours = inode_of(our_fd);
    int said = 0;

    if (!wanted || wanted == ours)
        return -1;
    DIR *processes = opendir("/proc");
    if (!processes)
        return -1;
    for (struct dirent *entry; said == 0 && (entry = readdir(processes));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && is_below(open_namespace(pid, name), wanted, ours))
            said = each(what, pid);
    }
    closedir(processes);
    return said;
}

/* --- by signals ------------------------------------------------------------------------------------------------ */

static int runs(void *unused, pid_t pid)
{
    (void)unused;
    char state = pod_process_state(pid);
    /* D: it sleeps in the kernel with the signal waiting for it. */
    return state && !strchr("TtZXD", state);
}

/* In a process inside the pid namespace: to all but itself and process 1, at once (kill(2): nobody can fork meanwhile). */
static int signal_all(int number)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0)
        _exit(kill(-1, number) && errno != ESRCH ? 1 : 0);
    if (pid < 0)
        return -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int enter(pid_t child)
{
    POD_AUTO_FD int pidns = open_namespace(child, "pid");
    POD_AUTO_FD int userns = pidns < 0 ? -1 : ioctl(pidns, NS_GET_USERNS);

    /* Not dumpable before it is in there: nobody inside may trace it or its child (CVE-2016-9962). */
    if (userns < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || setns(userns, CLONE_NEWUSER) ||
        setns(pidns, CLONE_NEWPID))
        return -1;
    return 0;
}

/* A process of the supervisor's own, which may wait and be killed: says 'k' or 'n' and the errno. Who was stopped may be
 * woken by one that was not yet: again, until all are seen to be. One inside that kills our signaller delays this only. */
static _Noreturn void signaller(pid_t child, int number, int said)
{
    struct {
        char word;
        int32_t reason;
    } answer = {.word = 'n'};

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (enter(child) == 0)
        for (int round = 0; round < ROUNDS && answer.word == 'n'; round++) {
            /* Also that one again: whoever is not stopped yet may have sent it SIGCONT. */
            if (number == SIGSTOP)
                kill(child, SIGSTOP);
            errno = EBUSY;
            if (signal_all(number) == 0 &&
                (number == SIGCONT || pod_pause_each(child, "pid", runs, NULL) == 0))
                answer.word = 'k';
            else
                usleep(round < 20 ? 500 : 10000);
        }
    answer.reason = errno ? errno : EBUSY;
    ssize_t ignored = write(said, &answer, sizeof answer);
    (void)ignored;
    _exit(0);
}

static int send_inside(pid_t child, int number, struct pod_err *err)
{
    struct {
        char word;
        int32_t reason;
    } answer = {.word = 0};
    struct pollfd slot;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return pod_fail(err, POD_PAUSE, "pipe");
    pid_t pid = fork();
    if (pid == 0)
        signaller(child, number, ends[1]);
    close(ends[1]);
    slot = (struct pollfd){.fd = ends[0], .events = POLLIN};
    int reason = pid < 0 ? errno : ETIMEDOUT;
    if (pid > 0 && poll(&slot, 1, PATIENCE_MS) == 1)
        reason = read(ends[0], &answer, sizeof answer) == sizeof answer ? answer.reason : ECHILD;
    close(ends[0]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    return answer.word == 'k' ? 0 : pod_fail_errno(err, POD_PAUSE, reason, "signals");
}

static int go_on_by_signals(pid_t child, struct pod_err *err)
{
    int failed = send_inside(child, SIGCONT, err);

    kill(child, SIGCONT);
    return failed;
}

static int stop_by_signals(const struct pod_plan *plan, pid_t child, struct pod_err *err)
{
    struct pod_err ignored;

    if (!(pod_plan_u64(plan, POD_KEY_NAMESPACES) & CLONE_NEWPID))
        return pod_fail_errno(err, POD_PAUSE, EOPNOTSUPP, "pid namespace");
    /* Process 1 takes no SIGSTOP from within its namespace; from ours it does. */
    if (kill(child, SIGSTOP))
        return pod_fail(err, POD_PAUSE, "process 1");
    if (send_inside(child, SIGSTOP, err) == 0)
        return 0;
    go_on_by_signals(child, &ignored);
    return -1;
}

/* --- either way ------------------------------------------------------------------------------------------------ */

int pod_pause(struct pod_pause *pause, const struct pod_plan *plan, pid_t child,
              struct pod_err *err)
{
    uint64_t own = pod_plan_u64(plan, POD_KEY_NAMESPACES);
    /* With another container's pids (share.h) its user namespace is shared too: then only the mounts tell them apart. */
    const char *kind = own & CLONE_NEWPID ? "pid" : own & CLONE_NEWUSER ? "user" : "mnt";
    struct pod_err ignored;

    if (pod_freezer_open(pause, plan, child) == 0) {
        if (pod_freezer_stop(pause, child, kind, err) == 0) {
            pause->way = POD_PAUSE_FREEZER;
            return 0;
        }
        pod_freezer_go_on(pause, &ignored);
    }
    if (stop_by_signals(plan, child, err))
        return -1;
    pause->way = POD_PAUSE_SIGNALS;
    return 0;
}

int pod_pause_end(struct pod_pause *pause, pid_t child, struct pod_err *err)
{
    enum pod_pause_way way = pause->way;

    pause->way = POD_PAUSE_NOT;
    return way == POD_PAUSE_FREEZER   ? pod_freezer_go_on(pause, err)
           : way == POD_PAUSE_SIGNALS ? go_on_by_signals(child, err)
                                      : 0;
}

void pod_pause_forget(struct pod_pause *pause)
{
    struct pod_err ignored;

    if (pause->way == POD_PAUSE_FREEZER)
        pod_freezer_go_on(pause, &ignored);
    pause->way = POD_PAUSE_NOT;
}
