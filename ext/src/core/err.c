#include "err.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POD_STEP_NAME(name, words) #name,
static const char *const step_names[] = {POD_STEPS(POD_STEP_NAME)};
#undef POD_STEP_NAME
#define POD_STEP_WORDS(name, words) words,
static const char *const step_words[] = {POD_STEPS(POD_STEP_WORDS)};
#undef POD_STEP_WORDS

int pod_fail_errno(struct pod_err *err, enum pod_step step, int errnum, const char *path)
{
    size_t length = path ? strlen(path) : 0;

    err->step = (int32_t)step;
    err->errnum = (int32_t)errnum;
    if (length < sizeof err->path) {
        if (length)
            memcpy(err->path, path, length);
        err->path[length] = '\0';
    } else {
        /* The end of a path says more than its beginning. */
        size_t kept = sizeof err->path - 4;
        memcpy(err->path, "...", 3);
        memcpy(err->path + 3, path + length - kept, kept);
        err->path[sizeof err->path - 1] = '\0';
    }
    return -1;
}

int pod_fail(struct pod_err *err, enum pod_step step, const char *path)
{
    return pod_fail_errno(err, step, errno, path);
}

const char *pod_step_name(int step)
{
    return step >= 0 && step < POD_STEP_COUNT ? step_names[step] : "INTERNAL";
}

int pod_step_number(const char *name)
{
    for (int step = 0; step < POD_STEP_COUNT; step++)
        if (!strcmp(step_names[step], name))
            return step;
    return POD_INTERNAL;
}

const char *pod_step_words(int step)
{
    return step >= 0 && step < POD_STEP_COUNT ? step_words[step] : step_words[POD_INTERNAL];
}

void pod_cleanup_fd(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}

void pod_cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}
