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

#include "clock.h"
#include "emulator.h"
#include "event.h"
#include "hangup.h"
#include "join.h"
#include "launch.h"
#include "limiting.h"
#include "network.h"
#include "pause.h"
#include "relay.h"
#include "removal.h"
#include "restart.h"
#include "share.h"
#include "spaces.h"
#include "state.h"
#include "userns.h"

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
    struct pod_restart restart;
    struct pod_network network;
    uint64_t mounts; /* the mount namespace, where the first process is no process 1 */
    struct pod_pause pause;
    struct pod_limits limits;
    int ours[3]; /* the supervisor's ends of the container's pipes */
};

/* With sub-ids the supervisor lives in the mapped namespace: it pins it, and it may write identity maps and remove files of any id. */
static int live_in_mapped_namespace(struct supervisor *s, struct pod_err *err)
{
    if (!s->map.newuidmap)
        return 0;
    POD_AUTO_FD int nsfd = pod_network_namespace(&s->network, s->plan, &s->map, err);
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

static int start_container(struct supervisor *s, struct pod_err *err)
{
    uint64_t namespaces = pod_limits_namespaces(s->plan);
    int shares = pod_plan_has(s->plan, POD_KEY_SHARE);
    pid_t child = -1;

    if (pod_groups_make(&s->limits.groups, s->plan, s->dirfd, err))
        return -1;
    if (shares) {
        if (pod_share_start(&s->launch, namespaces, &child, &s->mounts, err))
            return -1;
    } else if ((child = pod_groups_clone(&s->limits.groups, namespaces, s->launch.sync[1])) < 0) {
        return pod_fail(err, POD_CLONE, NULL);
    }
    if (child == 0)
        pod_launch_container(&s->launch);
    s->relay.child = child;
    if (!shares && (s->flags & POD_PLAN_APART || pod_plan_has(s->plan, POD_KEY_NOTIFY)) &&
        pod_emulator_namespaces(&s->emulator, child, err))
        return -1;
    if (!shares && !(namespaces & CLONE_NEWPID))
        s->mounts = pod_share_mounts(child);
    if ((namespaces & CLONE_NEWUSER) && s->has_map && pod_userns_write_maps(child, &s->map, err))
        return -1;
    if (pod_limits_hold(&s->limits, s->plan, child, err))
        return -1;
    /* EPIPE: it has ended already, and said why. */
    if (send(s->launch.sync[0], "G", 1, MSG_NOSIGNAL) != 1 && errno != EPIPE)
        return pod_fail(err, POD_SOCKET, "go");
    return 0;
}

static int start_joined(struct supervisor *s, struct pod_err *err)
{
    if (pod_plan_has(s->plan, POD_KEY_NOTIFY))
        pod_emulator_connect(&s->emulator);
    /* The join makes this process part of the container's namespaces but for the pid namespace, which only its children enter. */
    if (pod_limits_join(s->plan, err) ||
        pod_join(s->plan, s->launch.host_proc, &s->launch.inner, err))
        return -1;
    if (s->flags & POD_PLAN_PROBE)
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* joining cleared it */
    pid_t child = fork();
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

/* One start of the process; also each later one, for which nothing of the run before may be left. */
static int start(struct supervisor *s, struct pod_err *err)
{
    int terminal = -1, joined = (s->flags & POD_PLAN_EXEC) != 0;

    pod_emulator_prepare(&s->emulator);
    s->launch.emulator = &s->emulator;
    s->launch.network = s->network.plan ? &s->network : NULL;
    s->launch.has_devices = pod_plan_has(s->plan, POD_KEY_FEWER) && s->dirfd >= 0 &&
                            !faccessat(s->dirfd, "owners", F_OK, AT_SYMLINK_NOFOLLOW);
    if (pod_launch_prepare(&s->launch, s->plan, err) ||
        pod_spaces_stdio(s->flags, s->launch.stdio, s->ours, err))
        return -1;
    if (!joined && pod_log_open(&s->relay.log, s->plan, s->dirfd, err))
        return -1;
    if (joined ? start_joined(s, err) : start_container(s, err))
        return -1;
    for (int i = 0; i < 3; i++)
        pod_cleanup_fd(&s->launch.stdio[i]);
    if (pod_emulator_listen(&s->emulator, err) ||
        pod_launch_await(&s->launch, s->relay.child, &terminal, err))
        return -1;
    close(s->launch.host_proc);
    s->relay.tty = terminal >= 0;
    s->relay.in = terminal >= 0 ? terminal : s->ours[0];
    s->relay.out[0] = terminal >= 0 ? terminal : s->ours[1];
    s->relay.out[1] = terminal >= 0 ? -1 : s->ours[2];
    s->relay.keep_in = (s->flags & POD_PLAN_DETACH) != 0;
    return 0;
}

/* The relay's: a client asked for it. The record tells first, so that no exec comes in while the processes are stopped. */
static int set_paused(void *owner, int paused, struct pod_err *err)
{
    struct supervisor *s = owner;
    struct pod_err ignored;
    int failed;

    if (s->relay.child < 0)
        return pod_fail_errno(err, POD_PAUSE, ESRCH, "process"); /* restarting */
    if (s->state.paused == paused)
        return pod_fail_errno(err, POD_PAUSE, EALREADY, paused ? "paused" : "running");
    if (paused) {
        s->state.paused = 1;
        if (pod_state_write(s->dirfd, s->plan, &s->state, err)) {
            s->state.paused = 0;
            return -1;
        }
        pod_health_hold(s->relay.health, 1);
        failed = pod_pause(&s->pause, s->plan, s->relay.child, err);
    } else {
        failed = pod_pause_end(&s->pause, s->relay.child, err);
    }
    if (!paused || failed) {
        s->state.paused = 0;
        pod_state_write(s->dirfd, s->plan, &s->state, &ignored);
        pod_health_hold(s->relay.health, 0);
    }
    return failed;
}

/* The kernel, or we, had to kill a process of the container for want of memory. */
static void out_of_memory(void *owner)
{
    struct supervisor *s = owner;
    struct pod_err ignored;

    pod_events_tell(&s->events, s->plan, "oom", NULL);
    s->state.oom_killed = 1;
    if (s->state.pid)
        pod_state_write(s->dirfd, s->plan, &s->state, &ignored);
}

/* What netd knows of the container is another now, or what holds its resources. */
static void record_changed(void *owner)
{
    struct supervisor *s = owner;
    struct pod_err ignored;

    s->state.network = s->network.state;
    s->state.limits = s->limits.words;
    if (s->state.pid)
        pod_state_write(s->dirfd, s->plan, &s->state, &ignored);
}

static int exit_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int failure_code(const struct pod_err *why)
{
    return why->step != POD_EXEC ? 125 : why->errnum == ENOENT ? 127 : 126;
}

/* --rm, but not in the middle of the user's `restart`. */
static int removes(const struct supervisor *s)
{
    return (s->flags & POD_PLAN_REMOVE) &&
           (s->dirfd < 0 || faccessat(s->dirfd, "keep", F_OK, AT_SYMLINK_NOFOLLOW));
}

/* After a start that failed. */
static void end_child(struct supervisor *s)
{
    if (s->relay.child > 0) {
        kill(s->relay.child, SIGKILL);
        while (waitpid(s->relay.child, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    s->relay.child = -1;
    pod_emulator_stop(&s->emulator, 0);
}

static _Noreturn void finish_failed(struct supervisor *s, const struct pod_err *why)
{
    struct pod_err ignored;

    end_child(s);
    pod_cleanup_fd(&s->launch.stdio[0]); /* where there were too many, what follows needs one */
    s->state.network = NULL;
    pod_network_leave(&s->network);
    if (!(s->flags & POD_PLAN_EXEC)) {
        s->state.status = "created";
        s->state.failed = 1;
        s->state.failure = *why;
        s->state.pid = 0;
        s->state.exit_code = failure_code(why);
        pod_log_now(s->state.finished);
        pod_groups_end(&s->limits.groups, s->dirfd);
        pod_removal_socket(s->plan, (s->flags & POD_PLAN_REMOVE) != 0);
        pod_state_write(s->dirfd, s->plan, &s->state, &ignored);
        if (s->flags & POD_PLAN_REMOVE) {
            pod_removal_names(s->plan, s->dirfd);
            pod_events_tell(&s->events, s->plan, "destroy", NULL);
        }
    }
    pod_network_left(&s->network);
    for (int i = 0; i < POD_CLIENTS_MAX; i++)
        if (s->relay.clients[i].fd >= 0) {
            pod_frame_send(s->relay.clients[i].fd, POD_FRAME_FAILED, 0, 0, why, sizeof *why);
            shutdown(s->relay.clients[i].fd, SHUT_RDWR);
        }
    if (s->map.newuidmap && !(s->flags & POD_PLAN_EXEC))
        pod_userns_unpin(&s->map);
    if (s->flags & POD_PLAN_REMOVE)
        pod_removal_bytes(s->plan);
    _exit(1);
}

static _Noreturn void finish(struct supervisor *s)
{
    struct pod_err ignored;
    int removed = removes(s);

    pod_network_leave(&s->network);
    if (!(s->flags & POD_PLAN_EXEC)) {
        /* All before the clients hear of the end: who waited for it finds nothing of this run. The socket goes before the
         * record says that the container may be started again. */
        pod_cleanup_fd(&s->relay.listener);
        removed &= !pod_groups_end(&s->limits.groups, s->dirfd); /* else the next command does */
        pod_removal_socket(s->plan, removed);
        s->state.status = "exited";
        s->state.restarting = 0;
        pod_state_write(s->dirfd, s->plan, &s->state, &ignored);
        if (removed) {
            pod_removal_names(s->plan, s->dirfd);
            pod_events_tell(&s->events, s->plan, "destroy", NULL);
        }
        if (s->map.newuidmap)
            pod_userns_unpin(&s->map);
    }
    pod_network_left(&s->network);
    pod_relay_tell(&s->relay, POD_FRAME_EXIT, (uint32_t)s->state.exit_code);
    for (int i = 0; i < POD_CLIENTS_MAX; i++)
        if (s->relay.clients[i].fd >= 0)
            close(s->relay.clients[i].fd);
    pod_cleanup_fd(&s->emulator.mntns); /* its mounts end: near half a millisecond */
    if (removed)
        pod_removal_bytes(s->plan);
    _exit(0);
}

/* The process runs: the record and the clients hear of it. One without a record would be nobody's to stop: an error. */
static int running(struct supervisor *s, struct pod_err *err)
{
    if (!(s->flags & POD_PLAN_EXEC)) {
        s->state.status = "running";
        s->state.restarting = 0;
        if (pod_plan_has(s->plan, POD_KEY_NOTIFY) && (s->flags & POD_PLAN_SINGLE_ID))
            s->state.emulation = s->launch.basic ? "basic" : "full";
        s->state.pid = s->relay.child;
        s->state.pid_start = pod_process_start(s->relay.child);
        s->state.exit_code = s->state.oom_killed = 0;
        s->state.network = s->network.state;
        pod_log_now(s->state.started);
        if (pod_state_write(s->dirfd, s->plan, &s->state, err))
            return -1;
        pod_health_begin(s->relay.health, s->relay.child);
        pod_limits_begin(&s->limits, s->relay.child);
        pod_restart_began(&s->restart);
        pod_event_volumes(&s->events, s->plan, "mount");
        pod_event_start(&s->events, s->plan, &s->network);
    } else {
        pod_event_exec(&s->events, s->plan, "exec_start", s->exec_id);
    }
    pod_relay_tell(&s->relay, POD_FRAME_RUNNING, (uint32_t)s->relay.child);
    return 0;
}

/* The process is gone: nothing of it stays, but what the clients hold. */
static void ended(struct supervisor *s)
{
    pod_health_end(s->relay.health);
    pod_share_end(s->mounts);
    s->mounts = 0;
    pod_network_release(&s->network);
    s->state.network = NULL;
    pod_pause_forget(&s->pause);
    pod_limits_ended(&s->limits);
    pod_emulator_stop(&s->emulator, s->flags & POD_PLAN_APART && removes(s));
    s->state.exit_code = exit_code(s->relay.status);
    if (s->flags & POD_PLAN_EXEC) {
        pod_event_die(&s->events, s->plan, s->state.exit_code, 0, s->exec_id, NULL);
    } else {
        pod_event_die(&s->events, s->plan, s->state.exit_code, s->state.pid_start, NULL,
                      &s->network);
        pod_event_volumes(&s->events, s->plan, "unmount");
    }
    s->state.pid = 0;
    s->state.pid_start = 0;
    s->state.paused = 0;
    pod_log_now(s->state.finished);
    pod_relay_close(&s->relay);
    free(s->launch.argv);
    free(s->launch.env);
    free(s->launch.groups);
    memset(&s->launch, 0, sizeof s->launch);
}

/* Starts the process again if the policy wants it, after its pause. 0 when it runs; -1: this was the end. */
static int again(struct supervisor *s)
{
    struct pod_err err, ignored;
    int64_t pause = s->flags & POD_PLAN_EXEC
                        ? -1
                        : pod_restart_pause(&s->restart, s->dirfd, s->state.exit_code);

    if (pause < 0)
        return -1;
    s->state.restarting = 1;
    s->state.restarts = s->restart.count;
    pod_state_write(s->dirfd, s->plan, &s->state, &ignored);
    pod_relay_tell(&s->relay, POD_FRAME_AGAIN, (uint32_t)s->state.exit_code);
    if (pod_relay_wait(&s->relay, pod_now_ms() + pause) || pod_restart_stopped(s->dirfd))
        return -1;
    pod_emulator_init(&s->emulator, s->plan, s->dirfd);
    if (start(s, &err) || running(s, &err)) {
        s->state.failed = 1;
        s->state.failure = err;
        s->state.exit_code = failure_code(&err);
        pod_log_now(s->state.finished);
        end_child(s);
        pod_network_release(&s->network);
        s->state.network = NULL;
        return -1;
    }
    return 0;
}

/* What all starts have in common. */
static int settle_in(struct supervisor *s, struct pod_err *err)
{
    if (s->flags & POD_PLAN_EXEC)
        return 0;
    return live_in_mapped_namespace(s, err) || listen_for_clients(s, err) ? -1 : 0;
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

_Noreturn void pod_supervise(const struct pod_plan *plan, int control, int netd,
                             const struct pod_err *no_netd)
{
    /* Some hundred kilobytes of buffers: pages that are never touched cost nothing. */
    struct supervisor *s = calloc(1, sizeof *s);
    const char *folder = pod_plan_str(plan, POD_KEY_DIR);
    struct pod_err err;

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
    s->has_map = pod_spaces_map(plan, &s->map);
    pod_events_open(&s->events, plan, (s->flags & POD_PLAN_EXEC) != 0);
    if (s->flags & POD_PLAN_EXEC) {
        pod_event_new_id(s->exec_id);
        pod_event_exec(&s->events, plan, "exec_create", s->exec_id);
    }
    s->dirfd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
    pod_emulator_init(&s->emulator, plan, s->dirfd);
    s->relay.emulator = &s->emulator;
    memcpy(s->state.started, "0001-01-01T00:00:00Z", 21);
    memcpy(s->state.finished, "0001-01-01T00:00:00Z", 21);
    int failed = pod_network_init(&s->network, plan, s->dirfd, netd, &err);
    if (folder && s->dirfd < 0)
        failed = pod_fail(&err, POD_STATE, folder);
    if (failed || no_netd->step != POD_NONE)
        finish_failed(s, failed ? &err : no_netd);
    if (!(s->flags & POD_PLAN_EXEC)) {
        s->relay.health = pod_health_new(plan, s->dirfd);
        s->relay.pause = set_paused;
        s->relay.owner = s;
        s->relay.network = &s->network;
        s->relay.limits = &s->limits;
        pod_limits_init(&s->limits, plan, s->dirfd);
        s->limits.killed = out_of_memory;
        s->limits.owner = s;
        s->limits.changed = s->network.changed = record_changed;
        s->network.owner = s;
    }
    pod_restart_init(&s->restart, plan);
    if (watch_children(s, &err) || settle_in(s, &err) || start(s, &err))
        finish_failed(s, &err);
    if (s->launch.basic)
        pod_relay_tell(&s->relay, POD_FRAME_BASIC, (uint32_t)s->launch.basic);
    s->relay.bound = (s->flags & (POD_PLAN_EXEC | POD_PLAN_BOUND)) && !(s->flags & POD_PLAN_DETACH);
    s->relay.grace = s->flags & POD_PLAN_BOUND ? 0 : POD_HANGUP_GRACE;
    if (running(s, &err))
        finish_failed(s, &err);
    do {
        if (!(s->flags & POD_PLAN_EXEC))
            pod_trim_later(&s->relay.trim);
        pod_relay_run(&s->relay);
        ended(s);
    } while (!again(s));
    finish(s);
}
