#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

#define TRIES_MAX 3     /* netds that end while a container starts */
#define AGAIN_MS 100    /* before it is tried again to reach one, at first */
#define AGAIN_LAST_MS 2000
#define GREETING_MS 10000
#define LEAVE_MS 300    /* that the end of a container waits for its ports to be free */

static void close_all(int *fds, int count)
{
    for (int i = 0; i < count; i++) {
        pod_cleanup_fd(&fds[i]);
        fds[i] = -1;
    }
}

/* What was told of a run is not true of the next. */
static void forget_answers(struct pod_network *network)
{
    free(network->leases);
    free(network->state);
    free(network->lines);
    network->leases = NULL;
    network->state = network->lines = NULL;
    network->lease_length = 0;
    network->registered = 0;
}

int pod_network_init(struct pod_network *network, const struct pod_plan *plan, int dirfd, int fd,
                     struct pod_err *err)
{
    uint32_t length;
    const void *items = pod_plan_blob(plan, POD_KEY_NET, &length);

    memset(network, 0, sizeof *network);
    network->fd = fd;
    network->question.client = -1;
    for (int i = 0; i < POD_SEEDS; i++)
        network->seeds[i] = -1;
    for (int i = 0; i < POD_WIRE_FDS; i++)
        network->sockets[i] = -1;
    if (!items || !pod_plan_has(plan, POD_KEY_NETD))
        return 0;
    network->plan = plan;
    network->dirfd = dirfd;
    network->length = length;
    network->items = malloc(length ? length : 1);
    if (!network->items)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, NULL);
    memcpy(network->items, items, length);
    return 0;
}

/* --- messages to netd -------------------------------------------------------------------------------------------- */

/* A message that has begun in allocated memory, for it is large and a supervisor's stack stays. */
static struct pod_wire *begin(struct pod_network *network, uint16_t type, struct pod_err *err)
{
    struct pod_wire *wire = malloc(sizeof *wire);

    if (!wire) {
        pod_fail_errno(err, POD_MEMORY, ENOMEM, NULL);
        return NULL;
    }
    network->serial++;
    network->serial += !network->serial; /* 0 is no question */
    pod_wire_begin(wire, type, network->serial);
    return wire;
}

static int send_register(struct pod_network *network, struct pod_err *err)
{
    struct pod_wire *wire = begin(network, POD_WIRE_REGISTER, err);
    int fds[POD_WIRE_FDS], count = 0;
    uint32_t mask = 0;

    if (!wire)
        return -1;
    for (unsigned i = 0; i < POD_WIRE_FDS; i++)
        if (network->sockets[i] >= 0) {
            fds[count++] = network->sockets[i];
            mask |= 1u << i;
        }
    pod_wire_number(wire, POD_ITEM_FDS, mask);
    pod_items_put(wire, network->items, network->length, network->leases, network->lease_length);
    int failed = pod_wire_send(network->fd, wire, fds, count, err);
    free(wire);
    if (!failed)
        network->registering = network->serial;
    return failed;
}

static int send_question(struct pod_network *network, struct pod_err *err)
{
    struct pod_question *question = &network->question;
    struct pod_wire *wire = begin(network, question->type, err);

    if (!wire)
        return -1;
    pod_items_put(wire, question->items, question->length, NULL, 0);
    int failed = pod_wire_send(network->fd, wire, NULL, 0, err);
    free(wire);
    question->serial = network->serial;
    return failed;
}

/* A netd that is there, or a new one. */
static int reach(struct pod_network *network, struct pod_err *err)
{
    if (network->fd < 0)
        network->fd = pod_network_connect(network->plan, network->seeds, err);
    return network->fd < 0 ? -1 : 0;
}

static void hang_up(struct pod_network *network)
{
    pod_cleanup_fd(&network->fd);
    network->fd = -1;
    network->registering = 0;
}

int pod_network_register(struct pod_network *network, unsigned mask, const int *fds,
                         struct pod_err *err)
{
    for (unsigned i = 0; i < POD_WIRE_FDS; i++)
        network->sockets[i] = mask & 1u << i ? *fds++ : -1;
    network->tries = 0;
    return reach(network, err) || send_register(network, err) ? -1 : 0;
}

/* --- what netd says ------------------------------------------------------------------------------------------------ */

static int failure(const struct pod_wire *wire, struct pod_err *err)
{
    char *step = pod_items_text(wire, POD_ITEM_STEP), *path = pod_items_text(wire, POD_ITEM_PATH);

    pod_fail_errno(err, (enum pod_step)(step ? pod_step_number(step) : POD_NETWORK),
                   (int)pod_items_number(wire, POD_ITEM_ERRNO), path);
    free(step);
    free(path);
    return -1;
}

