#include "job.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../core/beneath.h"
#include "../core/confine.h"
#include "walk.h"

void pod_job_omit(struct pod_job_result *result, uint64_t *count, const char *name)
{
    if (!result->name[0])
        strncpy(result->name, name, sizeof result->name - 1);
    ++*count;
}

/* ---- look ----------------------------------------------------- */

int pod_job_path_of(int fd, char *path, size_t size)
{
    char self[32] = "self/fd/", *end = self + 8;
    ssize_t length;

    for (int unit = 1000000000, some = 0; unit; unit /= 10)
        if (fd / unit % 10 || some || unit == 1)
            *end++ = (char)('0' + fd / unit % 10), some = 1;
    *end = '\0';
    length = readlink(self, path, size - 1);
    if (length <= 0 || path[0] != '/')
        return -1;
    path[length] = '\0';
    return 0;
}

static void look_at_place(const struct pod_view *view, int fd, struct pod_job_result *result)
{
    struct statvfs fs;
    struct stat root, st;

    if (!fstatvfs(fd, &fs) && fs.f_flag & ST_RDONLY)
        result->look |= POD_LOOK_READ_ONLY;
    if (!fstat(view->root, &root) && !fstat(fd, &st) && root.st_dev == st.st_dev)
        result->look |= POD_LOOK_ON_ROOT;
}

/* PATH does not exist: result->path is where it would be made, in a directory that does. A link to nothing is followed. */
static int look_at_missing(const struct pod_job *job, struct pod_view *view,
                           struct pod_job_result *result, struct pod_err *err)
{
    char path[PATH_MAX], target[PATH_MAX], name[NAME_MAX + 1];

    if (strlen(job->path) >= sizeof path)
        return pod_fail_errno(err, POD_RESOLVE, ENAMETOOLONG, job->path);
    strcpy(path, job->path);
    for (int links = 0; links < 10; links++) {
        POD_AUTO_FD int parent = pod_parent_in_root(view->root, path, 0, name, err);
        ssize_t length = parent < 0 ? -1 : readlinkat(parent, name, target, sizeof target - 1);
        size_t used;

        if (parent < 0 || pod_job_path_of(parent, path, sizeof path) < 0)
            return parent < 0 ? -1 : pod_fail(err, POD_RESOLVE, job->path);
        used = strlen(path);
        if (length > 0)
            target[length] = '\0';
        if (used + (length > 0 ? (size_t)length : strlen(name)) + 2 > sizeof path)
            return pod_fail_errno(err, POD_RESOLVE, ENAMETOOLONG, job->path);
        if (used > 1)
            path[used++] = '/';
        if (length <= 0) {
            strcpy(path + used, name);
            strcpy(result->path, path);
            look_at_place(view, parent, result);
            return 0;
        }
        if (target[0] == '/')
            strcpy(path, target);
        else
            strcpy(path + used, target);
    }
    return pod_fail_errno(err, POD_RESOLVE, ELOOP, job->path);
}

int pod_job_look(const struct pod_job *job, struct pod_view *view, struct pod_job_result *result,
                 struct pod_err *err)
{
    int flags = O_PATH | (job->flags & POD_JOB_FOLLOW ? 0 : O_NOFOLLOW);
    POD_AUTO_FD int fd = pod_open_in_root(view->root, job->path, flags, 0, err);
    struct stat st;

    if (fd < 0 && job->flags & POD_JOB_MAKE && err->errnum == ENOENT) {
        struct pod_job again = *job;

        again.flags &= ~(unsigned)POD_JOB_MAKE;
        return pod_job_make(job, view, result, err) < 0 ? -1
                                                        : pod_job_look(&again, view, result, err);
    }
    if (fd < 0)
        return err->errnum == ENOENT && job->flags & POD_JOB_FOLLOW
                   ? look_at_missing(job, view, result, err)
                   : -1;
    if (fstat(fd, &st) < 0 || pod_job_path_of(fd, result->path, sizeof result->path) < 0)
        return pod_fail(err, POD_STAT, job->path);
    result->look = POD_LOOK_EXISTS;
    result->mode = st.st_mode;
    look_at_place(view, fd, result);
    return 0;
}

/* ---- size ----------------------------------------------------- */

