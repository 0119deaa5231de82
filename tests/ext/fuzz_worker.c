/* A process that calls what the emulator answers, with arguments that another thread changes meanwhile (fuzz_emulator.c). */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz_emulator.h"

#define POOL 8192
#define SLOT 512

static char *pool, *low;

static void any_path(char *at)
{
    static const char *const parts[] = {
        "/race/file", "/race/link/x", "/race/dir/y", "/race/link", "file", "dir/../file", "", "/", ".", "..", "x/",
        "/proc/self/fd/3", "/proc/self/exe", "/dev/fd/1", "/proc/self/root/race/file", "/proc/1/root/race", "/race/elf",
        "/proc/self/cwd/../race", "/proc/thread-self/fd/9999999999", "/race/sub/../../../../..", "/race/loop/z", "/race/fifo",
        "/proc/self/task/self/../status", "/race/link/../link/q", "/proc/self/mem", "//race//dir///file", "/race/none/none",
    };
    uint32_t kind = any(16);

    if (kind == 0)
        memset(at, 'a', SLOT - 1);
    else if (kind == 1)
        for (int i = 0; i < SLOT - 1; i++)
            at[i] = i % 3 ? '/' : '.';
    else if (kind < 6)
        snprintf(at, SLOT, "/race/sub/%u", any(40));
    else
        snprintf(at, SLOT, "%s", parts[any(sizeof parts / sizeof *parts)]);
    at[SLOT - 1] = any(30) ? '\0' : 'x';
}

static void fill(char *at, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    for (char *slot = at; slot < at + size; slot += SLOT)
        any_path(slot);
    snprintf(address.sun_path, sizeof address.sun_path, any(3) ? "/race/link/s%u" : "s%u", any(100000));
    memcpy(at + SLOT * (any(4) + 4), &address, sizeof address);
    strcpy(at + SLOT, any(2) ? "user.pod.owner" : "system.posix_acl_access");
    uint64_t how[] = {any(2) ? 0102 : 020200002, 0644, any(8)}; /* struct open_how: O_CREAT or O_TMPFILE */
    memcpy(at + 3 * SLOT, how, sizeof how);
    uint32_t acl[] = {2, 1 | 7 << 16, ~0u, 2 | 5 << 16, any(9), 16 | any(9) << 16, ~0u, 32, ~0u};
    memcpy(at + 2 * SLOT, acl, sizeof acl);
}

static void *flipper(void *unused)
{
    for (;;) {
        char *at = pool + SLOT * any(POOL / SLOT);
        switch (any(8)) {
        case 0:
            mprotect(pool, 4096, any(2) ? PROT_NONE : PROT_READ | PROT_WRITE);
            break;
        case 1:
            dup2((int)any(8), 3 + (int)any(6));
            break;
        case 2:
            close(3 + (int)any(6));
            break;
        case 3:
            syscall(SYS_renameat2, AT_FDCWD, "/race/link", AT_FDCWD, any(2) ? "/race/out" : "/race/dir", 2);
            break;
        case 4:
            rename("/race/file", "/race/dir/file");
            rename("/race/dir/file", "/race/file");
            break;
        default:
            if (at >= pool + 4096)
                any_path(at);
        }
    }
    return unused;
}

static long any_argument(void)
{
    static const long odd[] = {0, 1, -1, -100, 2, 0x100, 0x1000, 0x1100, 3, 1L << 62, 0x7fffffff, 0xffffffffL, 0x100000000L,
                               (long)0xffff800000000000, 1024, 65537, 0x706f642d6c6f6f6b, 04755, 020644, 060600, 0101, 0102};
    switch (any(8)) {
    case 0:
    case 1:
    case 2:
        return (long)(pool + SLOT * any(POOL / SLOT) + (any(8) ? 0 : any(SLOT)));
    case 3:
        return (long)(pool + 4096 - any(20)) + (any(2) ? 4096 : 0);
    case 4:
        return 3 + (long)any(7);
    default:
        return odd[any(sizeof odd / sizeof *odd)];
    }
}

