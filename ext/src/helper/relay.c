#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "clock.h"
#include "ended.h"
#include "hangup.h"
#include "restart.h"

#define STALLED_MS 10000
/* A writer in a hurry fills its pipe meanwhile, and is read in one go: waking up for each of its lines costs more than these. */
#define HURRIED 8192
#define PIPE_SIZE (1 << 20)
#define REST_MS 2

void pod_relay_init(struct pod_relay *relay)
{
    relay->listener = relay->signals = relay->in = relay->out[0] = relay->out[1] = -1;
    pod_log_init(&relay->log);
    for (int i = 0; i < POD_CLIENTS_MAX; i++)
        relay->clients[i].fd = -1;
}

static void drop(struct pod_relay *relay, struct pod_client *client)
{
    if (relay->network)
        pod_network_forget(relay->network, client->fd);
    close(client->fd);
    *client = (struct pod_client){.fd = -1};
}

void pod_relay_add(struct pod_relay *relay, int fd, unsigned streams, int primary)
{
    for (int i = 0; i < POD_CLIENTS_MAX; i++) {
        struct pod_client *client = &relay->clients[i];
        if (client->fd >= 0)
            continue;
        *client = (struct pod_client){.fd = fd, .streams = streams, .primary = primary};
        if (pod_frame_send(fd, POD_FRAME_HELLO, 0, POD_PROTOCOL, NULL, 0) < 0)
            drop(relay, client);
        return;
    }
    close(fd); /* too many: it sees the end and says so */
}

static void tell(struct pod_relay *relay, struct pod_client *client, int type, uint32_t value)
{
    int64_t since = pod_now_ms();

    while (pod_frame_send(client->fd, type, 0, value, NULL, 0) < 0) {
        struct pollfd slot = {.fd = client->fd, .events = POLLOUT};
        int full = errno == EAGAIN || errno == ENOBUFS;
        if (!full || (!client->primary && pod_now_ms() - since > STALLED_MS)) {
            drop(relay, client);
            return;
        }
        poll(&slot, 1, 1000);
    }
}

void pod_relay_tell(struct pod_relay *relay, int type, uint32_t value)
{
    for (int i = 0; i < POD_CLIENTS_MAX; i++)
        if (relay->clients[i].fd >= 0)
            tell(relay, &relay->clients[i], type, value);
}

/* Offers the current chunk to those who want it and lack it; forgets it once all have it. */
static void offer_chunk(struct pod_relay *relay)
{
    int waiting = 0;

    for (int i = 0; relay->chunk_length && i < POD_CLIENTS_MAX; i++) {
        struct pod_client *client = &relay->clients[i];
        if (client->fd < 0 || !client->pending)
            continue;
        ssize_t sent = pod_frame_send(client->fd, POD_FRAME_OUTPUT, relay->chunk.head.stream, 0,
                                      relay->chunk.payload, relay->chunk_length);
        if (sent >= 0) {
            client->pending = 0;
            client->since = 0;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            int64_t now = pod_now_ms();
            client->since = client->since ? client->since : now;
            if (!client->primary && now - client->since > STALLED_MS)
                drop(relay, client);
            else
                waiting = 1;
        } else {
            drop(relay, client);
        }
    }
    if (!waiting)
        relay->chunk_length = 0;
}

/* Takes one chunk from the process. Returns 0 when nothing is there now. */
static int take_output(struct pod_relay *relay, int which)
{
    ssize_t got = read(relay->out[which], relay->chunk.payload, sizeof relay->chunk.payload);
    int stream = which + 1;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0) {
        /* EIO: the last descriptor of the terminal's other side is closed. A new one may be opened as long as the process lives. */
        if (relay->tty && got < 0 && errno == EIO && !relay->ended)
            return 0;
        if (!relay->tty)
            close(relay->out[which]);
        relay->out[which] = -1;
        return 0;
    }
    pod_log_write(&relay->log, stream, relay->chunk.payload, (size_t)got);
    relay->chunk.head.stream = (uint8_t)stream;
    relay->chunk_length = relay->taken = (size_t)got;
    for (int i = 0; i < POD_CLIENTS_MAX; i++)
        relay->clients[i].pending =
            relay->clients[i].fd >= 0 && (relay->clients[i].streams & (1u << stream)) != 0;
    offer_chunk(relay);
    return 1;
}

static int somebody_looks(const struct pod_relay *relay)
{
    for (int i = 0; i < POD_CLIENTS_MAX; i++)
        if (relay->clients[i].fd >= 0 && relay->clients[i].streams & 6)
            return 1;
    return 0;
}

