#include "spaces.h"

#include <fcntl.h>
#include <net/if.h>
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
    if (set_names(plan, err))
        return -1;
    if ((pod_plan_u64(plan, POD_KEY_FLAGS) & POD_PLAN_LOOPBACK) && loopback_up(err))
        return -1;
    return write_sysctls(plan, proc, err);
}
