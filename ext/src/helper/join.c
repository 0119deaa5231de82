#include "join.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "confine.h"
#include "inner.h"
#include "userns.h"

#ifndef NS_GET_USERNS
#define NS_GET_USERNS _IO(0xb7, 0x1)
#endif

struct kind {
    uint64_t flag;
    const char *name;
};

/* The mount namespace before the others would do as well; it sets root and working directory. */
static const struct kind kinds[] = {
    {CLONE_NEWNS, "mnt"},  {CLONE_NEWPID, "pid"}, {CLONE_NEWUTS, "uts"},
    {CLONE_NEWIPC, "ipc"}, {CLONE_NEWNET, "net"}, {CLONE_NEWCGROUP, "cgroup"},
};

#define KINDS (sizeof kinds / sizeof *kinds)

static int open_all(int *fds, int *userfd, pid_t pid, uint64_t namespaces, struct pod_err *err)
{
    char path[64];

    for (size_t i = 0; i < KINDS; i++) {
        if (!(namespaces & kinds[i].flag))
            continue;
        snprintf(path, sizeof path, "/proc/%ld/ns/%s", (long)pid, kinds[i].name);
        fds[i] = open(path, O_RDONLY | O_CLOEXEC);
        if (fds[i] < 0)
            return pod_fail(err, POD_SETNS, path);
        if (kinds[i].flag == CLONE_NEWNS && (*userfd = ioctl(fds[i], NS_GET_USERNS)) < 0)
            return pod_fail(err, POD_SETNS, "user");
    }
    return *userfd < 0 ? pod_fail_errno(err, POD_PLAN, EINVAL, "NAMESPACES") : 0;
}

/* HOST_PROC below 0: no inner namespace is to be offered. */
static int enter_all(const int *fds, int userfd, int single, int host_proc, int *inner,
                     struct pod_err *err)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return pod_fail(err, POD_SETNS, "dumpable");
    if (setns(userfd, CLONE_NEWUSER))
        return pod_fail(err, POD_SETNS, "user");
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* fs.suid_dumpable may have made it so again */
    for (size_t i = 0; i < KINDS; i++) {
        if (fds[i] >= 0 && setns(fds[i], (int)kinds[i].flag))
            return pod_fail(err, POD_SETNS, kinds[i].name);
        if (kinds[i].flag == CLONE_NEWNS && host_proc >= 0 &&
            (*inner = pod_inner_offer(host_proc, -1, err)) < 0)
            return -1;
    }
    return single ? 0 : pod_confine_ids(0, 0, NULL, 0, err);
}

int pod_join(const struct pod_plan *plan, int host_proc, int *inner, struct pod_err *err)
{
    pid_t pid = (pid_t)pod_plan_u64(plan, POD_KEY_PID);
    int single = (pod_plan_u64(plan, POD_KEY_FLAGS) & POD_PLAN_SINGLE_ID) != 0;
    int fds[KINDS], userfd = -1, failed;

    for (size_t i = 0; i < KINDS; i++)
        fds[i] = -1;
    failed = open_all(fds, &userfd, pid, pod_plan_u64(plan, POD_KEY_NAMESPACES), err);
    /* After the opens: had the pid been reused before them, the start time would differ now. */
    if (!failed && pod_process_start(pid) != pod_plan_u64(plan, POD_KEY_PID_START))
        failed = pod_fail_errno(err, POD_SETNS, ESRCH, "process");
    if (!failed)
        failed =
            enter_all(fds, userfd, single, pod_inner_needed(plan) ? host_proc : -1, inner, err);
    for (size_t i = 0; i < KINDS; i++)
        pod_cleanup_fd(&fds[i]);
    pod_cleanup_fd(&userfd);
    return failed;
}
