/* One probe: its monitor is forked, and it is ended with its descendants. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "health.h"
#include "supervisor.h"
#include "userns.h"

#define SOCKET_FD 3
#define ROUNDS 64
#define CHILDREN_MAX 256

static void take_place(struct pod_plan *plan, int key, int by, uint32_t at, uint32_t length)
{
    plan->offset[key] = plan->offset[by] + at;
    plan->length[key] = length;
}

/* Those of NAMESPACES that are not ours: --pid container:X says "another's", and X may have the host's. */
static uint64_t not_ours(uint64_t namespaces, pid_t child)
{
    static const struct {
        uint64_t flag;
        const char *name;
    } shared[] = {{CLONE_NEWPID, "pid"}, {CLONE_NEWIPC, "ipc"}};
    char path[40], theirs[64], ours[64];

    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        snprintf(path, sizeof path, "/proc/%ld/ns/%s", (long)child, shared[i].name);
        ssize_t one = readlink(path, theirs, sizeof theirs);
        snprintf(path, sizeof path, "/proc/self/ns/%s", shared[i].name);
        ssize_t other = readlink(path, ours, sizeof ours);
        if (one > 0 && one == other && !memcmp(theirs, ours, (size_t)one))
            namespaces &= ~shared[i].flag;
    }
    return namespaces;
}

/* The container's plan as an exec's: what it is confined by stays, what it makes and owns goes. */
static void become_exec(struct pod_plan *plan, int dirfd, pid_t child)
{
    static const int foreign[] = {POD_KEY_DIR,   POD_KEY_LOCK,      POD_KEY_REMOVE,   POD_KEY_TRASH,
                                  POD_KEY_PRINT, POD_KEY_WARNING,   POD_KEY_HEALTH,   POD_KEY_NET,
                                  POD_KEY_NETD,  POD_KEY_NET_HOSTS, POD_KEY_NET_APART};
    uint32_t length;
    struct pod_health_settings *settings =
        (struct pod_health_settings *)(uintptr_t)pod_plan_blob(plan, POD_KEY_HEALTH, &length);

    /* The plan's map is private and writable, and this process is about to be nothing but this probe. */
    settings->namespaces = not_ours(settings->namespaces, child);
    settings->pid = (uint64_t)child;
    settings->pid_start = pod_process_start(child);
#define PLACE(key, field) \
    take_place(plan, key, POD_KEY_HEALTH, offsetof(struct pod_health_settings, field), 8)
    PLACE(POD_KEY_FLAGS, flags);
    PLACE(POD_KEY_NAMESPACES, namespaces);
    PLACE(POD_KEY_PID, pid);
    PLACE(POD_KEY_PID_START, pid_start);
#undef PLACE
    take_place(plan, POD_KEY_ARGV, POD_KEY_HEALTH_ARGV, 0, plan->length[POD_KEY_HEALTH_ARGV]);
    /* With real ids: devices were made in this run, which stat is to show (as planning.exec_plan decides it). */
    if (!(settings->flags & POD_PLAN_SINGLE_ID) && pod_plan_has(plan, POD_KEY_FEWER) &&
        !faccessat(dirfd, "owners", F_OK, AT_SYMLINK_NOFOLLOW))
        take_place(plan, POD_KEY_NOTIFY, POD_KEY_FEWER, 0, plan->length[POD_KEY_FEWER]);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        plan->offset[foreign[i]] = plan->length[foreign[i]] = 0;
}

int pod_health_fork(const struct pod_plan *plan, int dirfd, pid_t child, pid_t *monitor)
{
    int pair[2];
    pid_t parent = getpid();

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return -1;
    *monitor = fork();
    if (*monitor == 0) {
        struct pod_plan probe = *plan;
        const struct pod_err none = {.step = POD_NONE};
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() != parent)
            _exit(1);
        become_exec(&probe, dirfd, child);
        /* Nothing of the supervisor's: its clients would not see its end otherwise. */
        if (dup3(pair[1], SOCKET_FD, O_CLOEXEC) < 0 && pair[1] != SOCKET_FD)
            _exit(1);
        pod_close_from(SOCKET_FD + 1);
        pod_supervise(&probe, SOCKET_FD, -1, &none);
    }
    close(pair[1]);
    if (*monitor > 0)
        return pair[0];
    close(pair[0]);
    *monitor = 0;
    return -1;
}

char pod_process_state(pid_t pid)
{
    char path[40], text[512];

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    POD_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    const char *end = strrchr(text, ')');
    return end && end[1] == ' ' ? end[2] : '\0';
}

int pod_process_lives(pid_t pid)
{
    char state = pod_process_state(pid);
    return state && state != 'Z' && state != 'X';
}

/* The children of one thread: /proc/PID/task/TID/children, "1 2 3 ". What does not fit is for the next round. */
static int read_children(int task, const char *thread, pid_t *found, int room)
{
    char path[64], text[CHILDREN_MAX * 8];
    int count = 0;

    snprintf(path, sizeof path, "%.20s/children", thread);
    POD_AUTO_FD int fd = openat(task, path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    char *last = strrchr(text, ' '); /* a number that was cut is none */
    if (!last)
        return 0;
    *last = '\0';
    for (char *at = text; *at && count < room; at += strspn(at, " "))
        found[count++] = (pid_t)strtol(at, &at, 10);
    return count;
}

static int list_children(pid_t pid, pid_t *found, int room)
{
    char path[40];
    int count = 0;

    snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    for (struct dirent *entry; count < room && (entry = readdir(folder));)
        if (entry->d_name[0] != '.')
            count += read_children(dirfd(folder), entry->d_name, found + count, room - count);
    closedir(folder);
    return count;
}

/* PID is stopped, and reaper of its descendants (supervisor.c): who is killed hands his children over to it, and stays a
 * zombie whose number nobody else can have. So each round kills one generation. */
static void kill_below(pid_t pid)
{
    pid_t children[CHILDREN_MAX];

    for (int round = 0; round < ROUNDS; round++) {
        int count = list_children(pid, children, CHILDREN_MAX), living = 0;
        for (int i = 0; i < count; i++)
            if (pod_process_lives(children[i])) {
                living = 1;
                kill(children[i], SIGKILL);
            }
        if (!living)
            return;
        usleep(500);
    }
}

/* A monitor that is stopped reaps nobody: the number of its child stays that child's. 1, or 0 where it has ended by itself
 * (it is reaped now) or hangs in the kernel. */
static int stop_monitor(pid_t monitor)
{
    int status = 0;

    kill(monitor, SIGSTOP);
    for (int round = 0; round < ROUNDS; round++) {
        pid_t got = waitpid(monitor, &status, WUNTRACED | WNOHANG);
        if (got == monitor || (got < 0 && errno != EINTR))
            return got == monitor && WIFSTOPPED(status);
        usleep(500);
    }
    return 0;
}

int pod_health_kill(pid_t monitor)
{
    pid_t agents[2];
    int count = stop_monitor(monitor) ? list_children(monitor, agents, 2) : 0;

    for (int i = 0; i < count; i++) {
        kill(agents[i], SIGSTOP);
        kill_below(agents[i]);
        kill(agents[i], SIGKILL);
    }
    /* Not by its number where it was reaped already: that may be another process by now. */
    pid_t got = waitpid(monitor, NULL, WNOHANG);
    if (got == 0)
        kill(monitor, SIGKILL);
    return got != 0;
}
