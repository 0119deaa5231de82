#include "client.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "confine.h"
#include "event.h"
#include "frame.h"
#include "network.h"
#include "supervisor.h"

extern char **environ;

struct client {
    const struct pod_plan *plan;
    uint64_t flags;
    int control, signals;
    int raw; /* the terminal was changed: */
    struct termios saved;
    int input_open;
    int hangup; /* the terminal went away */
    struct pod_packet in;
    size_t in_length; /* a chunk of input that is not sent yet */
    int in_flight;    /* one that the process has not taken yet */
    int running;      /* how often it was started since we came */
    /* Of the other frames, what the socket had no room for: */
    int eof_due, winsize_due;
    uint64_t signals_due; /* bits 1 << (number - 1) */
    size_t matched;   /* bytes of the detach keys seen so far */
};

static void restore_terminal(struct client *c)
{
    if (c->raw)
        tcsetattr(0, TCSAFLUSH, &c->saved);
    c->raw = 0;
}

static void raw_terminal(struct client *c)
{
    struct termios raw;

    if (!(c->flags & POD_PLAN_TTY) || !(c->flags & POD_PLAN_ATTACH_IN) || tcgetattr(0, &c->saved))
        return;
    raw = c->saved;
    cfmakeraw(&raw);
    if (tcsetattr(0, TCSANOW, &raw) == 0)
        c->raw = 1;
}

void pod_client_explain(const struct pod_plan *plan, const struct pod_err *err)
{
    char **argv = pod_plan_strv(plan, POD_KEY_EXPLAIN, 3), **end = argv;
    char number[16];

    while (end && *end)
        end++;
    if (end && end != argv) {
        snprintf(number, sizeof number, "%d", err->errnum);
        end[0] = (char *)(uintptr_t)pod_step_name(err->step);
        end[1] = number;
        end[2] = (char *)(uintptr_t)err->path;
        execve(argv[0], argv, environ);
    }
    dprintf(2, "pod: cannot %s: %s: %s\n", pod_step_words(err->step), err->path,
            strerror(err->errnum));
}

/* 1 when the socket has no room now. That the supervisor is gone is seen on reading. */
static int refused(struct client *c, int type, uint32_t value, const char *payload, size_t length)
{
    return pod_frame_send(c->control, type, 0, value, payload, length) < 0 &&
           (errno == EAGAIN || errno == ENOBUFS);
}

static int unsent(const struct client *c)
{
    return (c->in_length && !c->in_flight) || c->eof_due || c->winsize_due || c->signals_due;
}

static int winsize_refused(struct client *c)
{
    struct winsize size;

    if (ioctl(0, TIOCGWINSZ, &size) && ioctl(1, TIOCGWINSZ, &size))
        return 0;
    return refused(c, POD_FRAME_WINSIZE, (uint32_t)size.ws_row << 16 | size.ws_col, NULL, 0);
}

/* Whatever is due and may go. */
static void push(struct client *c)
{
    for (uint32_t bit = 0; c->signals_due && bit < 64; bit++)
        if (c->signals_due >> bit & 1) {
            if (refused(c, POD_FRAME_SIGNAL, bit + 1, NULL, 0))
                return;
            c->signals_due &= ~(UINT64_C(1) << bit);
        }
    if (c->winsize_due)
        c->winsize_due = winsize_refused(c);
    if (c->in_length && !c->in_flight &&
        !refused(c, POD_FRAME_INPUT, 0, c->in.payload, c->in_length)) {
        c->in_length = 0;
        c->in_flight = 1;
    }
    if (c->eof_due && !c->in_length)
        c->eof_due = refused(c, POD_FRAME_EOF, 0, NULL, 0);
}

