#include "spaces.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Brings lo up; the namespace is ours alone. */
static int loopback_up(struct pod_err *err)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    POD_AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
        return pod_fail(err, POD_NETNS, "lo");
    return 0;
}

/* /proc/sys/{net,kernel,…} show the writer's own namespaces, whichever proc mount they are reached by. */
static int write_sysctls(const struct pod_plan *plan, int proc, struct pod_err *err)
{
    const char *path = pod_plan_str(plan, POD_KEY_SYSCTLS);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_SYSCTLS);
    char name[512];

    for (uint32_t i = 0; i + 1 < count; i += 2) {
        const char *value = path + strlen(path) + 1;
        size_t length = strlen(value);
        int optional = path[0] == '-'; /* "-net/…": absent on some kernels */
        snprintf(name, sizeof name, "sys/%s", path + optional);
        POD_AUTO_FD int fd = openat(proc, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if ((fd < 0 || write(fd, value, length) != (ssize_t)length) && !optional)
            return pod_fail(err, POD_SYSCTL, path);
        path = value + length + 1;
    }
    return 0;
}

static int set_names(const struct pod_plan *plan, struct pod_err *err)
{
    const char *host = pod_plan_str(plan, POD_KEY_HOSTNAME),
               *domain = pod_plan_str(plan, POD_KEY_DOMAINNAME);

    if (host && sethostname(host, strlen(host)))
        return pod_fail(err, POD_HOSTNAME, host);
    if (domain && setdomainname(domain, strlen(domain)))
        return pod_fail(err, POD_HOSTNAME, domain);
    return 0;
}

int pod_spaces_settle(const struct pod_plan *plan, int proc, struct pod_err *err)
{
    /* Here and not by clone(2): its root is the group that a process is in when it makes it (cgroup_namespaces(7)). */
    if (pod_plan_has(plan, POD_KEY_GROUPS_IN) &&
        pod_plan_u64(plan, POD_KEY_NAMESPACES) & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP))
        return pod_fail(err, POD_CGROUP, "namespace");
    if (set_names(plan, err))
        return -1;
    if ((pod_plan_u64(plan, POD_KEY_FLAGS) & POD_PLAN_LOOPBACK) && loopback_up(err))
        return -1;
    return write_sysctls(plan, proc, err);
}

int pod_spaces_map(const struct pod_plan *plan, struct pod_idmap *map)
{
    uint32_t uids, gids;

    map->uid = pod_plan_blob(plan, POD_KEY_UID_MAP, &uids);
    map->gid = pod_plan_blob(plan, POD_KEY_GID_MAP, &gids);
    map->uids = uids / (uint32_t)sizeof *map->uid;
    map->gids = gids / (uint32_t)sizeof *map->gid;
    map->newuidmap = pod_plan_str(plan, POD_KEY_NEWUIDMAP);
    map->newgidmap = pod_plan_str(plan, POD_KEY_NEWGIDMAP);
    map->pins = pod_plan_str(plan, POD_KEY_PINS);
    return map->uid && map->gid;
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
int pod_spaces_stdio(uint64_t flags, int theirs[3], int ours[3], struct pod_err *err)
{
    for (int i = 0; i < 3; i++)
        ours[i] = theirs[i] = -1;
    if (flags & POD_PLAN_TTY)
        return 0;
    if (flags & POD_PLAN_STDIN) {
        if (make_pipe(&theirs[0], &ours[0], err))
            return -1;
    } else if ((theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) {
        return pod_fail(err, POD_OPEN, "/dev/null");
    }
    return make_pipe(&ours[1], &theirs[1], err) || make_pipe(&ours[2], &theirs[2], err) ? -1 : 0;
}
