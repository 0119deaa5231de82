/* Connections to netd's socket: one message, one answer. A client that does not read is not read from either. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "netd.h"

#define CONTAINER(pointer, type, member) \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))
#define SILENT_MS 30000 /* who connects and says nothing for as long is sent away */

struct connection {
    struct pod_watch watch;
    struct pod_timer silence;
    struct pod_control *control;
    struct connection *next;
    struct pod_box *box;
    int changed_due; /* CHANGED, once there is room */
    struct pod_wire *unsent; /* an answer, once there is room; nothing is read until then */
    struct pod_watch removal; /* of a DISCONNECT: answered when the interface is gone */
    uint32_t removal_serial;
    int removal_failed; /* of a CONNECT that could not be told: its failure is */
};

struct pod_control {
    struct pod_watch watch;
    struct pod_world *world;
    int program;
    struct pod_timer *look;
    const struct pod_err *failed;
    struct connection *connections;
    int count;
    struct pod_wire in, out;
};

static void end_connection(struct connection *c);

/* --- to the client ------------------------------------------------------------------------------------------------ */

static void want(struct connection *c)
{
    struct pod_err ignored;
    uint32_t events = c->unsent || c->removal.fd >= 0 ? 0 : EPOLLIN;

    if (c->unsent || c->changed_due)
        events |= EPOLLOUT;
    pod_loop_change(c->control->world->loop, &c->watch, events, &ignored);
}

/* WIRE, now or when there is room. */
static void answer(struct connection *c, struct pod_wire *wire)
{
    struct pod_err err;

    if (!pod_wire_send(c->watch.fd, wire, NULL, 0, &err))
        return;
    if (err.errnum == EAGAIN && (c->unsent = malloc(sizeof *wire))) {
        memcpy(c->unsent->packet, wire->packet, wire->used); /* the rest is never touched */
        c->unsent->used = wire->used;
        c->unsent->overflow = 0;
    }
    want(c); /* other errors are seen on reading */
}

static void put_failure(struct pod_wire *wire, const struct pod_err *err)
{
    pod_wire_text(wire, POD_ITEM_STEP, pod_step_name(err->step));
    pod_wire_number(wire, POD_ITEM_ERRNO, (uint32_t)err->errnum);
    pod_wire_text(wire, POD_ITEM_PATH, err->path);
}

static void answer_failure(struct connection *c, uint32_t serial, const struct pod_err *err)
{
    struct pod_wire *out = &c->control->out;

    pod_wire_begin(out, POD_WIRE_FAILED, serial);
    put_failure(out, err);
    answer(c, out);
}

/* -1: it has no room. */
static int answer_done(struct connection *c, uint32_t serial)
{
    struct pod_wire *out = &c->control->out;

    pod_wire_begin(out, POD_WIRE_DONE, serial);
    pod_answer_box(c->control->world, c->box, out);
    if (out->overflow)
        return -1;
    answer(c, out);
    return 0;
}

static void answer_no_room(struct connection *c, uint32_t serial)
{
    struct pod_err err;

    pod_fail_errno(&err, POD_NETWORK, EMSGSIZE, "answer");
    answer_failure(c, serial, &err);
}

static int send_changed(struct connection *c)
{
    struct pod_wire *out = &c->control->out;
    struct pod_err err;

    pod_wire_begin(out, POD_WIRE_CHANGED, 0);
    pod_answer_box(c->control->world, c->box, out);
    return pod_wire_send(c->watch.fd, out, NULL, 0, &err) && err.errnum == EAGAIN;
}

static int links_to(const struct pod_box *box, const char *id)
{
    for (const struct pod_end *end = box->ends; end; end = end->next)
        for (int i = 0; i < end->link_count; i++) {
            const char *at = strrchr(end->links[i], '=');
            if (at && !strcmp(at + 1, id))
                return 1;
        }
    return 0;
}

/* ID came, went, or has other addresses or names: those that link to it have other hosts files. */
static void tell_others(struct pod_control *control, const char *id)
{
    for (struct connection *c = control->connections; c; c = c->next)
        if (c->box && strcmp(c->box->id, id) && links_to(c->box, id)) {
            c->changed_due = 1;
            if (!c->unsent)
                c->changed_due = send_changed(c);
            want(c);
        }
}

/* --- messages -------------------------------------------------------------------------------------------------------- */

static void look_soon(struct pod_control *control)
{
    if (!control->look->due)
        pod_loop_ring_at(control->world->loop, control->look, pod_loop_now() + POD_TICK_MS);
}

static void release(struct connection *c)
{
    char id[65];

    if (!c->box)
        return;
    memcpy(id, c->box->id, sizeof id);
    pod_box_free(c->control->world, c->box);
    c->box = NULL;
    look_soon(c->control);
    tell_others(c->control, id);
}