/* What DONE and CHANGED carry: state, hosts, leases. */
static int take_facts(struct pod_network *network, const struct pod_wire *wire, struct pod_err *err)
{
    const char *base = pod_plan_str(network->plan, POD_KEY_NET_HOSTS);
    char *lines = pod_items_text(wire, POD_ITEM_HOSTS);
    int failed = 0;

    free(network->leases);
    network->leases = pod_items_leases(wire, &network->lease_length);
    free(network->state);
    network->state = pod_items_text(wire, POD_ITEM_STATE);
    if (base && !network->registered)
        failed = pod_hosts_write(network->dirfd, base, lines ? lines : "", err);
    else if (base && strcmp(network->lines ? network->lines : "", lines ? lines : ""))
        pod_hosts_change(network->dirfd, network->lines ? network->lines : "", lines ? lines : "");
    free(network->lines);
    network->lines = lines;
    network->news = 1;
    return failed;
}

static void answer(struct pod_network *network, const struct pod_err *why)
{
    struct pod_question *question = &network->question;
    char words[POD_ERR_PATH_MAX + 32] = "";

    if (why)
        snprintf(words, sizeof words, "%s %s", pod_step_name(why->step), why->path);
    if (question->client >= 0)
        pod_frame_send(question->client, POD_FRAME_NETWORK, 0, why ? (uint32_t)why->errnum : 0,
                       words, strlen(words));
    free(question->items);
    *question = (struct pod_question){.client = -1};
}

static void take_seeds(struct pod_network *network, int *fds)
{
    close_all(network->seeds, POD_SEEDS);
    for (int i = 0; i < POD_SEEDS; i++) {
        network->seeds[i] = fds[i];
        fds[i] = -1;
    }
}

static int take_message(struct pod_network *network, const struct pod_wire *wire, int *fds,
                        struct pod_err *err)
{
    const struct pod_wire_head *head = pod_wire_head(wire);
    int registers = network->registering && head->serial == network->registering;
    int answers = network->question.serial && head->serial == network->question.serial;

    switch (head->type) {
    case POD_WIRE_HELLO:
        take_seeds(network, fds);
        return 0;
    case POD_WIRE_CHANGED:
        return network->registered ? take_facts(network, wire, err) : 0;
    case POD_WIRE_FAILED:
        failure(wire, err);
        if (answers)
            answer(network, err);
        if (registers)
            network->registering = 0;
        /* Serial 0: it cannot do its work at all. */
        return registers || (!head->serial && !network->registered) ? -1 : 0;
    case POD_WIRE_DONE:
        if (!registers && !answers)
            return 0;
        if (answers && pod_items_change(&network->items, &network->length, &network->question))
            return pod_fail_errno(err, POD_MEMORY, ENOMEM, NULL);
        if (take_facts(network, wire, err))
            return -1;
        network->registered = 1;
        if (registers)
            network->registering = 0;
        if (answers)
            answer(network, NULL);
        return 1;
    default:
        return 0; /* of a newer netd */
    }
}

/* One message. As pod_network_hear; -2: netd is gone. */
static int hear_one(struct pod_network *network, struct pod_err *err)
{
    struct pod_wire *wire = malloc(sizeof *wire);
    int fds[POD_WIRE_FDS], heard;

    if (!wire)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, NULL);
    if (pod_wire_receive(network->fd, wire, fds, err)) {
        free(wire);
        return err->errnum == EAGAIN ? 0 : -2;
    }
    heard = take_message(network, wire, fds, err);
    close_all(fds, POD_WIRE_FDS);
    free(wire);
    return heard;
}

int pod_network_hear(struct pod_network *network, struct pod_err *err)
{
    int heard = hear_one(network, err);

    network->news = 0; /* the start writes the record anyway */
    if (heard != -2)
        return heard;
    hang_up(network);
    if (network->tries++ == TRIES_MAX)
        return pod_fail_errno(err, POD_NETWORK, ECONNRESET, "netd");
    return reach(network, err) || send_register(network, err) ? -1 : 0;
}

int pod_network_greeted(struct pod_network *network, struct pod_err *err)
{
    struct pollfd slot = {.events = POLLIN};
    int64_t until = pod_now_ms() + GREETING_MS, left;

    while (network->seeds[POD_SEED_USERNS] < 0 && (left = until - pod_now_ms()) > 0) {
        slot.fd = network->fd;
        if (poll(&slot, 1, (int)left) <= 0)
            continue;
        int heard = hear_one(network, err);
        if (heard == -1)
            return -1;
        if (heard != -2)
            continue;
        hang_up(network);
        if (network->tries++ == TRIES_MAX)
            return pod_fail_errno(err, POD_NETD, ECONNRESET, "netd");
        if (reach(network, err))
            return -1;
    }
    return network->seeds[POD_SEED_USERNS] < 0 ? pod_fail_errno(err, POD_NETD, ETIMEDOUT, "netd")
                                               : 0;
}

