#include "supervisor.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulator.h"
#include "event.h"
#include "join.h"
#include "launch.h"
#include "relay.h"
#include "rmtree.h"
#include "state.h"
#include "userns.h"

#define FIRST_VOLUME 2 /* in REMOVE: after the record and the name */

struct supervisor {
    const struct pod_plan *plan;
    uint64_t flags;
    int dirfd; /* the container's folder */
    int has_map;
    struct pod_idmap map;
    struct pod_launch launch;
    struct pod_state state;
    struct pod_relay relay;
    struct pod_emulator emulator;
    struct pod_events events;
    char exec_id[65]; /* of an exec */
    int ours[3]; /* the supervisor's ends of the container's pipes */
};

static void read_map(struct supervisor *s)
{
    uint32_t uids, gids;

    s->map.uid = pod_plan_blob(s->plan, POD_KEY_UID_MAP, &uids);
    s->map.gid = pod_plan_blob(s->plan, POD_KEY_GID_MAP, &gids);
    s->map.uids = uids / (uint32_t)sizeof *s->map.uid;
    s->map.gids = gids / (uint32_t)sizeof *s->map.gid;
    s->map.newuidmap = pod_plan_str(s->plan, POD_KEY_NEWUIDMAP);
    s->map.newgidmap = pod_plan_str(s->plan, POD_KEY_NEWGIDMAP);
    s->map.pins = pod_plan_str(s->plan, POD_KEY_PINS);
    s->has_map = s->map.uid && s->map.gid;
}

/* With sub-ids the supervisor lives in the mapped namespace: it pins it, and it may write identity maps and remove files of any id. */
static int live_in_mapped_namespace(struct supervisor *s, struct pod_err *err)
{
    if (!s->map.newuidmap)
        return 0;
    POD_AUTO_FD int nsfd = pod_userns_open(&s->map, err);
    if (nsfd < 0 || pod_userns_join(nsfd, err))
        return -1;
    return pod_userns_pin(&s->map, err);
}

/* bind(2) by the folder's descriptor: sun_path has 108 bytes, homes are longer. */
static int listen_for_clients(struct supervisor *s, struct pod_err *err)
{
    const char *folder = pod_plan_str(s->plan, POD_KEY_SOCKET_DIR);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (!folder)
        return 0;
    POD_AUTO_FD int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir < 0)
        return pod_fail(err, POD_SOCKET, folder);
    unlinkat(dir, "ctl", 0);
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/ctl", dir);
    POD_AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 16))
        return pod_fail(err, POD_SOCKET, folder);
    s->relay.listener = pod_steal_fd(&fd);
    return 0;
}

static int make_pipe(int *reader, int *writer, struct pod_err *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return pod_fail(err, POD_OPEN, "pipe");
    *reader = ends[0];
    *writer = ends[1];
    return 0;
}