static void catch_signals(struct client *c)
{
    /* Not forwarded: those of job control, faults of our own, SIGCHLD, SIGPIPE (docker/cli forwards the same). */
    static const int mine[] = {SIGKILL, SIGSTOP, SIGCHLD, SIGPIPE, SIGTSTP, SIGTTIN,
                               SIGTTOU, SIGCONT, SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,
                               SIGABRT, SIGTRAP, SIGSYS,  SIGURG};
    sigset_t mask;

    sigemptyset(&mask);
    if (c->flags & POD_PLAN_SIG_PROXY) {
        sigfillset(&mask);
        for (size_t i = 0; i < sizeof mine / sizeof *mine; i++)
            sigdelset(&mask, mine[i]);
    }
    if (c->flags & POD_PLAN_TTY) {
        sigaddset(&mask, SIGWINCH);
        sigaddset(&mask, SIGHUP);
        sigaddset(&mask,
                  SIGTERM); /* also without --sig-proxy: the terminal is put back before we go */
    }
    sigprocmask(SIG_BLOCK, &mask, NULL);
    c->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void take_signal(struct client *c)
{
    struct signalfd_siginfo info;

    while (read(c->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGWINCH && c->flags & POD_PLAN_TTY)
            c->winsize_due = 1;
        else if (info.ssi_signo == SIGHUP && c->flags & POD_PLAN_TTY)
            c->hangup = 1; /* the terminal closed: detach, the container goes on */
        else if (c->flags & POD_PLAN_SIG_PROXY) {
            if (!(c->flags & POD_PLAN_EXEC))
                pod_event_kill(c->plan, (int)info.ssi_signo);
            c->signals_due |= UINT64_C(1) << ((info.ssi_signo - 1) & 63);
        } else
            c->hangup = 1;
    }
}

/* Docker's rule: the sequence is taken out of the input; a broken one is passed on. 1 = detach. */
static int filter_detach(struct client *c, const char *bytes, size_t length)
{
    uint32_t count;
    const char *keys = pod_plan_blob(c->plan, POD_KEY_DETACH_KEYS, &count);
    size_t out = 0;

    if (!keys || !count || !(c->flags & POD_PLAN_TTY)) {
        memcpy(c->in.payload, bytes, length);
        c->in_length = length;
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == keys[c->matched]) {
            if (++c->matched == count)
                return 1;
            continue;
        }
        for (size_t k = 0; k < c->matched; k++)
            c->in.payload[out++] = keys[k];
        c->matched = bytes[i] == keys[0];
        if (c->matched == count)
            return 1;
        if (!c->matched)
            c->in.payload[out++] = bytes[i];
    }
    c->in_length = out;
    return 0;
}

/* 1 = the user typed the detach keys. */
static int take_input(struct client *c)
{
    char bytes[POD_PAYLOAD_MAX];
    /* Of a terminal less: filter_detach may put back some that were held. */
    size_t room = c->flags & POD_PLAN_TTY ? sizeof bytes / 2 : sizeof bytes;
    ssize_t got = read(0, bytes, room);

    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (got <= 0) {
        c->input_open = 0;
        c->eof_due = 1;
        return 0;
    }
    return filter_detach(c, bytes, (size_t)got);
}

static void write_all(int fd, const char *bytes, size_t length)
{
    while (length) {
        ssize_t wrote = write(fd, bytes, length);
        if (wrote < 0 && errno == EAGAIN) {
            /* The caller's descriptor does not wait: we do. */
            struct pollfd slot = {.fd = fd, .events = POLLOUT};
            poll(&slot, 1, -1);
            continue;
        }
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return; /* EPIPE kills us, as it would a program run directly; a full disk is the caller's */
        bytes += wrote;
        length -= (size_t)wrote;
    }
}

static void said_running(struct client *c)
{
    if (c->flags & POD_PLAN_TTY)
        c->winsize_due = 1; /* it may have changed since the plan was written */
    if (c->running++)
        return; /* it was started again */
    /* The record says "running" now: others may look at the container again. */
    if (pod_plan_has(c->plan, POD_KEY_LOCK))
        close((int)pod_plan_u64(c->plan, POD_KEY_LOCK));
    const char *warning = pod_plan_str(c->plan, POD_KEY_WARNING),
               *text = pod_plan_str(c->plan, POD_KEY_PRINT);

    if (warning)
        write_all(2, warning, strlen(warning));
    if (c->flags & POD_PLAN_DETACH && text)
        write_all(1, text, strlen(text));
}

static void said_basic(int reason)
{
    dprintf(2, "pod: root emulation: basic instead of full: %s\n",
            reason == EBUSY
                ? "this is a container of another pod or engine, which watches calls already"
                : strerror(reason));
}

/* The exit status to end with, or -1 to go on. */
static int take_frame(struct client *c)
{
    struct pod_packet packet;
    struct pod_err err;
    ssize_t got = pod_frame_receive(c->control, &packet);

    if (got == -1)
        return -1;
    if (got == -2) {
        restore_terminal(c);
        pod_fail_errno(&err, POD_WAIT, ESRCH, "supervisor");
        pod_client_explain(c->plan, &err);
        return 125;
    }
    switch (packet.head.type) {
    case POD_FRAME_RUNNING:
        said_running(c);
        return c->flags & POD_PLAN_DETACH ? 0 : -1;
    case POD_FRAME_BASIC:
        said_basic((int)packet.head.value);
        return -1;
    case POD_FRAME_TAKEN:
        c->in_flight = 0;
        return -1;
    case POD_FRAME_OUTPUT:
        write_all(packet.head.stream == 2 ? 2 : 1, packet.payload, (size_t)got);
        return -1;
    case POD_FRAME_EXIT:
        return (int)(packet.head.value & 0xff);
    case POD_FRAME_FAILED:
        restore_terminal(c);
        memcpy(&err, packet.payload, sizeof err);
        err.path[sizeof err.path - 1] = '\0';
        pod_client_explain(c->plan, &err);
        return 125;
    default:
        return -1; /* of a newer supervisor */
    }
}

/* A monitor whose client merely vanishes ends its process. It takes frames at any time, so this does not wait for long. */
static void tell_detached(struct client *c)
{
    struct pollfd slot = {.fd = c->control, .events = POLLOUT};

    while (refused(c, POD_FRAME_DETACH, 0, NULL, 0))
        poll(&slot, 1, -1);
}

