/* Calls that mean to get past the emulator or to confuse it, one a mode (test_emulation_calls.py); prints what it saw. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COOKIE 0x706f642d6c6f6f6bL

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Who forges the cookie is shown what the disk has: that everything is root's, himself too. */
static int cookies(void)
{
    struct stat st;

    chown("/f", 5, 6);
    syscall(SYS_setresgid, 7, 7, 7);
    syscall(SYS_setresuid, 8, 8, 8);
    syscall(SYS_newfstatat, AT_FDCWD, "/f", &st, 0, 0, COOKIE);
    printf("%u:%u ", st.st_uid, st.st_gid);
    printf("%ld ", syscall(SYS_getuid, 0, 0, 0, 0, 0, COOKIE));
    syscall(SYS_mkdirat, AT_FDCWD, "/tmp/made", 0777, 0, 0, COOKIE);
    stat("/tmp/made", &st);
    printf("%u:%u ", st.st_uid, st.st_gid);
    /* Writing is answered whatever is in the register. */
    printf("%ld ", syscall(SYS_fchownat, AT_FDCWD, "/f", 0, 0, 0, COOKIE));
    printf("%ld ", syscall(SYS_setresuid, 0, 0, 0, 0, 0, COOKIE));
    stat("/f", &st);
    printf("%u:%u %u\n", st.st_uid, st.st_gid, geteuid());
    return 0;
}

static void nothing(int number)
{
    (void)number;
}

/* Without SA_RESTART a call may say EINTR, but never anything wrong, and most get through. */
static int signals(void)
{
    struct sigaction action = {.sa_handler = nothing};
    struct itimerval every = {{0, 500}, {0, 500}};
    struct stat st;
    int interrupted = 0, wrong = 0, rounds = 5000;

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    for (int i = 0; i < rounds; i++) {
        if (stat("/etc/shadow", &st))
            errno == EINTR ? interrupted++ : wrong++;
        else if (st.st_gid != 42)
            wrong++;
    }
    printf("wrong %d, most got through %d\n", wrong, interrupted < rounds / 2);
    fprintf(stderr, "EINTR: %d of %d\n", interrupted, rounds);
    return 0;
}

#if defined(__x86_64__)
static long compat(long number, long a, long b)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b) : "memory", "r8", "r9", "r10", "r11");
    return result;
}
#else
static long compat(long number, long a, long b)
{
    return -1;
}
#endif

/* A ring's operations pass by every filter. */
static int rings(void)
{
    char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | 0x40, -1, 0);

    for (long number = 425; number < 428; number++)
        printf("%d%d%d ", syscall(number, 8, low, 0, 0, 0, COOKIE) < 0, compat(number, 8, (long)low) < 0,
               syscall(0x40000000 | number, 8, low) < 0);
    printf("\n");
    return 0;
}

static void *asks(void *unused)
{
    for (;;)
        syscall(SYS_chown, "/f", 5, 6);
    return unused;
}

/* Threads whose calls wait while another one of them executes the next image or ends all. */
static int waits(void)
{
    pthread_t other;

    for (int i = 0; i < 60; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            char *again[] = {"/attacks", "done", NULL};
            for (int k = 0; k < 4; k++)
                pthread_create(&other, NULL, asks, NULL);
            usleep((useconds_t)(i % 10) * 300);
            if (i % 3 == 0)
                _exit(0);
            /* With the cookie the exec itself waits for nobody. */
            syscall(SYS_execve, again[0], again, NULL, 0, 0, i % 3 == 1 ? COOKIE : 0);
            _exit(9);
        }
        int status;
        waitpid(pid, &status, 0);
        if (status)
            return printf("%d: %x\n", i, status);
    }
    return printf("waits done\n") < 0;
}

static int done(void)
{
    return geteuid() ? 7 : 0;
}

static int compare(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* Microseconds that most stats take: the median of those of many short runs. */
static int measure(void)
{
    static double times[200];
    struct stat st;

    for (int i = 0; i < 200; i++) {
        double begin = now();
        for (int k = 0; k < 10; k++)
            if (stat("/etc/shadow", &st) || st.st_gid != 42)
                return 1;
        times[i] = (now() - begin) * 1e5;
        usleep(1000);
    }
    qsort(times, 200, sizeof *times, compare);
    return printf("%.1f\n", times[100]) < 0;
}

static int flood(void)
{
    printf("flooding\n");
    fflush(stdout);
    for (int i = 0; i < 3; i++)
        if (fork() == 0)
            break;
    asks(NULL);
    return 0;
}

/* One call, when a line is read; what it said. */
static int one(void)
{
    char line[8];

    printf("ready\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    long result = syscall(SYS_chown, "/f", 11, 12);
    printf("%s\n", result ? strerror(errno) : "done");
    return 0;
}

/* More than a sidecar of 300 kB has room for, at 48 bytes each. */
#define LINKS 8000

/* Records that have no attribute: of links, until it fails; a second time only looks whether they are still there. */
static int links(void)
{
    struct stat st;
    char name[40];
    int made = 0, wrong = 0, again = mkdir("/links", 0777);

    for (; made < LINKS; made++) {
        snprintf(name, sizeof name, "/links/%d", made);
        if (again ? lstat(name, &st) : symlink("x", name) || lchown(name, 1000 + made, 7))
            break;
    }
    const char *why = made < LINKS ? strerror(errno) : "all";
    made -= again ? 1 : 0; /* the one that failed is a link all the same */
    for (int i = 0; i <= made; i++) {
        snprintf(name, sizeof name, "/links/%d", i);
        wrong += lstat(name, &st) || st.st_uid != (i < made ? 1000u + (unsigned)i : 0);
    }
    printf("%s, %d wrong, some made %d\n", why, wrong, made > 3000);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } modes[] = {{"cookies", cookies}, {"signals", signals}, {"rings", rings}, {"waits", waits}, {"done", done},
                 {"measure", measure}, {"flood", flood}, {"one", one}, {"links", links}};

    close(open("/f", O_CREAT | O_WRONLY, 0644));
    for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(argv[1], modes[i].name))
            return modes[i].run();
    return 3;
}
