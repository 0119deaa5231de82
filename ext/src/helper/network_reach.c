#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netd_start.h"
#include "network.h"
#include "spaces.h"

#ifndef NS_GET_PARENT
#define NS_GET_PARENT _IO(0xb7, 0x2)
#endif

int pod_network_connect(const struct pod_plan *plan, const int *seeds, struct pod_err *err)
{
    const char *folder = pod_plan_str(plan, POD_KEY_NETD);
    struct pod_netd_start start = {.folder = folder,
                                   .program = folder + strlen(folder) + 1,
                                   .program_fd = -1,
                                   .mapped = -1,
                                   .userns = -1,
                                   .netns = -1};
    struct pod_idmap map;
    int fd = pod_netd_connect_only(folder, err);

    if (fd >= 0 || (err->errnum != ENOENT && err->errnum != ECONNREFUSED))
        return fd;
    if (seeds) {
        start.userns = seeds[POD_SEED_USERNS];
        start.netns = seeds[POD_SEED_NETNS];
        start.program_fd = seeds[POD_SEED_PROGRAM];
        start.program = start.program_fd < 0 ? start.program : NULL;
    }
    /* A supervisor lives in the mapped namespace already. */
    int ranges = !seeds && pod_spaces_map(plan, &map) && map.newuidmap;
    POD_AUTO_FD int mapped = ranges ? pod_userns_open(&map, err) : -1;
    if (ranges && mapped < 0)
        return -1;
    start.mapped = mapped;
    return pod_netd_connect(&start, err);
}

/* Whether the calling process' user namespace has these extents in PATH: from here to there. */
static int has_extents(const char *path, const struct pod_id_extent *wanted, uint32_t count)
{
    char text[POD_EXTENTS_MAX * 36 + 1], *at = text;
    POD_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    uint32_t seen = 0;

    if (got <= 0)
        return 0;
    text[got] = '\0';
    for (; *at; seen++) {
        struct pod_id_extent one = {(uint32_t)strtoul(at, &at, 10), 0, 0};
        uint32_t i = 0;
        one.outside = (uint32_t)strtoul(at, &at, 10);
        one.count = (uint32_t)strtoul(at, &at, 10);
        at += strspn(at, "\n ");
        while (i < count && memcmp(&wanted[i], &one, sizeof one))
            i++;
        if (i == count)
            return 0;
    }
    return seen == count;
}

/* In a child, for there is no way back. What is seen from inside are the ids of the namespace around it: the caller's. */
static int has_map(int nsfd, const struct pod_idmap *map)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct pod_err ignored;
        _exit(pod_userns_join(nsfd, &ignored) ||
              !has_extents("/proc/self/uid_map", map->uid, map->uids) ||
              !has_extents("/proc/self/gid_map", map->gid, map->gids));
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 0;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int same_file(int one, int other)
{
    struct stat a, b;

    return !fstat(one, &a) && !fstat(other, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Around the user namespace of a container that is joined: from a sibling of it nobody gets in. -1: none is. */
static int around_shared(const struct pod_plan *plan, const struct pod_idmap *map)
{
    char path[64];

    if (!pod_plan_has(plan, POD_KEY_SHARE))
        return -1;
    snprintf(path, sizeof path, "/proc/%llu/ns/user",
             (unsigned long long)pod_plan_u64(plan, POD_KEY_SHARE_PID));
    POD_AUTO_FD int theirs = open(path, O_RDONLY | O_CLOEXEC);
    POD_AUTO_FD int around = theirs < 0 ? -1 : ioctl(theirs, NS_GET_PARENT);
    return around >= 0 && has_map(around, map) ? pod_steal_fd(&around) : -1;
}

int pod_network_namespace(struct pod_network *network, const struct pod_plan *plan,
                          const struct pod_idmap *map, struct pod_err *err)
{
    int shared = around_shared(plan, map);

    if (shared >= 0)
        return shared;
    if (!network->plan)
        return pod_userns_open(map, err);
    if (pod_network_greeted(network, err))
        return -1;
    POD_AUTO_FD int around = ioctl(network->seeds[POD_SEED_USERNS], NS_GET_PARENT);
    POD_AUTO_FD int pinned = pod_userns_pinned(map);
    if (around >= 0 && !same_file(around, pinned) && has_map(around, map))
        return pod_steal_fd(&around);
    return pinned >= 0 ? pod_steal_fd(&pinned) : pod_userns_open(map, err);
}
