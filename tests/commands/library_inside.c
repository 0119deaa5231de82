/* What programs do to the library of root emulation: each mode prints what it saw, for tests that know what is right. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int owner(const char *path)
{
    struct stat st;

    return stat(path, &st) ? -errno : (int)st.st_uid;
}

/* Every descriptor closed, another root: what was mapped before stays. */
static int closed(void)
{
    int out = dup2(1, 900);

    for (int fd = 0; fd < 900; fd++)
        close(fd);
    int before = owner("/own/f");
    int failed = chroot("/own") || chdir("/");
    char text[100];
    int length = snprintf(text, sizeof text, "%d %d %d %d\n", before, failed, owner("/f"), (int)getuid());
    return write(out, text, (size_t)length) != length;
}

static volatile int go, wrong;

static void *look(void *expected)
{
    while (!go)
        if (owner("/own/f") != 5)
            wrong++;
    for (int i = 0; i < 1000; i++)
        if (getuid() != 33 || geteuid() != 33 || owner("/own/f") != 5)
            wrong++;
    return expected;
}

/* setuid(2) is each thread's own; the C library makes all of them do it, by signals. */
static int threads(void)
{
    pthread_t all[4];

    for (int i = 0; i < 4; i++)
        pthread_create(&all[i], NULL, look, NULL);
    usleep(20000);
    int failed = setgid(33) || setuid(33);
    go = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(all[i], NULL);
    printf("%d %d %d\n", failed, wrong, (int)getuid());
    return 0;
}

/* A child that shares this memory and has other ids. */
static int vforks(void)
{
    int bad = 0;

    for (int i = 0; i < 200; i++) {
        pid_t child = vfork();
        if (!child)
            _exit(setuid(33) || getuid() != 33 || owner("/own/f") != 5);
        int status;
        bad += waitpid(child, &status, 0) != child || status || getuid() != 0;
    }
    printf("%d\n", bad);
    return 0;
}

static void ring(int number)
{
    (void)number;
    if (getuid() != 0 || owner("/own/f") != 5)
        wrong++;
}

/* A signal each half millisecond, without SA_RESTART: what the library answers cannot be interrupted. */
static int signals(void)
{
    struct sigaction action = {.sa_handler = ring};
    struct itimerval each = {{0, 500}, {0, 500}};
    int failed = 0;

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &each, NULL);
    for (int i = 0; i < 3000; i++) {
        int fd = open("/own/made", O_CREAT | O_RDWR, 0600);
        failed += fd < 0 || close(fd) || unlink("/own/made");
        failed += mkdir("/own/dir", 0700) || rmdir("/own/dir");
        failed += getuid() != 0 || owner("/own/plain") != 0;
    }
    printf("%d %d\n", failed, wrong);
    return 0;
}

static int errors(void)
{
    struct stat st;
    char name[300];

    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    printf("%d", mkdir("/own", 0) ? errno : 0);
    printf(" %d", open("/own/f", O_CREAT | O_EXCL, 0) < 0 ? errno : 0);
    printf(" %d", open("/missing/f", O_CREAT, 0) < 0 ? errno : 0);
    printf(" %d", open("/missing", O_RDONLY) < 0 ? errno : 0);
    printf(" %d", symlink("x", "/own/f") ? errno : 0);
    printf(" %d", fstat(-1, &st) ? errno : 0);
    printf(" %d", fstatat(-1, "x", &st, 0) ? errno : 0);
    printf(" %d", mkdir(name, 0) ? errno : 0);
    printf(" %d", mkdir(NULL, 0) ? errno : 0);
    printf(" %d", execv("/missing", (char *[]){"x", NULL}) ? errno : 0);
    printf(" %d", execve("/own/f", (char *[]){"x", NULL}, environ) ? errno : 0);
    printf(" %d\n", mkdirat(AT_FDCWD, "", 0) ? errno : 0);
    return 0;
}

/* Whether the library is loaded. */
static int maps(void)
{
    char line[4096];
    int found = 0;
    FILE *file = fopen("/proc/self/maps", "r");

    while (file && fgets(line, sizeof line, file))
        found |= strstr(line, " /dev/.pod/root.so") != NULL;
    printf("%d\n", found);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } modes[] = {{"closed", closed}, {"threads", threads}, {"vforks", vforks},
                 {"signals", signals}, {"errors", errors}, {"maps", maps}};

    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (argc > 1 && !strcmp(argv[1], modes[i].name))
            return modes[i].run();
    return 2;
}