/* The descriptors that came, in the places that FDS says. */
static void place_descriptors(uint32_t bits, int given[POD_WIRE_FDS], int fds[POD_WIRE_FDS])
{
    int next = 0;

    for (int i = 0; i < POD_WIRE_FDS; i++)
        fds[i] = bits >> i & 1 && next < POD_WIRE_FDS ? pod_steal_fd(&given[next++]) : -1;
}

static int do_register(struct connection *c, struct pod_order *order, int given[POD_WIRE_FDS],
                       struct pod_err *err)
{
    int fds[POD_WIRE_FDS], failed;
    struct pod_box *box = pod_world_box(c->control->world, order->id);

    if (!order->id[0] || (box && box != c->box))
        return pod_fail_errno(err, POD_NETWORK, box ? EEXIST : EINVAL, "container");
    release(c);
    place_descriptors(order->fds, given, fds);
    failed = pod_box_make(c->control->world, order, fds, &c->box, err);
    for (int i = 0; i < POD_WIRE_FDS; i++)
        pod_cleanup_fd(&fds[i]);
    if (!failed)
        tell_others(c->control, order->id);
    return failed;
}

static void removed(struct pod_watch *watch, uint32_t events)
{
    struct connection *c = CONTAINER(watch, struct connection, removal);

    (void)events;
    pod_loop_forget(c->control->world->loop, watch);
    close(watch->fd);
    watch->fd = -1;
    if (c->removal_failed || answer_done(c, c->removal_serial))
        answer_no_room(c, c->removal_serial);
    c->removal_failed = 0;
    want(c);
}

static int do_disconnect(struct connection *c, const struct pod_order *order, uint32_t serial,
                         struct pod_err *err)
{
    if (pod_box_disconnect(c->control->world, c->box, order->disconnect, &c->removal.fd, err))
        return -1;
    c->removal.ready = removed;
    c->removal_serial = serial;
    tell_others(c->control, c->box->id);
    if (pod_links_routes(c->box, err) ||
        pod_loop_watch(c->control->world->loop, &c->removal, EPOLLIN, err)) {
        close(pod_steal_fd(&c->removal.fd));
        return -1;
    }
    want(c);
    return 0;
}

static int do_rename(struct connection *c, const struct pod_order *order, struct pod_err *err)
{
    if (!order->name[0])
        return pod_fail_errno(err, POD_NETWORK, EINVAL, "name");
    memcpy(c->box->name, order->name, sizeof c->box->name);
    tell_others(c->control, c->box->id);
    return 0;
}

/* 0: DONE is due; 1: it comes later; -1. */
static int carry_out(struct connection *c, uint16_t type, struct pod_order *order, uint32_t serial,
                     int given[POD_WIRE_FDS], struct pod_err *err)
{
    if (type == POD_WIRE_REGISTER)
        return do_register(c, order, given, err);
    if (!c->box)
        return pod_fail_errno(err, POD_NETWORK, ENOTCONN, "container");
    if (type == POD_WIRE_RENAME)
        return do_rename(c, order, err);
    if (type == POD_WIRE_DISCONNECT)
        return do_disconnect(c, order, serial, err) ? -1 : 1;
    if (order->wish_count != 1)
        return pod_fail_errno(err, POD_NETWORK, EINVAL, "interface");
    if (pod_box_connect(c->control->world, c->box, order->wishes, err))
        return -1;
    tell_others(c->control, c->box->id);
    return 0;
}

/* What has just been done cannot be told. */
static void undo(struct connection *c, uint16_t type, const struct pod_order *order,
                 uint32_t serial)
{
    struct pod_err ignored;

    if (type == POD_WIRE_REGISTER)
        release(c);
    if (type == POD_WIRE_CONNECT) {
        struct pod_order back = {.disconnect = ""};
        memcpy(back.disconnect, order->wishes->net_id, sizeof back.disconnect);
        c->removal_failed = !do_disconnect(c, &back, serial, &ignored);
        if (c->removal_failed)
            return;
    }
    answer_no_room(c, serial);
}

static void take_message(struct connection *c, int given[POD_WIRE_FDS])
{
    struct pod_control *control = c->control;
    struct pod_wire_head head = *pod_wire_head(&control->in);
    struct pod_order order;
    struct pod_err err;

    switch (head.type) {
    case POD_WIRE_RELEASE:
        release(c);
        return;
    case POD_WIRE_QUERY:
        pod_wire_begin(&control->out, POD_WIRE_ANSWER, head.serial);
        pod_answer_world(control->world, &control->out);
        answer(c, &control->out);
        return;
    case POD_WIRE_REGISTER:
    case POD_WIRE_CONNECT:
    case POD_WIRE_DISCONNECT:
    case POD_WIRE_RENAME:
        break;
    default: /* of a newer pod */
        pod_fail_errno(&err, POD_NETWORK, EOPNOTSUPP, "message");
        answer_failure(c, head.serial, &err);
        return;
    }
    if (pod_order_read(&control->in, &order, &err)) {
        answer_failure(c, head.serial, &err);
        return;
    }
    int result = carry_out(c, head.type, &order, head.serial, given, &err);
    if (result == 0 && answer_done(c, head.serial))
        undo(c, head.type, &order, head.serial);
    else if (result < 0)
        answer_failure(c, head.serial, &err);
    pod_order_free(&order);
}

