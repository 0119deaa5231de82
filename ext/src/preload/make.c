#include <asm/stat.h>
#include <stdarg.h>

#include "preload.h"

#define SETGID_BIT 02000u
#define PATH_SIZE 4096
#define TMPFILE 020000000 /* __O_TMPFILE; with O_DIRECTORY it is O_TMPFILE */

/* Whether root makes PATH, in a folder that does not hand its group on: then the kernel does all that is to be done. Where
 * the folder cannot be looked at, the kernel words the error. */
static int is_plain(int dirfd, const char *path)
{
    struct stat st;
    char folder[PATH_SIZE];
    size_t end = 0, length = 0;
    long failed;

    if (!path || !page_of() || token_of_thread())
        return 0;
    /* The last slash that has a name behind it: mkdir("a/b/") makes b. */
    for (; path[length]; length++)
        if (path[length] == '/' && path[length + 1] && path[length + 1] != '/')
            end = length + 1;
    if (!end && dirfd != AT_FDCWD) {
        failed = call6(__NR_newfstatat, dirfd, (long)"", (long)&st, AT_EMPTY_PATH, 0, COOKIE);
    } else {
        if (end >= sizeof folder)
            return 0;
        for (size_t i = 0; i < end; i++)
            folder[i] = path[i];
        if (!end)
            folder[end++] = '.';
        folder[end] = '\0';
        failed = call6(__NR_newfstatat, dirfd, (long)folder, (long)&st, 0, 0, COOKIE);
    }
    return failed || !(st.st_mode & SETGID_BIT);
}

/* What the C library has for files that are there already, a place where a thread can be cancelled: it looks at nothing that
 * is emulated. Only glibc has these. */
extern int __open64_2(const char *path, int flags) __attribute__((weak));
extern int __openat64_2(int dirfd, const char *path, int flags) __attribute__((weak));

static int create(int dirfd, const char *path, int flags, unsigned mode)
{
    long cookie = !(flags & TMPFILE) && is_plain(dirfd, path) ? COOKIE : 0;

    return (int)result_of(call6(__NR_openat, dirfd, (long)path, flags, mode, 0, cookie));
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list rest;
    unsigned mode = 0;

    if (flags & (O_CREAT | TMPFILE)) {
        va_start(rest, flags);
        mode = va_arg(rest, unsigned);
        va_end(rest);
        return create(AT_FDCWD, path, flags, mode);
    }
    if (__open64_2)
        return __open64_2(path, flags);
    return (int)result_of(call4(__NR_openat, AT_FDCWD, (long)path, flags, 0));
}

EXPORT int openat(int dirfd, const char *path, int flags, ...)
{
    va_list rest;
    unsigned mode = 0;

    if (flags & (O_CREAT | TMPFILE)) {
        va_start(rest, flags);
        mode = va_arg(rest, unsigned);
        va_end(rest);
        return create(dirfd, path, flags, mode);
    }
    if (__openat64_2)
        return __openat64_2(dirfd, path, flags);
    return (int)result_of(call4(__NR_openat, dirfd, (long)path, flags, 0));
}

EXPORT int creat(const char *path, unsigned mode)
{
    return create(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int open64(const char *path, int flags, ...) ALIAS(open);
int openat64(int dirfd, const char *path, int flags, ...) ALIAS(openat);
int creat64(const char *path, unsigned mode) ALIAS(creat);

EXPORT int mkdirat(int dirfd, const char *path, unsigned mode)
{
    long cookie = is_plain(dirfd, path) ? COOKIE : 0;

    return (int)result_of(call6(__NR_mkdirat, dirfd, (long)path, mode, 0, 0, cookie));
}

EXPORT int mkdir(const char *path, unsigned mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

EXPORT int symlinkat(const char *target, int dirfd, const char *path)
{
    long cookie = is_plain(dirfd, path) ? COOKIE : 0;

    return (int)result_of(call6(__NR_symlinkat, (long)target, dirfd, (long)path, 0, 0, cookie));
}

EXPORT int symlink(const char *target, const char *path)
{
    return symlinkat(target, AT_FDCWD, path);
}
