/* Where a COPY goes: the directories that are missing on the way are made, and are somebody's. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../core/beneath.h"
#include "job.h"

#define MODE 0755

static int own(const struct pod_job *job, struct pod_view *view, int fd, const char *path,
               struct pod_job_result *result, struct pod_err *err)
{
    struct pod_owned owned = {.uid = job->uid, .gid = job->gid};
    int failed = EPERM;

    if (!job->uid && !job->gid)
        return 0;
    if (view->mapped && !fchownat(fd, "", job->uid, job->gid, AT_EMPTY_PATH))
        return 0;
    if (view->has_records)
        failed = -pod_records_set(&view->records, fd, &owned);
    if (failed == ENOSPC || failed == EDQUOT || failed == EIO)
        return pod_fail_errno(err, POD_OWNERS, failed, path);
    if (failed)
        pod_job_omit(result, &result->owners, path);
    return 0;
}

/* PATH is a directory afterwards. */
static int make(const struct pod_job *job, struct pod_view *view, const char *path,
                struct pod_job_result *result, struct pod_err *err)
{
    struct pod_err missing;
    POD_AUTO_FD int there = pod_open_in_root(view->root, path, O_PATH | O_DIRECTORY, 0, &missing);

    if (there >= 0)
        return 0;
    if (missing.errnum != ENOENT) {
        *err = missing;
        return -1;
    }
    POD_AUTO_FD int fd = pod_mkdirs_in_root(view->root, path, MODE, err);
    return fd < 0 ? -1 : own(job, view, fd, path, result, err);
}

int pod_job_make(const struct pod_job *job, struct pod_view *view, struct pod_job_result *result,
                 struct pod_err *err)
{
    char path[PATH_MAX];
    size_t length = strlen(job->path);

    if (!view)
        return pod_fail_errno(err, POD_INTERNAL, EINVAL, "job");
    if (length >= sizeof path)
        return pod_fail_errno(err, POD_RESOLVE, ENAMETOOLONG, job->path);
    memcpy(path, job->path, length + 1);
    for (size_t at = 1; at < length; at++) {
        if (path[at] != '/' || path[at - 1] == '/')
            continue;
        path[at] = '\0';
        if (make(job, view, path, result, err) < 0)
            return -1;
        path[at] = '/';
    }
    return 0;
}