static int size_of(const struct pod_job *job, struct pod_job_result *result, struct pod_err *err)
{
    POD_AUTO_FD int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (proc < 0)
        return pod_fail(err, POD_OPEN, "/proc");
    if (pod_view_own_namespaces(job->plan, proc, err) < 0)
        return -1;
    POD_AUTO_FD int top = open(job->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0)
        return pod_fail(err, POD_OPEN, job->path);
    return pod_tree_size(top, &result->bytes, err);
}

/* ---- the process ----------------------------------------------------- */

static int work(const struct pod_job *job, struct pod_job_result *result, struct pod_err *err)
{
    struct pod_view view;
    struct pod_view *seen = NULL;

    if (job->kind == POD_JOB_DIFF)
        return pod_job_diff(job, result, err);
    if (job->kind == POD_JOB_LAYER)
        return pod_job_layer(job, result, err);
    if (job->kind == POD_JOB_SIZE)
        return size_of(job, result, err);
    if (job->plan) {
        unsigned flags = job->kind == POD_JOB_EXPORT ? POD_VIEW_BARE
                         : job->kind == POD_JOB_UNPACK || job->flags & POD_JOB_MAKE
                             ? POD_VIEW_WRITES
                             : 0;
        if (pod_view_open(job->plan, flags, &view, err))
            return -1;
        seen = &view;
    } else if (chdir("/proc")) {
        return pod_fail(err, POD_CHDIR, "/proc");
    }
    switch (job->kind) {
    case POD_JOB_LOOK:
        return pod_job_look(job, seen, result, err);
    case POD_JOB_PACK:
    case POD_JOB_EXPORT:
        return pod_job_pack(job, seen, result, err);
    case POD_JOB_UNPACK:
        return pod_job_unpack(job, seen, result, err);
    case POD_JOB_PICK:
        return pod_job_pick(job, seen, result, err);
    case POD_JOB_SIZE:
    case POD_JOB_LAYER:
    case POD_JOB_DIFF:
        break;
    }
    return pod_fail_errno(err, POD_INTERNAL, EINVAL, "job");
}

/* Nothing but stdio and those three stays open: an end of a pipe that somebody else holds is never seen to end. */
static int keep_only(int *one, int *other, int *third, struct pod_err *err)
{
    int *kept[] = {one, other, third};
    int to = 3;

    for (int i = 0; i < 3; i++) {
        int copy = *kept[i] < 0 ? -1 : fcntl(*kept[i], F_DUPFD_CLOEXEC, 1000);

        if (*kept[i] >= 0 && copy < 0)
            copy = fcntl(*kept[i], F_DUPFD_CLOEXEC, 200); /* a small RLIMIT_NOFILE */
        if (*kept[i] >= 0 && copy < 0)
            return pod_fail(err, POD_OPEN, "descriptor");
        *kept[i] = copy;
    }
    for (int i = 0; i < 3; i++)
        if (*kept[i] >= 0 && (*kept[i] = dup3(*kept[i], to, O_CLOEXEC)) < 0)
            return pod_fail(err, POD_OPEN, "descriptor");
        else
            to += *kept[i] >= 0;
    pod_close_from((unsigned)to);
    return 0;
}

static _Noreturn void run(const struct pod_job *job, int answer, pid_t parent)
{
    struct pod_job mine = *job;
    struct pod_job_result *result = calloc(1, sizeof *result);
    ssize_t ignored;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (!result || getppid() != parent)
        _exit(125);
    for (int number = 1; number < 65; number++)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    result->failed = keep_only(&answer, &mine.stream, &mine.dirfd, &result->err) < 0 ||
                     work(&mine, result, &result->err) < 0;
    ignored = write(answer, result, sizeof *result);
    (void)ignored;
    _exit(0);
}

int pod_job_start(const struct pod_job *job, pid_t *child, int *result, struct pod_err *err)
{
    pid_t parent = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return pod_fail(err, POD_SOCKET, "pipe");
    *child = fork();
    if (*child == 0)
        run(job, ends[1], parent);
    close(ends[1]);
    if (*child < 0) {
        close(ends[0]);
        return pod_fail(err, POD_FORK, NULL);
    }
    *result = ends[0];
    return 0;
}
