/* Attacks on the emulator from inside, one a mode (test_root_emulation.py); prints what it saw and ends with 0. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int stop;
static char shared_path[64];

static void ask(int round)
{
    struct stat st;

    if (syscall(SYS_setresuid, 0, round % 50 + 1, 0))
        _exit(1);
    if (stat("/etc/passwd", &st) || geteuid() != (uid_t)(round % 50 + 1))
        _exit(2);
}

/* Children that ask all the time, every other one killed in the middle. */
static int forks(void)
{
    for (int i = 0; i < 600; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (int round = 0; round < (i % 2 ? 100000 : 5); round++)
                ask(i);
            _exit(0);
        }
        if (i % 2) {
            usleep((useconds_t)(i % 7) * 300);
            kill(pid, SIGKILL);
        }
        int status;
        waitpid(pid, &status, 0);
        if (!(i % 2) && status)
            return printf("child: %x\n", status);
    }
    return printf("forks done\n") < 0;
}

static void *asks(void *unused)
{
    struct stat st;
    for (int i = 0; i < 300; i++)
        if (stat("/etc/shadow", &st))
            return (void *)1;
    return unused;
}

static int threads(void)
{
    pthread_t all[100];
    void *bad;

    for (int i = 0; i < 100; i++)
        pthread_create(&all[i], NULL, asks, NULL);
    for (int i = 0; i < 100; i++) {
        pthread_join(all[i], &bad);
        if (bad)
            return 1;
    }
    return printf("threads done\n") < 0;
}

static void nothing(int number)
{
    (void)number;
}

static int signals(void)
{
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 500}, {0, 500}};
    struct stat st;

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    for (int i = 0; i < 5000; i++)
        if (stat("/etc/shadow", &st) || st.st_gid != 42 || chown("/f", (uid_t)i, 1))
            return printf("at %d: %s, group %u\n", i, strerror(errno), st.st_gid);
    return printf("signals done\n") < 0;
}

static void *flip(void *unused)
{
    while (!stop) {
        strcpy(shared_path, "/safe/file");
        strcpy(shared_path, "/link/file");
        memset(shared_path, 'x', sizeof shared_path); /* without an end */
    }
    return unused;
}

/* The path changes while it is read, and /link leads to different places. */
static int races(void)
{
    pthread_t other;
    struct stat st;

    mkdir("/safe", 0755);
    close(open("/safe/file", O_CREAT | O_WRONLY, 0644));
    pthread_create(&other, NULL, flip, NULL);
    for (int i = 0; i < 3000; i++) {
        unlink("/link");
        if (symlink(i % 2 ? "/proc/1/root/../../../.." : "/safe", "/link"))
            return 1;
        syscall(SYS_chown, shared_path, 77, 77);
        syscall(SYS_stat, shared_path, &st);
    }
    stop = 1;
    pthread_join(other, NULL);
    return printf("races done\n") < 0;
}

/* Arguments that are none. */
static int pointers(void)
{
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static const long calls[] = {SYS_stat,   SYS_lstat,    SYS_chown,  SYS_lchown,  SYS_newfstatat,
                                 SYS_statx,  SYS_fchownat, SYS_mkdir,  SYS_symlink, SYS_mknod,
                                 SYS_execve, SYS_setxattr, SYS_getresuid, SYS_openat, SYS_setgroups};
    int wrong = 0;

    munmap(page + 4096, 4096);
    memset(page, 'a', 4096);
    long bad[] = {0, 1, -1, (long)(page + 4090), (long)(page + 4096), 1L << 62, (long)0xffff800000000000};
    syscall(SYS_setresuid, 0, 5, 0);
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
        for (size_t i = 0; i < 7; i++)
            for (size_t j = 0; j < 7; j++)
                if (syscall(calls[c], bad[i], bad[j], bad[i], 0x100 | (int)i, bad[j], 0) == 0 && i > 2 &&
                        calls[c] != SYS_getresuid) /* six bytes are left there */
                    wrong++;
    syscall(SYS_setresuid, 0, 0, 0);
    if (syscall(SYS_setgroups, 1000000, page) != -1 || errno != EINVAL)
        wrong++;
    return printf("pointers done, %d wrong\n", wrong) < 0;
}

/* More sets of ids than there is room for. */
static int tokens(void)
{
    long made = 0, full = 0;

    for (uint32_t i = 1; i <= 20000; i++) {
        if (!syscall(SYS_setresuid, 0, i, 0))
            made++;
        else if (errno == EAGAIN)
            full++;
        if (syscall(SYS_setresuid, 0, 0, 0) && geteuid())
            return 1;
    }
    return printf("tokens done, all %d, some refused %d\n", made + full == 20000, full > 0) < 0;
}

static int forged(void)
{
    static const char *const slacks[] = {"50017", "66384", "4294967295", "1", "0", "18446744073709551615"};

    for (size_t i = 0; i < 6; i++) {
        int fd = open("/proc/self/timerslack_ns", O_WRONLY);
        if (fd < 0 || write(fd, slacks[i], strlen(slacks[i])) < 0)
            printf("%s: %s\n", slacks[i], strerror(errno));
        close(fd);
        if (geteuid())
            return printf("a forged slack is somebody\n");
    }
    return printf("forged done\n") < 0;
}

#if defined(__x86_64__)
static long compat(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
    return result;
}

/* 32-bit calls: setresuid32, geteuid32, chown32, and an x32 one. */
static int narrow(void)
{
    char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    struct stat st;

    strcpy(low, "/f");
    close(open("/f", O_CREAT | O_WRONLY, 0644));
    printf("%ld ", compat(212, (long)low, 8, 9));
    stat("/f", &st);
    printf("%u:%u ", st.st_uid, st.st_gid);
    printf("%ld ", compat(208, -1, 44, -1));
    printf("%ld ", compat(201, 0, 0, 0));
    printf("%u ", geteuid());
    printf("%ld\n", syscall(0x40000000 | SYS_geteuid));
    return 0;
}
#else
static int narrow(void)
{
    return 0;
}
#endif

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } modes[] = {{"forks", forks},     {"threads", threads}, {"signals", signals}, {"races", races},
                 {"pointers", pointers}, {"tokens", tokens},   {"forged", forged},   {"narrow", narrow}};

    close(open("/f", O_CREAT | O_WRONLY, 0644));
    for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(argv[1], modes[i].name))
            return modes[i].run();
    return 3;
}
