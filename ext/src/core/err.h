/* How every fallible function of the C core reports: which step failed, errno, and on what path.
 *
 * Convention: `int f(…, struct pod_err *err)` returns 0 (or a descriptor >= 0) on success and -1 after filling *err at the
 * failing call. Nothing here logs, allocates or exits; all of it is async-signal-safe and may run between clone and exec. */
#ifndef POD_ERR_H
#define POD_ERR_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "steps.h"

#define POD_STEP_ENUM(name, words) POD_##name,
enum pod_step { POD_STEPS(POD_STEP_ENUM) POD_STEP_COUNT };
#undef POD_STEP_ENUM

#define POD_ERR_PATH_MAX 256

/* Sent as it is over SOCK_SEQPACKET from the container's first process to its supervisor. */
struct pod_err {
    int32_t step;   /* enum pod_step */
    int32_t errnum; /* errno, or 0 where no system call was at fault */
    char path[POD_ERR_PATH_MAX]; /* NUL-terminated, cut at the front with "..." where too long */
};

/* Fills *err with errno as it stands; returns -1. */
int pod_fail(struct pod_err *err, enum pod_step step, const char *path);
/* The same with an errno of the caller's choice. */
int pod_fail_errno(struct pod_err *err, enum pod_step step, int errnum, const char *path);
/* "EXEC", "MOUNT", …: the stable name. */
const char *pod_step_name(int step);
/* The step of that name; POD_INTERNAL where there is none. */
int pod_step_number(const char *name);
/* Words for people. */
const char *pod_step_words(int step);

/* Cleanup attributes: the descriptor or allocation is released when the variable leaves its scope. */
void pod_cleanup_fd(int *fd);
void pod_cleanup_free(void *pointer);
#define POD_AUTO_FD __attribute__((cleanup(pod_cleanup_fd)))
#define POD_AUTO_FREE __attribute__((cleanup(pod_cleanup_free)))
/* Takes the descriptor out of an auto variable, so that it survives the scope. */
static inline int pod_steal_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

#endif
