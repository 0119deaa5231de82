/* A process that moves bytes for netd, and the channel to it. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rights.h"
#include "splice.h"

int pod_worker_send(int channel, const struct pod_worker_message *message, const int *fds)
{
    return pod_rights_send(channel, message, sizeof *message, fds, fds ? 2 : 0, MSG_DONTWAIT) < 0
               ? -1
               : 0;
}

int pod_worker_receive(int channel, struct pod_worker_message *message, int fds[2])
{
    int flags = MSG_DONTWAIT;
    ssize_t got = pod_rights_receive(channel, message, sizeof *message, fds, 2, &flags);

    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got != (ssize_t)sizeof *message)
        return -1;
    return 1;
}

/* --- inside it ----------------------------------------------------------------------------------------------------------- */

static struct {
    struct pod_loop loop;
    struct pod_pairs pairs;
    struct pod_watch channel;
} worker;

static void tell_ended(struct pod_pairs *pairs, uint32_t serial)
{
    struct pod_worker_message message = {.word = POD_WORKER_ENDED, .hand = {.serial = serial}};

    (void)pairs;
    /* Waits where netd is slow: it counts them. */
    if (pod_rights_send(worker.channel.fd, &message, sizeof message, NULL, 0, 0) < 0)
        _exit(0);
}

static void take(const struct pod_hand *hand, const int fds[2])
{
    struct linger now = {.l_onoff = 1};
    struct pod_err err;

    if (fds[0] >= 0 && fds[1] >= 0 && !pod_pair_add(&worker.pairs, hand, fds, &err))
        return;
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0) {
            setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &now, sizeof now);
            close(fds[i]);
        }
    tell_ended(&worker.pairs, hand->serial);
}

static void channel_ready(struct pod_watch *watch, uint32_t events)
{
    struct pod_worker_message message;
    int fds[2], got;

    (void)events;
    for (int i = 0; i < 64; i++) {
        got = pod_worker_receive(watch->fd, &message, fds);
        if (got < 0)
            _exit(0);
        if (!got)
            return;
        if (message.word == POD_WORKER_HAND)
            take(&message.hand, fds);
        else if (message.word == POD_WORKER_GONE)
            pod_pairs_gone(&worker.pairs, message.hand.serial, &message.hand.address);
    }
}

static _Noreturn void be_worker(int channel)
{
    struct pod_err err;

    prctl(PR_SET_NAME, "pod-netd-tcp", 0, 0, 0);
    signal(SIGINT, SIG_IGN); /* of a terminal: for the containers' clients, not for connections */
    /* Nothing of netd's stays open: who waits for its end sees it. */
    if (dup2(channel, 3) < 0)
        _exit(1);
    if (syscall(SYS_close_range, 4u, ~0u, 0))
        for (int fd = 4; fd < 65536; fd++)
            close(fd);
    pod_pipes_forget();
    worker.channel = (struct pod_watch){.fd = 3, .ready = channel_ready};
    if (pod_loop_init(&worker.loop, &err))
        _exit(1);
    pod_pairs_init(&worker.pairs, &worker.loop);
    worker.pairs.ended = tell_ended;
    if (pod_loop_watch(&worker.loop, &worker.channel, EPOLLIN, &err))
        _exit(1);
    pod_loop_run(&worker.loop);
    _exit(0);
}

int pod_worker_start(int *channel, struct pod_err *err)
{
    int ends[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return pod_fail(err, POD_SOCKET, "worker");
    pid = fork();
    if (pid == 0)
        be_worker(ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return pod_fail(err, POD_FORK, "worker");
    }
    *channel = ends[0];
    return pid;
}
