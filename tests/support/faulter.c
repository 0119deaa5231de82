/* faulter OUT DEPTH N WHEN PROGRAM ARGUMENT…
 *
 * Runs the program under ptrace(2) and kills one process of it right before its N-th system call that changes something
 * (0: never, only counts). DEPTH 0: the program's own process; 1: those that it forks (exec's monitor), 2: those that these
 * fork (a start's supervisor). Those further down are let go at once. WHEN "now" counts from the start, "later" from SIGUSR1 on, and stays with a supervisor when the program
 * has ended; "whole" counts from the start and stays with all, which must end. OUT gets "CALLS KILLED NUMBER STATUS": calls counted, whether it killed, the call's number, the program's
 * wait status. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACEES 256
#define OPTIONS \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)

struct tracee {
    pid_t pid;
    int depth; /* -1: stopped before its parent told of it */
};

static struct tracee tracees[TRACEES];
static int depth_wanted, armed;
static long wanted, counted, killed, killed_call, root_status;

static void on_usr1(int number)
{
    (void)number;
    armed = 1;
}

static struct tracee *find(pid_t pid)
{
    for (int i = 0; i < TRACEES; i++)
        if (tracees[i].pid == pid)
            return &tracees[i];
    return NULL;
}

static struct tracee *add(pid_t pid, int depth)
{
    struct tracee *tracee = find(pid);

    if (!tracee)
        tracee = find(0);
    if (!tracee)
        _exit(3);
    *tracee = (struct tracee){pid, depth};
    return tracee;
}

static int changes(unsigned long call, const unsigned long long *args)
{
    switch (call) {
#ifdef SYS_open
    case SYS_open:
        return (args[1] & (O_CREAT | O_TRUNC)) != 0;
    case SYS_mkdir: case SYS_rmdir: case SYS_unlink: case SYS_rename: case SYS_link: case SYS_symlink:
    case SYS_chmod: case SYS_fork: case SYS_vfork:
#endif
    case SYS_mkdirat: case SYS_unlinkat: case SYS_renameat2: case SYS_linkat: case SYS_symlinkat: case SYS_mknodat:
#ifdef SYS_renameat
    case SYS_renameat:
#endif
    case SYS_fchmod: case SYS_fchmodat: case SYS_fchown: case SYS_fchownat: case SYS_ftruncate: case SYS_fallocate:
    case SYS_write: case SYS_pwrite64: case SYS_writev: case SYS_sendfile:
    case SYS_clone: case SYS_clone3: case SYS_execve: case SYS_execveat:
    case SYS_kill: case SYS_pidfd_send_signal:
    case SYS_bind: case SYS_listen: case SYS_connect: case SYS_sendto: case SYS_sendmsg: case SYS_socketpair:
    case SYS_unshare: case SYS_setns: case SYS_mount: case SYS_umount2: case SYS_flock: case SYS_fsync:
    case SYS_setsid: case SYS_setresuid: case SYS_setresgid: case SYS_setgroups: case SYS_chdir: case SYS_fchdir:
        return 1;
    case SYS_openat:
        return (args[2] & (O_CREAT | O_TRUNC)) != 0;
    default:
        return 0;
    }
}

/* 1: it was killed. */
static int at_call(pid_t pid)
{
    struct __ptrace_syscall_info info;

    if (!armed || killed)
        return 0;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return 0;
    if (!changes(info.entry.nr, (const unsigned long long *)info.entry.args) || ++counted != wanted)
        return 0;
    killed = 1;
    killed_call = (long)info.entry.nr;
    kill(pid, SIGKILL);
    return 1;
}

static void resume(struct tracee *tracee, int number)
{
    pid_t pid = tracee->pid;

    if (tracee->depth > depth_wanted || killed) {
        tracee->pid = 0;
        ptrace(PTRACE_DETACH, pid, 0, number);
    } else {
        ptrace(tracee->depth == depth_wanted ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, number);
    }
}

static void on_stop(pid_t pid, int status)
{
    struct tracee *tracee = find(pid), *child;
    int number = WSTOPSIG(status), event = status >> 16;
    unsigned long made = 0;

    if (!tracee) { /* new, and its parent has not told yet */
        add(pid, -1);
        return;
    }
    if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
        ptrace(PTRACE_GETEVENTMSG, pid, 0, &made);
        child = find((pid_t)made);
        if (child && child->depth < 0) {
            child->depth = tracee->depth + 1;
            resume(child, 0);
        } else if (!child) {
            add((pid_t)made, -2 - (tracee->depth + 1)); /* it will stop */
        }
        resume(tracee, 0);
    } else if (tracee->depth < -1) { /* the stop that it begins with */
        tracee->depth = -2 - tracee->depth;
        resume(tracee, 0);
    } else if (number == (SIGTRAP | 0x80)) {
        if (!at_call(pid))
            resume(tracee, 0);
    } else {
        resume(tracee, event ? 0 : number);
    }
}

static pid_t start(char **argv)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(argv[0], argv);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, child, 0, OPTIONS))
        _exit(2);
    resume(add(child, 0), 0);
    return child;
}

static void follow(pid_t root, int stays)
{
    int root_lives = 1, status;

    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);

        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            return;
        if (WIFSTOPPED(status)) {
            on_stop(pid, status);
            continue;
        }
        struct tracee *tracee = find(pid);
        if (tracee)
            tracee->pid = 0;
        if (pid == root) {
            root_status = status;
            root_lives = 0;
        }
        if (!root_lives && (!stays || killed))
            return;
    }
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_usr1};

    if (argc < 6)
        return 2;
    depth_wanted = atoi(argv[2]);
    wanted = atol(argv[3]);
    armed = strcmp(argv[4], "later") != 0;
    sigaction(SIGUSR1, &action, NULL);
    follow(start(argv + 5), strcmp(argv[4], "now") != 0);
    FILE *out = fopen(argv[1], "w");
    if (!out)
        return 2;
    fprintf(out, "%ld %ld %ld %ld\n", counted, killed, killed_call, root_status);
    return fclose(out) != 0;
}