/* --- connections --------------------------------------------------------------------------------------------------------- */

static void greet(struct connection *c)
{
    struct pod_control *control = c->control;
    const struct pod_holder *holder = control->world->holder;
    const int hello[3] = {holder->userns, holder->netns, control->program};
    struct pod_err ignored;

    pod_wire_begin(&control->out, POD_WIRE_HELLO, 0);
    pod_wire_send(c->watch.fd, &control->out, hello, 3, &ignored);
}

static void end_connection(struct connection *c)
{
    struct pod_control *control = c->control;
    struct connection **at = &control->connections;

    release(c);
    pod_loop_unring(control->world->loop, &c->silence);
    pod_loop_forget(control->world->loop, &c->watch);
    close(c->watch.fd);
    if (c->removal.fd >= 0) {
        pod_loop_forget(control->world->loop, &c->removal);
        close(c->removal.fd);
    }
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    control->count--;
    free(c->unsent);
    free(c);
    look_soon(control);
}

static void push(struct connection *c)
{
    struct pod_err err;

    if (c->unsent) {
        if (pod_wire_send(c->watch.fd, c->unsent, NULL, 0, &err) && err.errnum == EAGAIN)
            return;
        free(c->unsent);
        c->unsent = NULL;
    }
    if (c->changed_due)
        c->changed_due = c->box && send_changed(c);
    want(c);
}

static void ready(struct pod_watch *watch, uint32_t events)
{
    struct connection *c = CONTAINER(watch, struct connection, watch);
    int given[POD_WIRE_FDS];
    struct pod_err err;

    if (events & EPOLLOUT)
        push(c);
    if (!(events & EPOLLIN) && events & (EPOLLHUP | EPOLLERR)) {
        end_connection(c);
        return;
    }
    if (!(events & EPOLLIN) || c->unsent)
        return;
    if (pod_wire_receive(watch->fd, &c->control->in, given, &err)) {
        if (err.errnum != EAGAIN)
            end_connection(c);
        return;
    }
    pod_loop_unring(c->control->world->loop, &c->silence);
    take_message(c, given);
    for (int i = 0; i < POD_WIRE_FDS; i++)
        pod_cleanup_fd(&given[i]);
}

static void silent(struct pod_timer *timer)
{
    end_connection(CONTAINER(timer, struct connection, silence));
}

static int is_ours(int fd)
{
    struct ucred peer;
    socklen_t length = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == geteuid();
}

static void add_connection(struct pod_control *control, int fd)
{
    struct connection *c = control->count < POD_BOXES_MAX ? calloc(1, sizeof *c) : NULL;
    struct pod_err err;

    if (!c) {
        close(fd);
        return;
    }
    *c = (struct connection){.watch = {fd, ready}, .silence = {.rings = silent}};
    c->control = control;
    c->removal.fd = -1;
    if (pod_loop_watch(control->world->loop, &c->watch, EPOLLIN, &err)) {
        close(fd);
        free(c);
        return;
    }
    pod_loop_ring_at(control->world->loop, &c->silence, pod_loop_now() + SILENT_MS);
    c->next = control->connections;
    control->connections = c;
    control->count++;
    greet(c);
}

static void send_away(struct pod_control *control, int fd)
{
    struct pod_err ignored;

    pod_wire_begin(&control->out, POD_WIRE_FAILED, 0);
    put_failure(&control->out, control->failed);
    pod_wire_send(fd, &control->out, NULL, 0, &ignored);
    close(fd);
}

int pod_control_accept(struct pod_control *control)
{
    int fd, came = 0;

    while ((fd = accept4(control->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        came++;
        if (!is_ours(fd)) {
            close(fd);
            continue;
        }
        if (control->failed)
            send_away(control, fd);
        else
            add_connection(control, fd);
    }
    return came;
}

static void accept_ready(struct pod_watch *watch, uint32_t events)
{
    (void)events;
    pod_control_accept(CONTAINER(watch, struct pod_control, watch));
}

int pod_control_connections(const struct pod_control *control)
{
    return control->count;
}

struct pod_control *pod_control_open(struct pod_world *world, int listener, int program,
                                     struct pod_timer *look, const struct pod_err *failed,
                                     struct pod_err *err)
{
    struct pod_control *control = calloc(1, sizeof *control);

    if (!control) {
        pod_fail(err, POD_MEMORY, NULL);
        return NULL;
    }
    control->watch = (struct pod_watch){listener, accept_ready};
    control->world = world;
    control->program = program;
    control->look = look;
    control->failed = failed;
    if (pod_loop_watch(world->loop, &control->watch, EPOLLIN, err)) {
        free(control);
        return NULL;
    }
    return control;
}
