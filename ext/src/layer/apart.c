#define _GNU_SOURCE 1

#include "apart.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compress.h"

struct job {
    int fd;
    int answer;
    int plain; /* the archive to TARGET, instead of a tree */
    int target;
    struct pod_extract_options options;
};

/* What is below 3 gets another number: /dev/null takes those. */
static int lift(int *fd)
{
    if (*fd >= 0 && *fd < 3)
        *fd = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
    return *fd;
}

static int shut_in(struct job *job, int userns, unsigned *walls, struct pod_err *err)
{
    struct pod_extract_options *options = &job->options;
    struct pod_sandbox sandbox = {.mapped = options->mapped, .userns = userns};
    int following = options->follow >= 0;

    if (lift(&job->answer) < 0 || lift(&job->fd) < 0 || lift(&options->root_fd) < 0 ||
        (lift(&options->owners_fd) < 0 && !job->plain) ||
        (lift(&options->follow) < 0 && following) || (lift(&job->target) < 0 && job->plain))
        return pod_fail(err, POD_OPEN, "descriptor");
    int kept[] = {job->answer,        job->fd,         options->root_fd,
                  options->owners_fd, options->follow, job->target};
    pod_sandbox_close(kept, sizeof kept / sizeof *kept);
    sandbox.dirfd = options->root_fd;
    return pod_sandbox_enter(&sandbox, walls, err);
}

/* A directory in which nothing can be made: what this process itself has open, /proc/self/fdinfo. */
static int open_nowhere(struct pod_err *err)
{
    int fd = open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? pod_fail(err, POD_OPEN, "/proc/self/fdinfo") : fd;
}

static int work(struct job *job, struct pod_extract_result *result, struct pod_err *err)
{
    struct pod_patience nobody = {NULL, NULL, 0};

    if (!job->plain)
        return pod_extract(job->fd, &job->options, result, err);
    return pod_decompress(job->fd, job->target, job->options.max_bytes, &nobody, &result->sum, err);
}

static _Noreturn void run(struct job *job, int userns, pid_t parent)
{
    struct pod_apart_answer answer;
    unsigned walls = 0;
    ssize_t ignored;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(125);
    for (int number = 1; number < 65; number++)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, number == SIGPIPE || number == SIGINT || number == SIGQUIT ||
                                   number == SIGHUP || number == SIGTSTP
                               ? SIG_IGN /* the caller decides about those of the terminal */
                               : SIG_DFL);
    memset(&answer, 0, sizeof answer);
    job->options.umask_is_0 = 1;
    umask(0);
    if (job->plain)
        job->options.root_fd = open_nowhere(&answer.err);
    answer.failed = job->options.root_fd < 0 || shut_in(job, userns, &walls, &answer.err) < 0 ||
                    work(job, &answer.result, &answer.err) < 0;
    answer.walls = walls;
    ignored = write(job->answer, &answer, sizeof answer);
    (void)ignored;
    _exit(0);
}

static int start(struct job *job, int userns, struct pod_apart *apart, struct pod_err *err)
{
    pid_t parent = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return pod_fail(err, POD_SOCKET, "pipe");
    job->answer = ends[1];
    apart->child = fork();
    if (apart->child == 0) {
        close(ends[0]);
        run(job, userns, parent);
    }
    close(ends[1]);
    if (apart->child < 0) {
        pod_fail(err, POD_FORK, NULL);
        close(ends[0]);
        return -1;
    }
    apart->answer = ends[0];
    return 0;
}

int pod_apart_start(int fd, const struct pod_extract_options *options, int userns,
                    struct pod_apart *apart, struct pod_err *err)
{
    struct job job = {.fd = fd, .target = -1, .options = *options};

    job.options.interrupted = NULL;
    job.options.context = NULL;
    return start(&job, userns, apart, err);
}

int pod_apart_plain(int fd, int target, uint64_t max_bytes, int userns, struct pod_apart *apart,
                    struct pod_err *err)
{
    struct job job = {.fd = fd, .plain = 1, .target = target};

    job.options = (struct pod_extract_options){
        .root_fd = -1, .owners_fd = -1, .follow = -1, .max_bytes = max_bytes};
    return start(&job, userns, apart, err);
}

int pod_apart_finish(struct pod_apart *apart, struct pod_extract_result *result,
                     struct pod_err *err)
{
    struct pod_apart_answer answer;
    size_t got = 0;
    ssize_t length;

    while (got < sizeof answer &&
           ((length = read(apart->answer, (char *)&answer + got, sizeof answer - got)) > 0 ||
            (length < 0 && errno == EINTR)))
        got += length > 0 ? (size_t)length : 0;
    close(apart->answer);
    while (waitpid(apart->child, NULL, 0) < 0 && errno == EINTR)
        ;
    if (got < sizeof answer)
        return pod_fail_errno(err, POD_WAIT, ECHILD, "unpacking");
    *result = answer.result;
    *err = answer.err;
    return answer.failed ? -1 : 0;
}
