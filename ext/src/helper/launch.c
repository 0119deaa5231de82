#include "launch.h"

#include <fcntl.h>
#include <poll.h>
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
#include <termios.h>
#include <unistd.h>

#include "beneath.h"
#include "confine.h"
#include "inner.h"
#include "mount.h"
#include "passwd.h"
#include "records.h"
#include "share.h"
#include "spaces.h"
#include "userns.h"

#define SYNC_FD 3
#define NETWORK_MS 10000 /* that netd may take to answer */
#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

static uint64_t flags(const struct pod_launch *launch)
{
    return pod_plan_u64(launch->plan, POD_KEY_FLAGS);
}

int pod_launch_prepare(struct pod_launch *launch, const struct pod_plan *plan, struct pod_err *err)
{
    launch->plan = plan;
    launch->inner = -1;
    launch->argv = pod_plan_strv(plan, POD_KEY_ARGV, 0);
    launch->env = pod_plan_strv(plan, POD_KEY_ENV, 3);
    launch->groups = pod_plan_strv(plan, POD_KEY_GROUPS, 0);
    if (!launch->argv || !launch->env || !launch->groups)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, NULL);
    if (!launch->argv[0])
        return pod_fail_errno(err, POD_PLAN, EINVAL, "ARGV");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, launch->sync))
        return pod_fail(err, POD_SOCKET, NULL);
    launch->host_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return launch->host_proc < 0 ? pod_fail(err, POD_OPEN, "/proc") : 0;
}

/* --- the child ------------------------------------------------------------------------------------------------ */

/* What the parent says, in whatever order it comes to know it. */
enum { HEARD_IDS = 1, HEARD_NETWORK = 2, HEARD_GO = 4 };

static int wait_for(struct pod_launch *launch, int what)
{
    char word;

    while (!(launch->heard & what)) {
        ssize_t got = read(launch->sync[1], &word, 1);
        if (got == 1)
            launch->heard |= word == 'G' ? HEARD_GO : word == 'K' ? HEARD_IDS : HEARD_NETWORK;
        else if (got == 0 || errno != EINTR)
            return -1;
    }
    return 0;
}

static _Noreturn void fail(struct pod_launch *launch, const struct pod_err *err)
{
    (void)!send(launch->sync[1], err, sizeof *err, MSG_NOSIGNAL);
    _exit(125);
}

static int send_terminal(int sync, int master, struct pod_err *err)
{
    return pod_send_fd(sync, "T", 1, master) ? pod_fail(err, POD_PTY, "send") : 0;
}