/* Calls whose arguments make sense, in part: the registers may be anything. */
static void one_call(void)
{
    static const short numbers[] = {
#if defined(__x86_64__)
        SYS_chown, SYS_lchown, SYS_mknod, SYS_mkdir, SYS_symlink, SYS_open, SYS_creat, SYS_stat, SYS_lstat,
#endif
        SYS_fchown, SYS_fchownat, SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid,
        SYS_setfsuid, SYS_setfsgid, SYS_setgroups, SYS_getuid, SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_prctl,
        SYS_execve, SYS_execveat, SYS_getsockopt, SYS_bind, SYS_mknodat, SYS_mkdirat, SYS_symlinkat, SYS_openat, SYS_setxattr,
        SYS_lsetxattr, SYS_fsetxattr, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_removexattr, SYS_fremovexattr,
        SYS_listxattr, SYS_llistxattr, SYS_flistxattr, SYS_sched_setscheduler, SYS_sched_setattr, SYS_seccomp,
        437, 437, 463, 465, 466, /* openat2, setxattrat, listxattrat, removexattrat */
    };
    long number = numbers[any(sizeof numbers / sizeof *numbers)], a[6];
    char *path = pool + SLOT * any(POOL / SLOT);

    for (int i = 0; i < 6; i++)
        a[i] = any_argument();
    if (number == SYS_prctl)
        a[0] = any(3) == 0 ? 8 : any(2) ? 22 : 29 + any(2);
    if (number == SYS_seccomp)
        a[0] = any(3), a[1] = 0;
    if (number == SYS_getsockopt)
        a[0] = 8, a[1] = 1, a[2] = 17;
    if (number == SYS_bind)
        a[0] = 8 + any(2), a[1] = (long)(pool + SLOT * (4 + any(4))), a[2] = any(4) ? 110 : any(120);
    if (number == 437 && any(4)) {
        syscall(number, any(2) ? AT_FDCWD : 3, path, pool + 3 * SLOT, 24);
        return;
    }
    if (number == SYS_mknodat && any(4)) { /* a device, or overlayfs' whiteout */
        syscall(number, any(2) ? AT_FDCWD : 3, path, (any(2) ? S_IFCHR : S_IFBLK) | any(010000), any(3) ? any(1u << 20) : 0);
        return;
    }
    if (any(2)) /* by a path, from the working directory */
        a[0] = number == SYS_fchownat || number == SYS_mknodat || number == SYS_mkdirat || number == SYS_openat ||
                       number == SYS_newfstatat || number == SYS_statx || number == SYS_symlinkat || number == SYS_execveat
                   ? (any(2) ? AT_FDCWD : 3)
                   : a[0];
    if (any(2) && number != SYS_prctl && number != SYS_getsockopt && number != SYS_bind) {
        a[a[0] == AT_FDCWD || a[0] == 3 ? 1 : 0] = (long)path;
        a[a[0] == AT_FDCWD || a[0] == 3 ? 2 : 1] |= any(2) ? 0101 : 0;
    }
    if (number == SYS_setfsuid || number == SYS_setuid || number == SYS_setresuid)
        a[0] = any(3), a[1] = any(3), a[2] = any(3);
    long done = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (done > 9 && done < 64)
        close((int)done);
}

#if defined(__x86_64__)
static void one_narrow_call(void)
{
    static const short numbers[] = {212, 198, 207, 298, 213, 214, 208, 215, 206, 199, 209, 205, 361, 172, 11, 358,
                                    14,  297, 39,  296, 83,  304, 5,   295, 8,   226, 228, 383, 106, 195, 300, 102,
                                    437, 463, 465, 466, 235, 232, 234, 197, 108, 107, 196, 365, 354, 156, 351, 182,
                                    16,  95,  23,  46,  70,  71,  164, 138, 81,  24,  165, 80};
    long a[5], done;

    for (int i = 0; i < 5; i++)
        a[i] = any(2) ? (long)(low + SLOT * any(8)) : any_argument() & 0xffffffffL;
    __asm__ volatile("int $0x80"
                     : "=a"(done)
                     : "a"((long)numbers[any(sizeof numbers / sizeof *numbers)]), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]),
                       "D"(a[4])
                     : "memory", "r8", "r9", "r10", "r11");
    if (done > 9 && done < 64)
        close((int)done);
}
#else
static void one_narrow_call(void)
{
}
#endif

static void nothing(int number)
{
    (void)number;
}

_Noreturn void worker(void)
{
    /* Without SA_RESTART: what waits in the kernel (for the other end of a FIFO) goes on, a call without an answer does not. */
    struct sigaction action = {.sa_handler = nothing};
    struct itimerval every = {{0, any(3) ? 20000 : 500}, {0, 500}};
    sigset_t alarm;
    pthread_t other;
    int pair[2];

    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    pool = mmap(NULL, POOL + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pool + POOL, 4096);
    low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | 0x40, -1, 0);
    fill(pool, POOL);
    fill(low, 4096);
    syscall(SYS_close_range, 3, 9999, 0);
    static const char *const opened[] = {"/race", "/race/file", "/race/sub", "/proc", "/race/fifo"};
    for (int i = 0; i < 5; i++) /* 3 to 7; what was moved away is / */
        if (syscall(SYS_openat, AT_FDCWD, opened[i], any(2) ? O_RDONLY | O_NONBLOCK : O_PATH) < 0)
            syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair); /* 8 and 9 */
    if (chdir(any(4) ? "/race" : "/race/sub") || (!any(6) && chroot("/race")))
        _exit(0);
    if (any(2))
        syscall(SYS_setresuid, any(2), any(3), 0);
    if (!any(12)) /* an engine's container, whose devices the kernel refuses */
        syscall(SYS_unshare, CLONE_NEWUSER);
    every.it_interval = every.it_value;
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm, NULL);
    if (any(3))
        pthread_create(&other, NULL, flipper, NULL);
    sigprocmask(SIG_UNBLOCK, &alarm, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    for (int i = 20 + (int)any(100); i > 0; i--) {
        any(5) ? one_call() : one_narrow_call();
        pid_t parent = getpid();
        if (!any(40) && fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
            if (getppid() != parent)
                _exit(0); /* it died before */
            setitimer(ITIMER_REAL, &every, NULL); /* not inherited */
            any((uint32_t)i);
        }
    }
    _exit(0);
}