/* All that a process has written, where nobody but the log wants it. Who is attached gets it at once. */
static void take_all_output(struct pod_relay *relay, int which)
{
    size_t all = 0;

    pod_log_burst(&relay->log, 1);
    while (all < PIPE_SIZE && !relay->chunk_length && !pod_log_holds(&relay->log) &&
           relay->out[which] >= 0 && take_output(relay, which)) {
        all += relay->taken;
        if (relay->tty || somebody_looks(relay))
            break;
    }
    pod_log_burst(&relay->log, 0);
    if (relay->tty || somebody_looks(relay))
        return;
    if (all < HURRIED || relay->out[which] < 0)
        return;
    if (!(relay->paced & 1 << which) && fcntl(relay->out[which], F_SETPIPE_SZ, PIPE_SIZE) > 0)
        relay->paced |= 1 << which;
    relay->resting |= relay->paced & 1 << which;
}

static void answer_pause(struct pod_relay *relay, struct pod_client *client, int paused)
{
    struct pod_err err;
    int failed = relay->ended || !relay->pause ? pod_fail_errno(&err, POD_PAUSE, ESRCH, "process")
                                               : relay->pause(relay->owner, paused, &err);

    if (pod_frame_send(client->fd, POD_FRAME_PAUSE, 0, failed ? (uint32_t)err.errnum : 0,
                       failed ? &err : NULL, failed ? sizeof err : 0) < 0)
        drop(relay, client);
}

/* The payload: a mask of processors, and the record's words without a NUL. */
static void answer_limits(struct pod_relay *relay, struct pod_client *client,
                          struct pod_packet *packet, size_t length)
{
    size_t mask = packet->head.value;
    int failed = EINVAL;

    if (relay->limits && mask < length && length < sizeof packet->payload) {
        packet->payload[length] = '\0';
        failed = pod_limits_change(relay->limits, relay->ended ? 0 : relay->child, packet->payload,
                                   mask, packet->payload + mask);
    }
    if (pod_frame_send(client->fd, POD_FRAME_LIMITS, 0, (uint32_t)failed, NULL, 0) < 0)
        drop(relay, client);
}

static void handle_frame(struct pod_relay *relay, struct pod_client *client,
                         struct pod_packet *packet, size_t length)
{
    struct winsize size = {0};

    switch (packet->head.type) {
    case POD_FRAME_ATTACH:
        client->streams = packet->head.value & 7;
        break;
    case POD_FRAME_INPUT:
        if (!(client->streams & 1) || !length)
            break;
        memcpy(relay->input, packet->payload, length);
        relay->input_used = length;
        relay->input_done = 0;
        client->gave = 1;
        pod_relay_push_input(relay);
        break;
    case POD_FRAME_EOF:
        if (client->streams & 1 && !relay->keep_in) {
            relay->input_eof = 1;
            pod_relay_push_input(relay);
        }
        break;
    case POD_FRAME_WINSIZE:
        size.ws_row = (unsigned short)(packet->head.value >> 16);
        size.ws_col = (unsigned short)packet->head.value;
        if (relay->tty && relay->out[0] >= 0)
            ioctl(relay->out[0], TIOCSWINSZ, &size);
        break;
    case POD_FRAME_SIGNAL:
        /* The child is ours and not reaped yet: its pid cannot mean another process. */
        if (!relay->ended && packet->head.value > 0 && packet->head.value < 65)
            kill(relay->child, (int)packet->head.value);
        break;
    case POD_FRAME_DETACH:
        relay->bound = 0;
        break;
    case POD_FRAME_QUIT:
        relay->quit = 1;
        break;
    case POD_FRAME_NETWORK:
        if (relay->network && !relay->ended)
            pod_network_ask(relay->network, client->fd, packet->head.value, packet->payload,
                            length);
        else
            pod_frame_send(client->fd, POD_FRAME_NETWORK, 0, ESRCH, NULL, 0);
        break;
    case POD_FRAME_PAUSE:
        answer_pause(relay, client, packet->head.value != 0);
        break;
    case POD_FRAME_LIMITS:
        answer_limits(relay, client, packet, length);
        break;
    default:
        drop(relay, client);
    }
}

static void serve_client(struct pod_relay *relay, struct pod_client *client)
{
    struct pod_packet packet;
    struct pod_frame next;
    ssize_t got;

    if (relay->input_used && recv(client->fd, &next, sizeof next, MSG_PEEK | MSG_DONTWAIT) > 0 &&
        next.type == POD_FRAME_INPUT) {
        client->held = 1;
        return;
    }
    got = pod_frame_receive(client->fd, &packet);
    if (got == -2)
        drop(relay, client);
    else if (got >= 0)
        handle_frame(relay, client, &packet, (size_t)got);
}

