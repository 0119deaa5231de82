/* Trials of the walls around unpacking. */
#include "probe_trials.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox.h"

int pod_try_landlock(const char *scratch, struct pod_err *err)
{
    int version = pod_landlock_version();

    (void)scratch;
    if (!version)
        return pod_fail(err, POD_PROBE, "landlock");
    return version < 2 ? pod_fail_errno(err, POD_PROBE, EXDEV, "landlock, version 1") : 0;
}

/* Goes behind all of them in SCRATCH, and looks whether the root and the calls are what they should be. */
int pod_try_sandbox(const char *scratch, struct pod_err *err)
{
    struct pod_sandbox sandbox = {.dirfd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                  .userns = 1};
    unsigned walls;

    if (sandbox.dirfd < 0)
        return pod_fail(err, POD_OPEN, scratch);
    if (pod_sandbox_enter(&sandbox, &walls, err))
        return -1;
    if (!(walls & POD_WALL_CALLS) || socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
        return pod_fail_errno(err, POD_SECCOMP, EPERM, "a list of system calls");
    if (!(walls & POD_WALL_ROOT) || !access("/proc", F_OK))
        return pod_fail_errno(err, POD_PIVOT, EPERM, "a root of its own");
    return 0;
}