/* A terminal of the container's own devpts; its other side becomes stdin, stdout, stderr. ROOTFD: where dev/pts is found. */
static int open_terminal(struct pod_launch *launch, int rootfd, int console, struct pod_err *err)
{
    uint64_t size = pod_plan_u64(launch->plan, POD_KEY_WINSIZE);
    struct winsize window = {.ws_row = (unsigned short)(size >> 16),
                             .ws_col = (unsigned short)size};
    int unlock = 0;
    POD_AUTO_FD int master = pod_open_beneath(rootfd, "dev/pts/ptmx", O_RDWR | O_NOCTTY, 0, err);

    if (master < 0)
        return -1;
    if (ioctl(master, TIOCSPTLCK, &unlock))
        return pod_fail(err, POD_PTY, "unlock");
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return pod_fail(err, POD_PTY, "open");
    if (size)
        ioctl(slave, TIOCSWINSZ, &window);
    if (console) {
        POD_AUTO_FD int dev = pod_open_beneath(rootfd, "dev", O_PATH | O_DIRECTORY, 0, err);
        if (dev < 0)
            return -1;
        POD_AUTO_FD int made =
            openat(dev, "console", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        POD_AUTO_FD int target = openat(dev, "console", O_PATH | O_CLOEXEC | O_NOFOLLOW);
        if (target < 0)
            return pod_fail(err, POD_PTY, "/dev/console");
        /* By its open descriptor's link, which names the node in devpts. */
        char path[32];
        snprintf(path, sizeof path, "self/fd/%d", slave);
        POD_AUTO_FD int node = openat(launch->host_proc, path, O_PATH | O_CLOEXEC);
        if (node < 0)
            return pod_fail(err, POD_PTY, "/dev/console");
        if (pod_mount_bind(node, target, 0, 0, "/dev/console", err))
            return -1;
    }
    if (send_terminal(launch->sync[1], master, err))
        return -1;
    for (int i = 0; i < 3; i++)
        launch->stdio[i] = slave;
    return 0;
}

/* stdin, stdout, stderr in place; the sync socket on 3; everything else closed, host_proc too. */
static int settle_descriptors(struct pod_launch *launch, struct pod_err *err)
{
    int terminal = (flags(launch) & POD_PLAN_TTY) != 0;

    if (terminal && setsid() < 0 && errno != EPERM)
        return pod_fail(err, POD_PTY, "session");
    if (terminal && ioctl(launch->stdio[0], TIOCSCTTY, 0))
        return pod_fail(err, POD_PTY, "controlling terminal");
    for (int i = 0; i < 3; i++)
        if (dup2(launch->stdio[i], i) < 0)
            return pod_fail(err, POD_OPEN, "stdio");
    if (launch->sync[1] != SYNC_FD) {
        if (dup3(launch->sync[1], SYNC_FD, O_CLOEXEC) < 0)
            return pod_fail(err, POD_SOCKET, NULL);
        launch->sync[1] = SYNC_FD;
    }
    pod_close_from(SYNC_FD + 1);
    return 0;
}

static int enter_directory(const char *cwd, struct pod_err *err)
{
    char where[4096];

    if (chdir(cwd))
        return pod_fail(err, POD_CHDIR, cwd);
    /* No descriptor of the host is open any more, so no /proc/self/fd/N can lead out (CVE-2024-21626); be sure all the same. */
    if (syscall(SYS_getcwd, where, sizeof where) <= 0 || where[0] != '/')
        return pod_fail_errno(err, POD_CHDIR, EXDEV, cwd);
    return 0;
}

static int has_env(char *const *env, const char *name, size_t length)
{
    for (; *env; env++)
        if (!strncmp(*env, name, length) && (*env)[length] == '=')
            return 1;
    return 0;
}

static void add_home(struct pod_launch *launch, const char *home)
{
    char **end = launch->env;

    if (has_env(launch->env, "HOME", 4))
        return;
    snprintf(launch->home, sizeof launch->home, "HOME=%s", home);
    while (*end)
        end++;
    *end = launch->home;
}

static void own_stdio(struct pod_launch *launch, const struct pod_user *user)
{
    struct stat st;

    /* So that the user may open /dev/stdout again. Only pipes and terminals of ours, and only best effort. */
    for (int i = 0; i < 3; i++)
        if (fstat(launch->stdio[i], &st) == 0 &&
            (S_ISFIFO(st.st_mode) || isatty(launch->stdio[i])) &&
            fchown(launch->stdio[i], user->uid, (gid_t)-1))
            continue;
}

/* COOKIE in the sixth argument, which execve(2) does not have: for root nobody need look at the program (emulator.h). */
static void execute_one(const char *path, char **argv, char **env, uint64_t cookie)
{
    syscall(SYS_execve, path, argv, env, 0ul, 0ul, cookie);
}

/* PATH of the container's environment, as execvp(3) but without its allocations; errno tells why not. */
static void execute(char **argv, char **env, uint64_t cookie)
{
    char path[4096];
    const char *dirs = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    int denied = 0;

    if (strchr(argv[0], '/')) {
        execute_one(argv[0], argv, env, cookie);
        return;
    }
    for (char **e = env; *e; e++)
        if (!strncmp(*e, "PATH=", 5))
            dirs = *e + 5;
    for (;;) {
        size_t length = strcspn(dirs, ":");
        int written =
            snprintf(path, sizeof path, "%.*s/%s", (int)length, length ? dirs : ".", argv[0]);
        if (written > 0 && (size_t)written < sizeof path && argv[0][0]) {
            execute_one(path, argv, env, cookie);
            if (errno == EACCES)
                denied = 1;
            else if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
                return;
        }
        if (!dirs[length])
            break;
        dirs += length + 1;
    }
    errno = denied ? EACCES : ENOENT;
}

/* The filter whose calls the emulator answers, and word of it to the parent. From here on such calls wait, so that none is
 * made before the exec but by USER's own ids. 1: done; 0: there can be no listener, BASIC is in its place; -1. */
static int emulate(struct pod_launch *launch, const struct pod_user *user, int rootfd,
                   struct pod_err *err)
{
    int single = (flags(launch) & POD_PLAN_SINGLE_ID) != 0;
    int other = single ? pod_preload_in_force(launch->plan, rootfd) : launch->has_devices;
    struct pod_handover handover = {.kind = single && (user->uid || user->gid) ? 'U' : 'L',
                                    .uid = user->uid,
                                    .gid = user->gid,
                                    .group_count = (uint32_t)user->group_count};
    struct {
        char kind;
        int32_t reason;
    } basic = {.kind = 'B'};

    /* With real ids a container may have been started without it, and is joined without it. */
    if (!single && flags(launch) & POD_PLAN_EXEC && launch->emulator->socket < 0)
        return 0;
    POD_AUTO_FD int listener = pod_confine_notify(launch->plan, other, &basic.reason, err);

    if (listener == -2) /* with real ids devices are refused, as the kernel does: no word of it */
        return single && send(launch->sync[1], &basic, sizeof basic, MSG_NOSIGNAL) < 0
                   ? pod_fail(err, POD_SOCKET, NULL)
                   : 0;
    if (listener < 0)
        return -1;
    for (size_t i = 0; i < user->group_count; i++)
        handover.groups[i] = user->groups[i];
    if (pod_send_fd(launch->sync[1], &handover, sizeof handover, listener))
        return pod_fail(err, POD_EMULATOR, "send");
    if (handover.kind == 'U' && wait_for(launch, HEARD_IDS))
        return pod_fail_errno(err, POD_EMULATOR, ECANCELED, NULL);
    return 1;
}

/* Everything that takes power away; then the program. ROOTFD is the container's root. */
static _Noreturn void become_and_execute(struct pod_launch *launch, int rootfd)
{
    const struct pod_plan *plan = launch->plan;
    const char *cwd = pod_plan_str(plan, POD_KEY_CWD), *text = pod_plan_str(plan, POD_KEY_USER);
    uint64_t caps = pod_plan_u64(plan, POD_KEY_CAPS), bits = flags(launch);
    int single = (bits & POD_PLAN_SINGLE_ID) != 0;
    struct pod_err err;
    struct pod_user user;
    sigset_t none;

    cwd = cwd && *cwd ? cwd : "/";
    if (pod_user_lookup(rootfd, text ? text : "", launch->groups, &user, &err))
        fail(launch, &err);
    add_home(launch, user.home);
    pod_preload_environment(plan, rootfd, launch->env, launch->preload);
    int made = bits & POD_PLAN_EXEC ? -1 : pod_mkdirs_in_root(rootfd, cwd, 0755, &err);
    if (made >= 0)
        close(made); /* where it cannot be made, chdir says why */
    if (!single)
        own_stdio(launch, &user);
    int emulated = pod_plan_has(plan, POD_KEY_NOTIFY) ? emulate(launch, &user, rootfd, &err) : 0;
    if (emulated < 0)
        fail(launch, &err);
    if (single && !emulated && (user.uid || user.gid) &&
        pod_inner_enter(launch->host_proc, launch->inner, &user, &err))
        fail(launch, &err);
    if (settle_descriptors(launch, &err) || enter_directory(cwd, &err) ||
        pod_confine_rlimits(plan, &err) || pod_confine_bounding(caps, &err))
        fail(launch, &err);
    if ((bits & POD_PLAN_NO_NEW_PRIVS) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
        pod_fail(&err, POD_NO_NEW_PRIVS, NULL);
        fail(launch, &err);
    }
    if (launch->network && wait_for(launch, HEARD_NETWORK)) {
        pod_fail_errno(&err, POD_NETWORK, ECANCELED, NULL);
        fail(launch, &err);
    }
    if (!(emulated && bits & POD_PLAN_ONE_FILTER) && pod_confine_seccomp(plan, &err))
        fail(launch, &err);
    if (!single && pod_confine_ids(user.uid, user.gid, user.groups, user.group_count, &err))
        fail(launch, &err);
    if (single && emulated && user.uid && pod_confine_noroot(&err))
        fail(launch, &err);
    if (pod_confine_caps(user.uid ? 0 : caps, &err))
        fail(launch, &err);
    /* A change of ids cleared it (prctl(2)). Process 1 dies with its supervisor, an exec's program with its monitor. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(022);
    execute(launch->argv, launch->env, user.uid || user.gid ? 0 : POD_COOKIE);
    pod_fail(&err, POD_EXEC, launch->argv[0]);
    fail(launch, &err);
}

static void reset_signals(void)
{
    for (int number = 1; number < 65; number++)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, SIG_DFL);
}

/* Mounts and names: what makes the container's world, as its root. */
static int make_world(struct pod_launch *launch, int *rootfd, struct pod_err *err)
{
    const struct pod_plan *plan = launch->plan;
    uint64_t bits = flags(launch);
    int emulated = (bits & POD_PLAN_SINGLE_ID) && pod_plan_has(plan, POD_KEY_NOTIFY);

    /* In a range map the ids of outside are the overflow ones until now; for a single id this changes nothing. */
    if (!(bits & POD_PLAN_SINGLE_ID) && pod_confine_ids(0, 0, NULL, 0, err))
        return -1;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* a change of ids clears it */
    if (pod_confine_keyring(err) || pod_spaces_settle(plan, launch->host_proc, err))
        return -1;
    if (launch->network && pod_network_offer(launch->sync[1], launch->host_proc, err))
        return -1;
    *rootfd = pod_mount_root(plan, err);
    if (*rootfd < 0 || (emulated ? pod_records_mount_all(plan, launch->host_proc, *rootfd, err)
                                 : pod_mount_all(plan, *rootfd, NULL, err)))
        return -1;
    if (launch->shm > 0 && pod_share_attach(launch, *rootfd, err))
        return -1;
    pod_preload_mount(plan, *rootfd);
    if ((bits & POD_PLAN_TTY) && open_terminal(launch, *rootfd, 1, err))
        return -1;
    if (pod_mount_pivot(*rootfd, err))
        return -1;
    return bits & POD_PLAN_READ_ONLY ? pod_mount_root_rdonly(err) : 0;
}

_Noreturn void pod_launch_container(struct pod_launch *launch)
{
    struct pod_err err;
    int rootfd = -1;

    prctl(PR_SET_NAME, "pod-init", 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    close(launch->sync[0]);
    /* The end of file instead of GO: the supervisor died before the signal above was armed, or gave up. */
    if (wait_for(launch, HEARD_GO))
        _exit(125);
    /* Not earlier: the supervisor writes our id maps, and /proc files of what is not dumpable are the host root's. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    reset_signals();
    umask(0);
    if (!(flags(launch) & POD_PLAN_TTY))
        setsid();
    if (make_world(launch, &rootfd, &err))
        fail(launch, &err);
    if (flags(launch) & POD_PLAN_INIT) {
        pid_t child = fork();
        if (child < 0) {
            pod_fail(&err, POD_FORK, NULL);
            fail(launch, &err);
        }
        if (child)
            pod_reaper_main(child, launch);
        setsid();
    }
    become_and_execute(launch, rootfd);
}

_Noreturn void pod_launch_joined(struct pod_launch *launch)
{
    struct pod_err err;
    uint64_t bits = flags(launch);

    reset_signals();
    umask(0);
    if (!(bits & POD_PLAN_TTY))
        setsid();
    int rootfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (rootfd < 0) {
        pod_fail(&err, POD_OPEN, "/");
        fail(launch, &err);
    }
    if (pod_confine_keyring(&err) ||
        ((bits & POD_PLAN_TTY) && open_terminal(launch, rootfd, 0, &err)))
        fail(launch, &err);
    become_and_execute(launch, rootfd);
}

/* --- the supervisor ------------------------------------------------------------------------------------------- */

/* What the child may say before it execs (launch.h). */
union word {
    char kind;
    char sockets[2]; /* 'N', which */
    struct pod_err err;
    struct pod_handover handover;
    struct {
        char kind;
        int32_t reason;
    } basic;
};

_Static_assert(sizeof(struct pod_err) != sizeof(struct pod_handover) &&
                   sizeof(struct pod_handover) > 8 && sizeof(struct pod_err) > 8,
               "they are told apart by their size");

/* 0 to go on listening; -1 is the child's failure or our own. */
static int take_word(struct pod_launch *launch, pid_t child, union word *word, ssize_t got,
                     const int *fds, int *terminal, struct pod_err *err)
{
    if (got == 1 && fds[0] >= 0) {
        *terminal = fds[0];
    } else if (got == (ssize_t)sizeof word->err) {
        word->err.path[sizeof word->err.path - 1] = '\0';
        *err = word->err;
        return -1;
    } else if (got == (ssize_t)sizeof word->sockets && launch->network) {
        return pod_network_register(launch->network, (unsigned char)word->sockets[1], fds, err);
    } else if (got == (ssize_t)sizeof word->basic) {
        launch->basic = word->basic.reason;
    } else if (got == (ssize_t)sizeof word->handover && fds[0] >= 0) {
        char kind = word->handover.kind;
        word->handover.pid = (int32_t)child;
        if (pod_emulator_take(launch->emulator, &word->handover, fds[0], err))
            return -1;
        if (kind == 'U' && send(launch->sync[0], "K", 1, MSG_NOSIGNAL) != 1)
            return pod_fail(err, POD_EMULATOR, "go");
    }
    return 0;
}

/* Until the child says something; what netd says meanwhile is heard. */
static int await_word(struct pod_launch *launch, struct pod_err *err)
{
    struct pollfd slots[2] = {{.fd = launch->sync[0], .events = POLLIN}};
    struct pod_network *network = launch->network;

    while (network && !network->registered) {
        slots[1] = (struct pollfd){.fd = network->fd, .events = POLLIN};
        int ready = poll(slots, 2, network->registering ? NETWORK_MS : -1);
        if (ready == 0)
            return pod_fail_errno(err, POD_NETWORK, ETIMEDOUT, "netd");
        if (ready > 0 && slots[0].revents)
            return 0;
        int heard = ready > 0 ? pod_network_hear(network, err) : 0;
        if (heard < 0)
            return -1;
        if (heard > 0 && send(launch->sync[0], "N", 1, MSG_NOSIGNAL) != 1 && errno != EPIPE)
            return pod_fail(err, POD_NETWORK, "go");
    }
    return 0;
}

int pod_launch_await(struct pod_launch *launch, pid_t child, int *terminal, struct pod_err *err)
{
    union word word;

    close(launch->sync[1]);
    for (;;) {
        int fds[POD_WIRE_FDS];
        if (await_word(launch, err))
            return -1;
        ssize_t got =
            pod_rights_receive(launch->sync[0], &word, sizeof word, fds, POD_WIRE_FDS, NULL);
        /* ECONNRESET comes once, before what it said, where it ended without having read our word. */
        if (got < 0 && errno == ECONNRESET)
            continue;
        if (got < 0)
            return pod_fail(err, POD_SOCKET, NULL);
        if (got == 0)
            break;
        if (take_word(launch, child, &word, got, fds, terminal, err))
            return -1;
    }
    close(launch->sync[0]);
    return 0;
}
