/* Which process moves a pair's bytes, and how many pairs there may be. */
#include "splice.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define OWN_MAX 1024 /* pairs of netd itself: the others are a worker's at once */
#define WORKER_MAX 16384
#define PAIRS_MAX 65536
#define BOX_MIN 64 /* a container has so many, however many the others have */
#define REST_MS 5000 /* a worker without pairs ends after that */
#define PIPES 512 /* descriptors of a process's pipes */

struct worker {
    struct pod_watch channel;
    struct pod_timer rest; /* set while it has no pairs */
    pid_t pid;
    int pairs;
};

static struct {
    struct pod_world *world;
    struct pod_pairs own;
    struct worker workers[POD_WORKERS];
    int pairs; /* at work, wherever */
    int own_max, worker_max, most, movers;
} splices;

static void begin(struct pod_world *world);

static struct pod_tcp *tcp_by_serial(uint32_t serial)
{
    for (struct pod_box *box = splices.world->boxes; box; box = box->next)
        if (box->tcp && ((struct pod_tcp *)box->tcp)->serial == serial)
            return box->tcp;
    return NULL;
}

static void own_ended(struct pod_pairs *pairs, uint32_t serial)
{
    struct pod_tcp *tcp = tcp_by_serial(serial);

    (void)pairs;
    splices.pairs--;
    if (tcp)
        tcp->pairs--;
}

/* --- workers ------------------------------------------------------------------------------------------------------------ */

static void worker_ended(struct worker *worker)
{
    int number = (int)(worker - splices.workers);

    pod_loop_forget(splices.world->loop, &worker->channel);
    pod_loop_unring(splices.world->loop, &worker->rest);
    close(worker->channel.fd);
    waitpid(worker->pid, NULL, WNOHANG);
    splices.pairs -= worker->pairs;
    for (struct pod_box *box = splices.world->boxes; box; box = box->next) {
        struct pod_tcp *tcp = box->tcp;
        if (tcp) {
            tcp->pairs -= tcp->in_worker[number];
            tcp->in_worker[number] = 0;
        }
    }
    *worker = (struct worker){.pid = 0};
}

static void rested(struct pod_timer *timer)
{
    worker_ended((struct worker *)((char *)timer - offsetof(struct worker, rest)));
}

static void worker_tells(struct pod_watch *watch, uint32_t events)
{
    struct worker *worker = (struct worker *)watch;
    struct pod_worker_message message;
    int fds[2], got = 1;

    (void)events;
    for (int i = 0; i < 256 && (got = pod_worker_receive(watch->fd, &message, fds)) > 0; i++) {
        struct pod_tcp *tcp = tcp_by_serial(message.hand.serial);
        worker->pairs--;
        splices.pairs--;
        if (tcp) {
            tcp->pairs--;
            tcp->in_worker[worker - splices.workers]--;
        }
    }
    if (got < 0)
        worker_ended(worker);
    else if (!worker->pairs)
        pod_loop_ring_at(splices.world->loop, &worker->rest, pod_loop_now() + REST_MS);
}

static int start_worker(struct worker *worker)
{
    struct pod_err err;

    worker->pid = pod_worker_start(&worker->channel.fd, &err);
    if (worker->pid < 0) {
        worker->pid = 0;
        return -1;
    }
    worker->channel.ready = worker_tells;
    worker->rest.rings = rested;
    if (!pod_loop_watch(splices.world->loop, &worker->channel, EPOLLIN, &err))
        return 0;
    worker_ended(worker);
    return -1;
}

/* Of the first COUNT the one with the fewest pairs; a new one rather than one that has much to do. NULL: all are full. */
static struct worker *choose(int count, int spread)
{
    struct worker *best = NULL, *none = NULL;

    for (int i = 0; i < count; i++) {
        struct worker *worker = &splices.workers[i];
        if (!worker->pid)
            none = none ? none : worker;
        else if (worker->pairs < splices.worker_max && (!best || worker->pairs < best->pairs))
            best = worker;
    }
    if (none && (!best || (spread && best->pairs)) && !start_worker(none))
        return none;
    return best;
}

static int hand_over(struct worker *worker, const struct pod_hand *hand, const int fds[2])
{
    struct pod_worker_message message = {.word = POD_WORKER_HAND, .hand = *hand};
    struct pod_tcp *tcp = tcp_by_serial(hand->serial);

    if (!worker || pod_worker_send(worker->channel.fd, &message, fds))
        return -1;
    close(fds[0]);
    close(fds[1]);
    pod_loop_unring(splices.world->loop, &worker->rest);
    worker->pairs++;
    if (tcp)
        tcp->in_worker[worker - splices.workers]++;
    return 0;
}

/* So that names and new connections do not wait for somebody's download. */
static int own_heavy(struct pod_pairs *pairs, struct pod_pair *pair)
{
    struct worker *worker = choose(splices.movers, 1);
    struct pod_hand hand;
    struct pod_err err;
    int fds[2];

    if (!worker)
        return 0;
    pod_pair_leave(pair, &hand, fds);
    if (!hand_over(worker, &hand, fds))
        return 1;
    if (pod_pair_add(pairs, &hand, fds, &err)) {
        close(fds[0]);
        close(fds[1]);
        own_ended(pairs, hand.serial);
    }
    return 1;
}

