#include "probe.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe_trials.h"

/* In the child: the trial's world, then the trial. */
static int enter_and_try(const struct pod_trial *trial, const char *scratch, struct pod_err *err)
{
    if (trial->world != OUTSIDE) {
        POD_AUTO_FD int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (proc < 0)
            return pod_fail(err, POD_OPEN, "/proc");
        if (pod_userns_unshare_single(proc, 0, 0, err))
            return -1;
    }
    if (trial->world == MOUNTING) {
        if (unshare(CLONE_NEWNS))
            return pod_fail(err, POD_CLONE, "mnt");
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
            return pod_fail(err, POD_PROPAGATION, "/");
    }
    if (trial->namespaces && unshare(trial->namespaces))
        return pod_fail(err, POD_CLONE, trial->name);
    if (chdir(scratch))
        return pod_fail(err, POD_CHDIR, scratch);
    return trial->run(scratch, err);
}

/* A child that cannot hang, hold the caller's terminal or write to it. Returns WRITER, out of the
 * way of 0, 1 and 2. */
static int settle_child(int writer)
{
    int moved = fcntl(writer, F_DUPFD_CLOEXEC, 3);

    signal(SIGALRM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd < 3; fd++)
        dup2(null, fd);
    alarm(POD_PROBE_SECONDS);
    return moved;
}

/* Reads the child's answer and its end. An empty pipe is success only if the child left by itself.
 */
static int collect(pid_t child, int reader, const char *name, struct pod_err *err)
{
    struct pod_err answer;
    int status;
    ssize_t got;

    do
        got = read(reader, &answer, sizeof answer);
    while (got < 0 && errno == EINTR);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return pod_fail(err, POD_WAIT, name);
    if (got == (ssize_t)sizeof answer) {
        answer.path[sizeof answer.path - 1] = '\0';
        *err = answer;
        return -1;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    int late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    return pod_fail_errno(err, POD_PROBE,
                          late                  ? ETIMEDOUT
                          : WIFSIGNALED(status) ? EINTR
                                                : EIO,
                          name);
}

static void answer_and_exit(int writer, int result, const struct pod_err *err)
{
    if (result && write(writer, err, sizeof *err) != (ssize_t)sizeof *err)
        _exit(1);
    _exit(0);
}

static const struct pod_trial *find_trial(const struct pod_trial *trials, const char *name)
{
    for (; trials->name; trials++)
        if (!strcmp(trials->name, name))
            return trials;
    return NULL;
}

int pod_probe(const char *name, const char *scratch, struct pod_err *err)
{
    const struct pod_trial *trial = find_trial(pod_mount_trials, name);
    int ends[2];

    if (!trial)
        trial = find_trial(pod_call_trials, name);
    if (!trial)
        return pod_fail_errno(err, POD_PROBE, EINVAL, name);
    if (pipe2(ends, O_CLOEXEC))
        return pod_fail(err, POD_PROBE, name);
    POD_AUTO_FD int reader = ends[0];
    pid_t child = fork();
    if (child == 0) {
        int writer = settle_child(ends[1]);
        answer_and_exit(writer, enter_and_try(trial, scratch, err), err);
    }
    close(ends[1]);
    return child < 0 ? pod_fail(err, POD_FORK, name) : collect(child, reader, name, err);
}

int pod_probe_range(const struct pod_idmap *map, struct pod_err *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return pod_fail(err, POD_PROBE, "range");
    POD_AUTO_FD int reader = ends[0];
    pid_t child = fork();
    if (child == 0) {
        int writer = settle_child(ends[1]);
        int namespace = pod_userns_open(map, err);
        answer_and_exit(writer, namespace < 0 || pod_userns_enter(namespace, err), err);
    }
    close(ends[1]);
    return child < 0 ? pod_fail(err, POD_FORK, "range") : collect(child, reader, "range", err);
}