/* --- while the container runs --------------------------------------------------------------------------------------- */

void pod_network_release(struct pod_network *network)
{
    struct pod_err ignored;

    if (!network->plan)
        return;
    struct pod_wire *wire = network->fd >= 0 ? begin(network, POD_WIRE_RELEASE, &ignored) : NULL;
    if (wire && pod_wire_send(network->fd, wire, NULL, 0, &ignored))
        hang_up(network); /* the end of the connection says the same */
    free(wire);
    close_all(network->sockets, POD_WIRE_FDS);
    forget_answers(network);
    network->registering = 0;
    network->again_at = 0;
    if (network->question.type) {
        pod_fail_errno(&ignored, POD_NETWORK, ESRCH, "process");
        answer(network, &ignored);
    }
}

void pod_network_leave(struct pod_network *network)
{
    if (network->fd >= 0)
        shutdown(network->fd, SHUT_WR);
}

void pod_network_left(struct pod_network *network)
{
    struct pollfd slot = {.fd = network->fd, .events = POLLIN};
    struct pod_err ignored;
    int64_t until = pod_now_ms() + LEAVE_MS, left;

    while (network->fd >= 0 && (left = until - pod_now_ms()) > 0)
        if (poll(&slot, 1, (int)left) > 0 && hear_one(network, &ignored) == -2)
            break;
    hang_up(network);
}

/* Once the registration is as netd knows it, what a client asks for may go. */
static void go_on(struct pod_network *network)
{
    struct pod_err err;

    network->pause = 0;
    if (network->question.type && !network->question.serial && send_question(network, &err))
        answer(network, &err);
}

static void later(struct pod_network *network)
{
    hang_up(network);
    network->pause = network->pause ? network->pause * 2 : AGAIN_MS;
    if (network->pause > AGAIN_LAST_MS)
        network->pause = AGAIN_LAST_MS;
    network->again_at = pod_now_ms() + network->pause;
}

/* Until it works: a port may have been taken meanwhile, the netd of another map may not be gone yet. */
static void reach_again(struct pod_network *network)
{
    struct pod_err ignored;

    network->again_at = 0;
    network->question.serial = 0;
    if (reach(network, &ignored) || send_register(network, &ignored))
        later(network);
}

int pod_network_fill(const struct pod_network *network, struct pollfd *slot, int within)
{
    *slot = (struct pollfd){.fd = network->plan ? network->fd : -1, .events = POLLIN};
    if (!network->again_at)
        return within;
    int64_t left = network->again_at - pod_now_ms();
    left = left > 0 ? left : 0;
    return within < 0 || left < within ? (int)left : within;
}

void pod_network_tick(struct pod_network *network, int events)
{
    struct pod_err ignored;
    int heard = events && network->fd >= 0 ? hear_one(network, &ignored) : 0;

    if (heard > 0 && !network->registering)
        go_on(network);
    if (heard < 0 && !network->registered) {
        hang_up(network); /* between two runs: the next one finds another netd */
    } else if (heard == -2 && !network->pause) {
        hang_up(network);
        reach_again(network);
    } else if (heard < 0) {
        later(network);
    }
    if (network->again_at && pod_now_ms() >= network->again_at)
        reach_again(network);
    if (network->news && network->changed)
        network->changed(network->owner);
    network->news = 0;
}

void pod_network_ask(struct pod_network *network, int client, uint32_t type, const void *items,
                     size_t length)
{
    struct pod_question *question = &network->question;
    int known = type == POD_WIRE_CONNECT || type == POD_WIRE_DISCONNECT || type == POD_WIRE_RENAME;
    int errnum = !known                 ? EINVAL
                 : !network->plan       ? ENOTCONN
                 : !network->registered ? ESRCH
                 : question->type       ? EBUSY
                                        : 0;
    uint8_t *copy = errnum ? NULL : malloc(length ? length : 1);

    if (!copy) {
        pod_frame_send(client, POD_FRAME_NETWORK, 0, (uint32_t)(errnum ? errnum : ENOMEM), NULL, 0);
        return;
    }
    memcpy(copy, items, length);
    *question = (struct pod_question){client, (uint16_t)type, 0, copy, length};
    if (network->fd >= 0 && !network->registering)
        go_on(network);
}

void pod_network_forget(struct pod_network *network, int client)
{
    if (network->question.client == client)
        network->question.client = -1;
}
