#include <asm/stat.h>

#include "preload.h"

#define SETID_BITS 06000u
#define ACCES 13
#define NOEXEC 8
#define TOOLONG 36
#define NOTDIR 20
#define PATH_SIZE 4096

extern char **environ __attribute__((weak));

/* The emulator wants to know of root's exec only where the program has set-id bits. */
static long execute(const char *path, char *const *argv, char *const *envp)
{
    struct stat st;
    long cookie = 0;

    if (page_of() && !token_of_thread() &&
        (call6(__NR_newfstatat, AT_FDCWD, (long)path, (long)&st, 0, 0, COOKIE) ||
         !(st.st_mode & SETID_BITS)))
        cookie = COOKIE;
    return call6(__NR_execve, (long)path, (long)argv, (long)envp, 0, 0, cookie);
}

EXPORT int execve(const char *path, char *const *argv, char *const *envp)
{
    return (int)result_of(execute(path, argv, envp));
}

EXPORT int execv(const char *path, char *const *argv)
{
    return (int)result_of(execute(path, argv, &environ ? environ : NULL));
}