/* EVENTS is what poll(2) says of the client's socket; of one that is held, only its end is of interest. */
static void look_after(struct pod_relay *relay, struct pod_client *client, int events)
{
    if (events & POLLOUT)
        pod_relay_send_taken(client);
    if (client->held && events & (POLLHUP | POLLERR))
        drop(relay, client);
    else if (!client->held && events & (POLLIN | POLLHUP | POLLERR))
        serve_client(relay, client);
}

static void reap(struct pod_relay *relay)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    while (read(relay->signals, &info, sizeof info) == (ssize_t)sizeof info)
        ;
    /* As sub-reaper we may get processes that a --pid=host container left. */
    while ((pid = pod_next_ended(&status)) > 0)
        if (pid == relay->child) {
            relay->ended = 1;
            relay->status = status;
        } else if (pid == relay->emulator->pid) {
            relay->emulator->pid = -1; /* its number may be somebody else's now */
        } else {
            pod_health_reaped(relay->health, pid);
        }
}

static void accept_client(struct pod_relay *relay)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    /* The folder is 0700 already; a descriptor that leaked elsewhere is of no use to others. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.uid != geteuid()) {
        close(fd);
        return;
    }
    pod_relay_add(relay, fd, 0, 0);
}

/* A call waits for its answer, or an exec wants to hand its listener over. Where the emulator cannot be forked, its
 * descriptors are closed: the calls fail and do not hang. */
static void call_emulator(struct pod_relay *relay, int an_exec)
{
    struct pod_err ignored;

    if (an_exec)
        pod_emulator_start(relay->emulator, &ignored);
    else
        pod_emulator_call(relay->emulator, &ignored);
}

enum {
    SLOT_CALLS,
    SLOT_EXECS,
    SLOT_SIGNALS,
    SLOT_LISTENER,
    SLOT_OUT,
    SLOT_ERR,
    SLOT_IN,
    SLOT_HEALTH,
    SLOT_LOG,
    SLOT_NETWORK,
    SLOT_LIMITS,
    SLOT_CLIENTS
};

static int fill(struct pod_relay *relay, struct pollfd *slots)
{
    int holding = relay->chunk_length != 0 || pod_log_holds(&relay->log);
    int timeout = relay->resting ? REST_MS : -1, joined = relay->emulator->userns < 0;

    slots[SLOT_CALLS] = (struct pollfd){.fd = relay->emulator->listener, .events = POLLIN};
    slots[SLOT_EXECS] =
        (struct pollfd){.fd = joined ? -1 : relay->emulator->socket, .events = POLLIN};
    slots[SLOT_SIGNALS] = (struct pollfd){.fd = relay->signals, .events = POLLIN};
    slots[SLOT_LISTENER] = (struct pollfd){.fd = relay->listener, .events = POLLIN};
    for (int which = 0; which < 2; which++)
        slots[SLOT_OUT + which] =
            (struct pollfd){.fd = holding || relay->resting & 1 << which ? -1 : relay->out[which],
                            .events = POLLIN};
    slots[SLOT_IN] = (struct pollfd){.fd = relay->input_used ? relay->in : -1, .events = POLLOUT};
    slots[SLOT_LOG] = (struct pollfd){.fd = pod_log_waiting(&relay->log), .events = POLLOUT};
    for (int i = 0; i < POD_CLIENTS_MAX; i++) {
        struct pod_client *client = &relay->clients[i];
        short events =
            (short)((client->held ? 0 : POLLIN) | (client->pending || client->owed ? POLLOUT : 0));
        slots[SLOT_CLIENTS + i] = (struct pollfd){.fd = client->fd, .events = events};
        if (client->pending && !client->primary && !relay->resting)
            timeout = 1000;
    }
    slots[SLOT_NETWORK].fd = -1;
    if (relay->network)
        timeout = pod_network_fill(relay->network, &slots[SLOT_NETWORK], timeout);
    timeout = pod_limits_fill(relay->limits, &slots[SLOT_LIMITS], timeout);
    return pod_health_fill(relay->health, &slots[SLOT_HEALTH], timeout);
}

/* How many of the slots poll(2) has to look at: most containers have no client, or one. */
static nfds_t in_use(const struct pollfd *slots)
{
    nfds_t count = SLOT_CLIENTS + POD_CLIENTS_MAX;

    while (count > SLOT_CLIENTS && slots[count - 1].fd < 0)
        count--;
    return count;
}