/* The container never gets a descriptor of the caller: a file behind `>> log` could be truncated, a terminal typed into. */
static int make_stdio(struct supervisor *s, struct pod_err *err)
{
    int *theirs = s->launch.stdio;

    for (int i = 0; i < 3; i++)
        s->ours[i] = theirs[i] = -1;
    if (s->flags & POD_PLAN_TTY)
        return 0;
    if (s->flags & POD_PLAN_STDIN) {
        if (make_pipe(&theirs[0], &s->ours[0], err))
            return -1;
    } else if ((theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) {
        return pod_fail(err, POD_OPEN, "/dev/null");
    }
    return make_pipe(&s->ours[1], &theirs[1], err) || make_pipe(&s->ours[2], &theirs[2], err) ? -1
                                                                                              : 0;
}

static pid_t clone_process(uint64_t namespaces)
{
    return (pid_t)syscall(SYS_clone, (unsigned long)(namespaces | SIGCHLD), 0, 0, 0, 0);
}

static int start_container(struct supervisor *s, struct pod_err *err)
{
    uint64_t namespaces = pod_plan_u64(s->plan, POD_KEY_NAMESPACES);
    pid_t child = clone_process(namespaces);

    if (child < 0)
        return pod_fail(err, POD_CLONE, NULL);
    if (child == 0)
        pod_launch_container(&s->launch);
    s->relay.child = child;
    if (pod_plan_has(s->plan, POD_KEY_NOTIFY) && pod_emulator_namespaces(&s->emulator, child, err))
        return -1;
    if ((namespaces & CLONE_NEWUSER) && s->has_map && pod_userns_write_maps(child, &s->map, err))
        return -1;
    if (send(s->launch.sync[0], "G", 1, MSG_NOSIGNAL) != 1)
        return pod_fail(err, POD_SOCKET, "go");
    return 0;
}

static int start_joined(struct supervisor *s, struct pod_err *err)
{
    if (pod_plan_has(s->plan, POD_KEY_NOTIFY))
        pod_emulator_connect(&s->emulator);
    /* The join makes this process part of the container's namespaces but for the pid namespace, which only its children enter. */
    if (pod_join(s->plan, s->launch.host_proc, &s->launch.inner, err))
        return -1;
    if (s->flags & POD_PLAN_PROBE)
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* joining cleared it */
    pid_t child = clone_process(0);
    if (child < 0)
        return pod_fail(err, POD_FORK, NULL);
    /* What a probe leaves in the background is found below it when it takes too long (health_probe.c); exec keeps this. */
    if (child == 0 && s->flags & POD_PLAN_PROBE)
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (child == 0)
        pod_launch_joined(&s->launch);
    s->relay.child = child;
    pod_cleanup_fd(&s->launch.inner);
    return 0;
}

static int start(struct supervisor *s, struct pod_err *err)
{
    int terminal = -1;
    int joined = (s->flags & POD_PLAN_EXEC) != 0;

    if (!joined && (live_in_mapped_namespace(s, err) || listen_for_clients(s, err)))
        return -1;
    if (!joined && pod_plan_has(s->plan, POD_KEY_NOTIFY) && pod_emulator_listen(&s->emulator, err))
        return -1;
    s->launch.emulator = &s->emulator;
    s->launch.has_devices = pod_plan_has(s->plan, POD_KEY_FEWER) && s->dirfd >= 0 &&
                            !faccessat(s->dirfd, "owners", F_OK, AT_SYMLINK_NOFOLLOW);
    if (pod_launch_prepare(&s->launch, s->plan, err) || make_stdio(s, err))
        return -1;
    if (!joined && pod_log_open(&s->relay.log, s->plan, s->dirfd, err))
        return -1;
    if (joined ? start_joined(s, err) : start_container(s, err))
        return -1;
    for (int i = 0; i < 3; i++)
        pod_cleanup_fd(&s->launch.stdio[i]);
    if (pod_launch_await(&s->launch, s->relay.child, &terminal, err))
        return -1;
    close(s->launch.host_proc);
    s->relay.tty = terminal >= 0;
    s->relay.in = terminal >= 0 ? terminal : s->ours[0];
    s->relay.out[0] = terminal >= 0 ? terminal : s->ours[1];
    s->relay.out[1] = terminal >= 0 ? -1 : s->ours[2];
    s->relay.keep_in = (s->flags & POD_PLAN_DETACH) != 0;
    return 0;
}

/* An anonymous volume that another container has got too stays, with word of it for core/volume/leftovers.py. */
static int keep_shared(const char *volume)
{
    POD_AUTO_FD int folder = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (folder < 0 || faccessat(folder, "shared", F_OK, AT_SYMLINK_NOFOLLOW))
        return 0;
    POD_AUTO_FD int word =
        openat(folder, "released", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return 1;
}

/* --rm: one rename each makes the container's names disappear; the bytes follow when nobody waits any more. */
static void remove_names(struct supervisor *s)
{
    const char *path = pod_plan_str(s->plan, POD_KEY_REMOVE),
               *trash = pod_plan_str(s->plan, POD_KEY_TRASH);
    uint32_t count = pod_plan_strv_count(s->plan, POD_KEY_REMOVE);
    char target[4200];

    for (uint32_t i = 0; trash && i < count; i++, path += strlen(path) + 1) {
        const char *slash = strrchr(path, '/');
        if (i >= FIRST_VOLUME && keep_shared(path))
            continue;
        snprintf(target, sizeof target, "%s/%s.%ld.%u", trash, slash ? slash + 1 : path,
                 (long)getpid(), i);
        if (rename(path, target) && errno != ENOENT)
            continue; /* the next command heals it from the exit record */
    }
}

static void remove_bytes(struct supervisor *s)
{
    const char *path = pod_plan_str(s->plan, POD_KEY_REMOVE),
               *trash = pod_plan_str(s->plan, POD_KEY_TRASH);
    uint32_t count = pod_plan_strv_count(s->plan, POD_KEY_REMOVE);
    struct pod_err ignored;
    char name[300];

    if (!trash)
        return;
    POD_AUTO_FD int folder = open(trash, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (uint32_t i = 0; folder >= 0 && i < count; i++, path += strlen(path) + 1) {
        const char *slash = strrchr(path, '/');
        snprintf(name, sizeof name, "%s.%ld.%u", slash ? slash + 1 : path, (long)getpid(), i);
        pod_rmtree(folder, name, &ignored);
    }
}

/* The folder itself, which has the lock, stays as long as the container does. */
static void remove_socket(struct supervisor *s)
{
    const char *folder = pod_plan_str(s->plan, POD_KEY_SOCKET_DIR);
    struct pod_err ignored;

    if (!folder)
        return;
    if (s->flags & POD_PLAN_REMOVE) {
        pod_rmtree(AT_FDCWD, folder, &ignored);
        return;
    }
    POD_AUTO_FD int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir >= 0) {
        unlinkat(dir, "ctl", 0);
        unlinkat(dir, "emu", 0);
        unlinkat(dir, "shown", 0);
    }
}

static int exit_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static _Noreturn void finish_failed(struct supervisor *s, const struct pod_err *why)
{
    struct pod_err ignored;

    if (s->relay.child > 0) {
        kill(s->relay.child, SIGKILL);
        while (waitpid(s->relay.child, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    pod_emulator_stop(&s->emulator);
    if (!(s->flags & POD_PLAN_EXEC)) {
        s->state.status = "created";
        s->state.failed = 1;
        s->state.failure = *why;
        s->state.pid = 0;
        s->state.exit_code = why->step != POD_EXEC ? 125 : why->errnum == ENOENT ? 127 : 126;
        pod_log_now(s->state.finished);
        remove_socket(s);
        pod_state_write(s->dirfd, s->plan, &s->state, &ignored);
        if (s->flags & POD_PLAN_REMOVE) {
            remove_names(s);
            pod_events_tell(&s->events, s->plan, "destroy", NULL);
        }
    }
    for (int i = 0; i < POD_CLIENTS_MAX; i++)
        if (s->relay.clients[i].fd >= 0) {
            pod_frame_send(s->relay.clients[i].fd, POD_FRAME_FAILED, 0, 0, why, sizeof *why);
            shutdown(s->relay.clients[i].fd, SHUT_RDWR);
        }
    if (s->map.newuidmap && !(s->flags & POD_PLAN_EXEC))
        pod_userns_unpin(&s->map);
    if (s->flags & POD_PLAN_REMOVE)
        remove_bytes(s);
    _exit(1);
}

static _Noreturn void finish(struct supervisor *s)
{
    struct pod_err ignored;

    pod_health_end(s->relay.health);
    pod_emulator_stop(&s->emulator);
    s->state.exit_code = exit_code(s->relay.status);
    if (!(s->flags & POD_PLAN_EXEC)) {
        /* All before the clients hear of the end: who waited for it finds nothing of this run. The socket goes before the
         * record says that the container may be started again. */
        pod_cleanup_fd(&s->relay.listener);
        remove_socket(s);
        s->state.status = "exited";
        pod_log_now(s->state.finished);
        pod_event_die(&s->events, s->plan, s->state.exit_code, s->state.pid_start, NULL);
        pod_event_volumes(&s->events, s->plan, "unmount");
        pod_state_write(s->dirfd, s->plan, &s->state, &ignored);
        if (s->flags & POD_PLAN_REMOVE) {
            remove_names(s);
            pod_events_tell(&s->events, s->plan, "destroy", NULL);
        }
        if (s->map.newuidmap)
            pod_userns_unpin(&s->map);
    } else {
        pod_event_die(&s->events, s->plan, s->state.exit_code, 0, s->exec_id);
    }
    pod_relay_tell(&s->relay, POD_FRAME_EXIT, (uint32_t)s->state.exit_code);
    for (int i = 0; i < POD_CLIENTS_MAX; i++)
        if (s->relay.clients[i].fd >= 0)
            close(s->relay.clients[i].fd);
    if (s->flags & POD_PLAN_REMOVE)
        remove_bytes(s);
    _exit(0);
}

static int watch_children(struct supervisor *s, struct pod_err *err)
{
    sigset_t mask;

    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL); /* only SIGKILL and SIGSTOP reach a supervisor */
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    s->relay.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->relay.signals < 0 ? pod_fail(err, POD_WAIT, "signalfd") : 0;
}

static unsigned wanted_streams(uint64_t flags)
{
    return (flags & POD_PLAN_ATTACH_IN ? 1u : 0) | (flags & POD_PLAN_ATTACH_OUT ? 2u : 0) |
           (flags & POD_PLAN_ATTACH_ERR ? 4u : 0);
}

_Noreturn void pod_supervise(const struct pod_plan *plan, int control)
{
    /* Some hundred kilobytes of buffers: pages that are never touched cost nothing. */
    struct supervisor *s = calloc(1, sizeof *s);
    const char *folder = pod_plan_str(plan, POD_KEY_DIR);
    struct pod_err err, ignored;

    if (!s)
        _exit(1);
    setsid();
    prctl(PR_SET_NAME, "pod-supervisor", 0, 0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    umask(077);
    s->plan = plan;
    s->flags = pod_plan_u64(plan, POD_KEY_FLAGS);
    pod_relay_init(&s->relay);
    s->relay.child = -1;
    pod_relay_add(&s->relay, control, wanted_streams(s->flags), 1);
    read_map(s);
    pod_events_open(&s->events, plan, (s->flags & POD_PLAN_EXEC) != 0);
    if (s->flags & POD_PLAN_EXEC) {
        pod_event_new_id(s->exec_id);
        pod_event_exec(&s->events, plan, "exec_create", s->exec_id);
    }
    s->dirfd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
    pod_emulator_init(&s->emulator, plan, s->dirfd);
    s->relay.emulator = &s->emulator;
    if (folder && s->dirfd < 0) {
        pod_fail(&err, POD_STATE, folder);
        finish_failed(s, &err);
    }
    memcpy(s->state.started, "0001-01-01T00:00:00Z", 21);
    memcpy(s->state.finished, "0001-01-01T00:00:00Z", 21);
    if (watch_children(s, &err) || start(s, &err))
        finish_failed(s, &err);
    if (!(s->flags & POD_PLAN_EXEC)) {
        s->state.status = "running";
        if (pod_plan_has(plan, POD_KEY_NOTIFY) && (s->flags & POD_PLAN_SINGLE_ID))
            s->state.emulation = s->launch.basic ? "basic" : "full";
        s->state.pid = s->relay.child;
        s->state.pid_start = pod_process_start(s->relay.child);
        pod_log_now(s->state.started);
        s->relay.health = pod_health_new(plan, s->dirfd);
        pod_health_begin(s->relay.health, s->relay.child);
        pod_state_write(s->dirfd, plan, &s->state, &ignored);
        pod_event_volumes(&s->events, plan, "mount");
        pod_events_tell(&s->events, plan, "start", NULL);
    } else {
        pod_event_exec(&s->events, plan, "exec_start", s->exec_id);
    }
    if (s->launch.basic)
        pod_relay_tell(&s->relay, POD_FRAME_BASIC, (uint32_t)s->launch.basic);
    pod_relay_tell(&s->relay, POD_FRAME_RUNNING, (uint32_t)s->relay.child);
    s->relay.bound = (s->flags & POD_PLAN_EXEC) && !(s->flags & POD_PLAN_DETACH);
    pod_relay_run(&s->relay);
    finish(s);
}
