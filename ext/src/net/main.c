/* pod-netd: the network process of a run directory. Started by netd_start.c; lives in the host's network namespace, so that it can
 * reach the host's network, and reaches that of the containers through the holder. Ends when nobody has been connected for
 * two seconds, and leaves nothing: namespaces go with their last descriptor. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway.h"
#include "netd.h"
#include "netd_start.h"
#include "resolver.h"

#define IDLE 4 /* ticks */
#define HIDE_WAIT_MS 1000

struct netd {
    struct pod_loop loop;
    struct pod_holder holder;
    struct pod_world world;
    struct pod_control *control;
    const char *folder;
    struct pod_timer look;
    struct pod_watch holder_watch;
    struct pod_err failed;
    int idle, hidden;
};

#define NETD(pointer, member) \
    ((struct netd *)(void *)((char *)(pointer) - offsetof(struct netd, member)))

/* Nobody finds us any more; who came meanwhile is served still. 1: we go. */
static int go(struct netd *netd)
{
    char from[POD_NETD_PATH], to[POD_NETD_PATH], lock_path[POD_NETD_PATH];

    snprintf(lock_path, sizeof lock_path, "%s/lock", netd->folder);
    snprintf(from, sizeof from, "%s/ctl", netd->folder);
    snprintf(to, sizeof to, "%s/ctl.going", netd->folder);
    /* Of one that is hidden there is nothing to be found: what is there is another's. */
    POD_AUTO_FD int lock = netd->hidden ? -1 : open(lock_path, O_RDWR | O_CLOEXEC);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) && !pod_netd_without_locks(errno))
        return 0;
    if (lock >= 0 && rename(from, to) == 0) {
        if (pod_control_accept(netd->control) && pod_control_connections(netd->control)) {
            rename(to, from);
            return 0;
        }
        unlink(to);
    }
    if (netd->holder.socket >= 0)
        pod_holder_end(&netd->holder, netd->folder);
    /* Before the lock is let go of: what connects now is refused, and starts another. */
    close(POD_NETD_LISTENER);
    return 1;
}

/* One that could not begin answers those who wait for it; who comes later starts another. Whoever holds the lock started us
 * and is about to connect, or waits for a process that does not run. */
static int hide(const char *folder)
{
    struct timespec pause = {.tv_nsec = 1000000};
    char path[POD_NETD_PATH];

    snprintf(path, sizeof path, "%s/lock", folder);
    POD_AUTO_FD int lock = open(path, O_RDWR | O_CLOEXEC);
    for (int waited = 0; lock >= 0 && flock(lock, LOCK_EX | LOCK_NB); waited++) {
        if (pod_netd_without_locks(errno))
            break;
        if (waited >= HIDE_WAIT_MS)
            return 0;
        nanosleep(&pause, NULL);
    }
    snprintf(path, sizeof path, "%s/ctl", folder);
    return unlink(path) == 0;
}

/* Only while there is something to wait for: a netd with nothing to do is not woken. */
static void look(struct pod_timer *timer)
{
    struct netd *netd = NETD(timer, look);
    int waiting = pod_nets_tidy(&netd->world);

    netd->idle = pod_control_connections(netd->control) ? 0 : netd->idle + 1;
    if (netd->idle >= IDLE && go(netd))
        netd->loop.stopped = 1;
    else if (netd->idle || waiting)
        pod_loop_ring_at(&netd->loop, timer, pod_loop_now() + POD_TICK_MS);
}

static void holder_ended(struct pod_watch *watch, uint32_t events)
{
    struct netd *netd = NETD(watch, holder_watch);
    struct pod_err err;

    (void)events;
    pod_loop_forget(&netd->loop, watch);
    if (pod_holder_again(&netd->holder, netd->folder, &err)) {
        watch->fd = -1;
        return; /* the next request that needs it fails, and says so */
    }
    watch->fd = netd->holder.socket;
    pod_loop_watch(&netd->loop, watch, 0, &err);
}

static void settle_process(void)
{
    struct rlimit files;

    prctl(PR_SET_NAME, "pod-netd", 0, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN); /* children are reaped by the kernel */
    umask(077);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    for (int fd = POD_NETD_LISTENER; fd < POD_NETD_FDS; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(POD_NETD_LISTENER, F_SETFL, O_NONBLOCK);
}

static int open_all(struct netd *netd, int mapped, struct pod_err *err)
{
    return pod_holder_open(&netd->holder, netd->folder, mapped, err) ||
                   pod_links_open(&netd->world, err) || pod_gateway_open(&netd->world, err) ||
                   pod_resolver_open(&netd->world, err)
               ? -1
               : 0;
}

int main(int argc, char **argv)
{
    static struct netd netd = {.holder = {.socket = -1, .userns = -1, .netns = -1}};
    const struct pod_err *failed = NULL;
    struct pod_err err;

    if (argc != 3) {
        dprintf(2, "pod-netd: not for people: it is started by pod\n");
        return 2;
    }
    settle_process();
    netd.folder = argv[1];
    netd.world = (struct pod_world){.loop = &netd.loop, .holder = &netd.holder};
    if (strchr(argv[2], 'u') && strchr(argv[2], 'n')) {
        netd.holder.userns = POD_NETD_USERNS;
        netd.holder.netns = POD_NETD_NETNS;
    }
    if (pod_loop_init(&netd.loop, &err))
        return 1;
    if (open_all(&netd, strchr(argv[2], 'm') ? POD_NETD_MAPPED : -1, &netd.failed))
        failed = &netd.failed;
    netd.control = pod_control_open(&netd.world, POD_NETD_LISTENER, POD_NETD_PROGRAM, &netd.look,
                                    failed, &err);
    if (!netd.control)
        return 1;
    netd.hidden = failed && hide(netd.folder);
    netd.look.rings = look;
    pod_loop_ring_at(&netd.loop, &netd.look, pod_loop_now() + POD_TICK_MS);
    netd.holder_watch = (struct pod_watch){netd.holder.socket, holder_ended};
    if (!failed)
        pod_loop_watch(&netd.loop, &netd.holder_watch, 0, &err);
    pod_loop_run(&netd.loop);
    return 0;
}