/* The process is gone: whatever it wrote is in the pipes already. */
static void drain(struct pod_relay *relay)
{
    struct pollfd slots[SLOT_CLIENTS + POD_CLIENTS_MAX];

    for (int which = 0; which < 2; which++)
        for (;;) {
            while (relay->chunk_length) {
                poll(slots, SLOT_CLIENTS + POD_CLIENTS_MAX, (fill(relay, slots), 1000));
                offer_chunk(relay);
                for (int i = 0; i < POD_CLIENTS_MAX; i++)
                    if (relay->clients[i].fd >= 0 &&
                        (slots[SLOT_CLIENTS + i].revents & (POLLHUP | POLLERR)))
                        drop(relay, &relay->clients[i]);
            }
            pod_log_wait(&relay->log);
            if (relay->out[which] < 0 || !take_output(relay, which))
                break;
        }
}

/* One look at everything that may happen, waiting TIMEOUT ms for it at most (-1: as long as it takes). */
static void turn(struct pod_relay *relay, int64_t timeout)
{
    struct pollfd slots[SLOT_CLIENTS + POD_CLIENTS_MAX];
    int within = pod_trim_look(&relay->trim, pod_hangup_look(relay, fill(relay, slots)));

    if (timeout >= 0 && (within < 0 || timeout < within))
        within = (int)timeout;
    relay->resting = 0;
    if (poll(slots, in_use(slots), within) < 0)
        return;
    /* A terminal without its other side reports POLLHUP for ever: look again a little later. */
    if (relay->tty && (slots[SLOT_OUT].revents & POLLHUP) && !(slots[SLOT_OUT].revents & POLLIN) &&
        !slots[SLOT_SIGNALS].revents)
        poll(&slots[SLOT_SIGNALS], 1, 20);
    if (relay->chunk_length)
        offer_chunk(relay);
    if (slots[SLOT_SIGNALS].revents)
        reap(relay);
    for (int which = 0; which < 2; which++)
        if (!relay->chunk_length && !pod_log_holds(&relay->log) &&
            slots[SLOT_OUT + which].revents && relay->out[which] >= 0)
            take_all_output(relay, which);
    if (slots[SLOT_LOG].revents)
        pod_log_push(&relay->log);
    if (slots[SLOT_IN].revents)
        pod_relay_push_input(relay);
    for (int i = 0; i < POD_CLIENTS_MAX; i++)
        if (relay->clients[i].fd == slots[SLOT_CLIENTS + i].fd)
            look_after(relay, &relay->clients[i], slots[SLOT_CLIENTS + i].revents);
    if (slots[SLOT_LISTENER].revents)
        accept_client(relay);
    if ((slots[SLOT_CALLS].revents | slots[SLOT_EXECS].revents) & POLLIN)
        call_emulator(relay, slots[SLOT_EXECS].revents & POLLIN);
    else if (slots[SLOT_CALLS].revents) { /* nobody is left to call: it would say so for ever */
        pod_cleanup_fd(&relay->emulator->listener);
        relay->emulator->listener = -1;
    }
    pod_health_tick(relay->health, slots[SLOT_HEALTH].revents);
    pod_limits_tick(relay->limits, slots[SLOT_LIMITS].revents);
    if (relay->network)
        pod_network_tick(relay->network, slots[SLOT_NETWORK].revents);
}

void pod_relay_run(struct pod_relay *relay)
{
    for (int i = 0; i < 2; i++)
        if (relay->out[i] >= 0)
            fcntl(relay->out[i], F_SETFL, fcntl(relay->out[i], F_GETFL) | O_NONBLOCK);
    if (relay->in >= 0)
        fcntl(relay->in, F_SETFL, fcntl(relay->in, F_GETFL) | O_NONBLOCK);
    relay->ended = relay->paced = relay->resting = 0;
    while (!relay->ended)
        turn(relay, -1);
    drain(relay);
    pod_log_finish(&relay->log);
}

void pod_relay_close(struct pod_relay *relay)
{
    if (relay->in >= 0)
        close(relay->in); /* of a terminal this is out[0], too */
    for (int i = 0; i < 2; i++)
        if (relay->out[i] >= 0 && relay->out[i] != relay->in)
            close(relay->out[i]);
    relay->in = relay->out[0] = relay->out[1] = -1;
    relay->child = -1;
    relay->input_eof = 0;
    if (relay->input_used)
        pod_relay_input_taken(relay);
}

int pod_relay_wait(struct pod_relay *relay, int64_t until)
{
    relay->quit = 0;
    for (int64_t left; !relay->quit && (left = until - pod_now_ms()) > 0;)
        turn(relay, left);
    return relay->quit;
}