/* The status. docker/cli: attach and exec fail with the escape error, run and start take it for the end. */
static int leave_detached(const struct client *c)
{
    static const char words[] = "read escape sequence\n";

    if (!(c->flags & POD_PLAN_SAY_DETACHED))
        return 0;
    if (write(2, words, sizeof words - 1) < 0)
        return 1; /* nobody listens: the status tells */
    return 1;
}

enum { SLOT_CONTROL, SLOT_SIGNALS, SLOT_INPUT, SLOTS };

static int relay(struct client *c)
{
    struct pollfd slots[SLOTS];

    for (;;) {
        int want_input = c->input_open && !c->in_length;
        slots[SLOT_CONTROL] = (struct pollfd){
            .fd = c->control, .events = (short)(POLLIN | (unsent(c) ? POLLOUT : 0))};
        slots[SLOT_SIGNALS] = (struct pollfd){.fd = c->signals, .events = POLLIN};
        slots[SLOT_INPUT] = (struct pollfd){.fd = want_input ? 0 : -1, .events = POLLIN};
        if (poll(slots, SLOTS, -1) < 0)
            continue;
        if (slots[SLOT_SIGNALS].revents)
            take_signal(c);
        if (c->hangup) {
            restore_terminal(c);
            return 129;
        }
        if (slots[SLOT_CONTROL].revents & (POLLIN | POLLHUP | POLLERR)) {
            int status = take_frame(c);
            if (status >= 0)
                return status;
        }
        if (slots[SLOT_INPUT].revents && take_input(c)) {
            restore_terminal(c);
            if (c->flags & POD_PLAN_EXEC)
                tell_detached(c);
            return leave_detached(c);
        }
        push(c);
    }
}

static int attach(const struct pod_plan *plan, int control)
{
    struct client *c = calloc(1, sizeof *c);

    if (!c)
        return 125;
    c->plan = plan;
    c->flags = pod_plan_u64(plan, POD_KEY_FLAGS);
    c->control = control;
    c->input_open = (c->flags & POD_PLAN_ATTACH_IN) != 0;
    signal(SIGPIPE, SIG_DFL); /* Python ignores it, and exec keeps that */
    catch_signals(c);
    raw_terminal(c);
    int status = relay(c);
    restore_terminal(c);
    free(c);
    return status;
}

/* In the supervisor-to-be: nothing of the caller stays open; CONTROL becomes 3, NETD, if there is one, 4. */
static void leave_caller(int control, int netd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = 0; null >= 0 && fd < 3; fd++)
        dup2(null, fd);
    if (netd >= 0) { /* either may have the other's number */
        netd = fcntl(netd, F_DUPFD, 5);
        control = fcntl(control, F_DUPFD, 5);
        dup2(netd, 4);
    }
    dup2(control, 3);
    pod_close_from(netd >= 0 ? 5 : 4);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    if (netd >= 0)
        fcntl(4, F_SETFD, FD_CLOEXEC);
    if (chdir("/"))
        _exit(1);
}

int pod_client_run(const struct pod_plan *plan)
{
    struct pod_err err, no_netd = {.step = POD_NONE};
    int pair[2], netd = -1;

    if (pod_plan_u64(plan, POD_KEY_FLAGS) & POD_PLAN_BOUND)
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    /* Told by the supervisor, who takes away what is there of the container already. */
    if (pod_plan_has(plan, POD_KEY_NET) && (netd = pod_network_connect(plan, NULL, &err)) < 0)
        no_netd = err;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
        pod_fail(&err, POD_SOCKET, NULL);
        pod_client_explain(plan, &err);
        return 125;
    }
    pod_event_client(plan);
    pid_t child = fork();
    if (child < 0) {
        pod_fail(&err, POD_FORK, NULL);
        pod_client_explain(plan, &err);
        return 125;
    }
    if (child == 0) {
        leave_caller(pair[1], netd);
        pod_confine_share_keyring();
        pod_supervise(plan, 3, netd < 0 ? -1 : 4, &no_netd);
    }
    close(pair[1]);
    pod_cleanup_fd(&netd);
    return attach(plan, pair[0]);
}

int pod_client_join(const struct pod_plan *plan, int control)
{
    uint64_t flags = pod_plan_u64(plan, POD_KEY_FLAGS);
    uint32_t streams = (flags & POD_PLAN_ATTACH_IN ? 1u : 0) |
                       (flags & POD_PLAN_ATTACH_OUT ? 2u : 0) |
                       (flags & POD_PLAN_ATTACH_ERR ? 4u : 0);
    uint64_t size = pod_plan_u64(plan, POD_KEY_WINSIZE);

    pod_event_client(plan);
    pod_frame_send(control, POD_FRAME_ATTACH, 0, streams, NULL, 0);
    if (size)
        pod_frame_send(control, POD_FRAME_WINSIZE, 0, (uint32_t)size, NULL, 0);
    return attach(plan, control);
}