/* --- pairs ---------------------------------------------------------------------------------------------------------------- */

int pod_splice_room(struct pod_box *box)
{
    struct pod_tcp *tcp = pod_tcp_of(box);
    int left = splices.most - splices.pairs;

    if (!splices.world)
        return tcp != NULL;
    return tcp && left > 0 && (tcp->pairs < BOX_MIN || tcp->pairs < left);
}

static void keepalive(int fd)
{
    /* Ways through the world that forget idle connections (NAT) are kept open, as the container's own keepalive would; one that
     * is dead is found after two hours and a half, not earlier than a plain host's program would find it. */
    int one = 1, idle = 120, interval = 75, count = 120;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, 4 /* TCP_KEEPIDLE */, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, 5 /* TCP_KEEPINTVL */, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, 6 /* TCP_KEEPCNT */, &count, sizeof count);
}

static int place_pair(const struct pod_hand *hand, const int fds[2], struct pod_err *err)
{
    if (splices.own.count < splices.own_max)
        return pod_pair_add(&splices.own, hand, fds, err);
    if (!hand_over(choose(POD_WORKERS, 0), hand, fds))
        return 0;
    if (splices.own.count < 2 * splices.own_max) /* the channel is full for now */
        return pod_pair_add(&splices.own, hand, fds, err);
    return pod_fail_errno(err, POD_NETWORK, EMFILE, "connection");
}

int pod_splice_pair(struct pod_world *world, struct pod_end *end, int inside, int outside,
                    struct pod_err *err)
{
    struct pod_tcp *tcp = pod_tcp_of(end->box);
    int fds[2] = {inside, outside}, failed = -1;
    union pod_sockaddr peer;
    struct pod_peer container = {.port = 0};
    socklen_t size = sizeof peer;

    begin(world);
    keepalive(outside);
    if (tcp && pod_splice_room(end->box) && !getpeername(inside, &peer.any, &size) &&
        !pod_peer_from(&peer, &container)) {
        struct pod_hand hand = {.address = container.address, .serial = tcp->serial};
        failed = place_pair(&hand, fds, err);
    } else {
        failed = pod_fail_errno(err, POD_NETWORK, EMFILE, "connection");
    }
    if (failed) {
        pod_ports_refuse(inside);
        pod_ports_refuse(outside);
        return -1;
    }
    tcp->pairs++;
    splices.pairs++;
    return 0;
}

static void end_all(struct pod_tcp *tcp, const struct in6_addr *address)
{
    struct pod_worker_message message = {.word = POD_WORKER_GONE,
                                         .hand = {.serial = tcp->serial, .address = *address}};

    if (pod_no_address(address))
        return;
    pod_pairs_gone(&splices.own, tcp->serial, address);
    for (int i = 0; i < POD_WORKERS; i++) {
        struct worker *worker = &splices.workers[i];
        /* One that does not read its channel moves no bytes either: without it these connections would outlive their container. */
        if (worker->pid && tcp->in_worker[i] &&
            pod_worker_send(worker->channel.fd, &message, NULL)) {
            kill(worker->pid, SIGKILL);
            worker_ended(worker);
        }
    }
}

void pod_splice_end_gone(struct pod_box *box, const struct pod_end *end)
{
    struct pod_tcp *tcp = box->tcp;

    if (!tcp || !tcp->pairs)
        return;
    end_all(tcp, &end->v4);
    end_all(tcp, &end->v6);
}

void pod_splice_box_gone(struct pod_world *world, struct pod_box *box)
{
    (void)world;
    pod_syns_forget(box, NULL);
    for (struct pod_end *end = box->ends; end; end = end->next)
        pod_splice_end_gone(box, end);
    free(box->tcp);
    box->tcp = NULL;
}

static void begin(struct pod_world *world)
{
    struct rlimit files = {.rlim_cur = 1024};
    cpu_set_t cores;
    int limit;

    if (splices.world)
        return;
    getrlimit(RLIMIT_NOFILE, &files);
    limit = files.rlim_cur > 1000000 ? 1000000 : (int)files.rlim_cur;
    splices.worker_max = limit > 4 * PIPES ? (limit - PIPES - 64) / 2 : limit / 4;
    splices.worker_max = splices.worker_max < WORKER_MAX ? splices.worker_max : WORKER_MAX;
    splices.own_max = limit / 16 < OWN_MAX ? limit / 16 : OWN_MAX;
    splices.most = splices.own_max + POD_WORKERS * splices.worker_max;
    splices.most = splices.most < PAIRS_MAX ? splices.most : PAIRS_MAX;
    splices.movers = sched_getaffinity(0, sizeof cores, &cores) ? 1 : CPU_COUNT(&cores);
    splices.movers = splices.movers < POD_WORKERS ? splices.movers : POD_WORKERS;
    pod_pairs_init(&splices.own, world->loop);
    splices.own.ended = own_ended;
    splices.own.heavy = own_heavy;
    splices.world = world;
}
