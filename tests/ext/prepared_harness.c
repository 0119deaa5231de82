/* pod-helper whose calls fail on demand, for test_prepared_faults.py. Linked with -Wl,--wrap=NAME for each name below and
 * with main.c's main as helper_main.
 *   FAULT_AT     number of the wrapped call that fails, from 1
 *   FAULT_ERRNO  with what
 *   FAULT_LOG    a file that exists afterwards if there was such a call
 *   STOLEN       a file (a container's name) that another process takes over during rename(2) */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

int helper_main(int argc, char **argv);

static int calls, fault_at, fault_errno;

int __real_open(const char *path, int flags, ...);

static int fails(void)
{
    if (++calls != fault_at)
        return 0;
    close(__real_open(getenv("FAULT_LOG"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    errno = fault_errno;
    return 1;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list rest;

    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return fails() ? -1 : __real_open(path, flags, mode);
}

#define WRAP(type, name, parameters, arguments) \
    type __real_##name parameters;              \
    type __wrap_##name parameters               \
    {                                           \
        return fails() ? -1 : __real_##name arguments; \
    }

WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, flock, (int fd, int operation), (fd, operation))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, access, (const char *path, int mode), (path, mode))
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(int, fexecve, (int fd, char *const argv[], char *const environ[]), (fd, argv, environ))
WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
WRAP(ssize_t, getrandom, (void *data, size_t size, unsigned flags), (data, size, flags))
WRAP(ssize_t, sendfile, (int to, int from, off_t *offset, size_t size), (to, from, offset, size))

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    const char *stolen = getenv("STOLEN");

    if (fails())
        return -1;
    if (stolen) {
        int fd = __real_open(stolen, O_WRONLY | O_TRUNC | O_CLOEXEC);
        dprintf(fd, "%064d\n", 0);
        close(fd);
    }
    return __real_rename(from, to);
}

int main(int argc, char **argv)
{
    /* The helper that the start becomes runs undisturbed. */
    if (argc > 1 && !strcmp(argv[1], "start") && getenv("FAULT_AT")) {
        fault_at = atoi(getenv("FAULT_AT"));
        fault_errno = atoi(getenv("FAULT_ERRNO"));
    }
    return helper_main(argc, argv);
}
