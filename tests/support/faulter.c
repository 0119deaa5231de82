/* faulter OUT list NAMES ARM PROGRAM ARGUMENT…
 * faulter OUT hit PROCESS CALL OBJECT NUMBER FAULT NAMES ARM PROGRAM ARGUMENT…
 *
 * Runs a program under ptrace(2). "list" writes a line for each system call of its processes: process, call, 1 where it
 * changes something, object, name of the process, separated by tabs. "hit" lets the NUMBERth call of that process with that
 * object (1: the first) not happen: FAULT 0 is a SIGKILL right before it, another number is the errno that it gives instead;
 * from then on nobody is traced. A close(2) does happen, whatever it gives. The last line of OUT is "= HIT STATUS", the
 * program's wait status.
 *
 * A process is named by who made it: 0 is the program, 0.2 the second process that it made, 0t its threads. NAMES is
 * FOLDER=WORD:FOLDER=WORD…, what stands for folders in objects; ids and numbers become # and N. Nothing counts before the
 * program asks for the file ARM, where that is not empty.
 *
 * What is not pod's own is let go: programs that a container runs, and set-uid ones, who would lose their rights. Whoever
 * made itself not dumpable is dumpable again here, for nothing else tells an ordinary tracer what its calls are about.
 */
#include "faulter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRACEES 256
#define IDLE_MS 400
#define LABEL_MAX 64
#define CALL_LENGTH 2 /* bytes of the instruction syscall */
#define OPTIONS \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)

enum state { STOPPED_EARLY, /* it stopped before its parent told of it */
             EXPECTED,      /* its parent has told, its first stop will come */
             RUNS,
             OPENING, /* a call of ours comes before its own */
             FAILING }; /* its call is to give the fault */

struct tracee {
    pid_t pid;
    enum state state;
    int children;
    int closed; /* it was not to be opened: a filter forbids that call */
    char label[LABEL_MAX];
    struct user_regs_struct own; /* OPENING: its own call */
};

static struct tracee tracees[TRACEES];
static struct wish wish;
static const char *arm;
static int listing, armed, hit, root_status;
static long matched;
static FILE *out;

static struct tracee *find(pid_t pid)
{
    for (int i = 0; i < TRACEES; i++)
        if (tracees[i].pid == pid)
            return &tracees[i];
    return NULL;
}

static struct tracee *add(pid_t pid, enum state state)
{
    struct tracee *tracee = find(0);

    if (!tracee)
        _exit(3);
    memset(tracee, 0, sizeof *tracee);
    tracee->pid = pid;
    tracee->state = state;
    return tracee;
}

static void let_go(struct tracee *tracee, int number)
{
    pid_t pid = tracee->pid;

    tracee->pid = 0;
    ptrace(PTRACE_DETACH, pid, 0, number);
}

/* Its calls may be the ones: the process that is to fail, and before anything counts the one that says from when. */
static int is_watched(const struct tracee *tracee)
{
    return listing || strcmp(tracee->label, wish.process) == 0 || (!armed && strcmp(tracee->label, "0") == 0);
}

/* It, or one that it will make, may be the process that is to fail. */
static int is_wanted(const struct tracee *tracee)
{
    size_t length = strlen(tracee->label);

    return is_watched(tracee) || (strncmp(wish.process, tracee->label, length) == 0 && strchr(".t", wish.process[length]));
}

static void resume(struct tracee *tracee, int number)
{
    if ((hit && tracee->state != FAILING) || !is_wanted(tracee))
        let_go(tracee, number);
    else
        ptrace(is_watched(tracee) ? PTRACE_SYSCALL : PTRACE_CONT, tracee->pid, 0, number);
}

/* A thread has its process' name with a t, a process the number of its making. */
static void name_child(struct tracee *parent, struct tracee *child)
{
    int length = snprintf(child->label, LABEL_MAX - 16, "%s", parent->label);

    if (!thread_of(child->pid, parent->pid))
        snprintf(child->label + length, 16, ".%d", ++parent->children);
    else if (parent->label[length - 1] != 't')
        strcpy(child->label + length, "t");
}

static void strike(struct tracee *tracee)
{
    struct user_regs_struct regs;

    hit = 1;
    if (!wish.fault) {
        kill(tracee->pid, SIGKILL);
        return;
    }
    tracee->state = FAILING;
    if (strcmp(wish.call, "close") == 0 || ptrace(PTRACE_GETREGS, tracee->pid, 0, &regs))
        return;
    regs.orig_rax = (unsigned long long)-1; /* no such call: the kernel does nothing */
    ptrace(PTRACE_SETREGS, tracee->pid, 0, &regs);
}

static void fail(struct tracee *tracee)
{
    struct user_regs_struct regs;

    if (!ptrace(PTRACE_GETREGS, tracee->pid, 0, &regs)) {
        regs.rax = (unsigned long long)-wish.fault;
        ptrace(PTRACE_SETREGS, tracee->pid, 0, &regs);
    }
    tracee->state = RUNS;
}

/* Who is not dumpable shows neither memory nor descriptors: it is made to be, by a call before its own. */
static int open_up(struct tracee *tracee)
{
    struct user_regs_struct regs;

    if (!armed || tracee->closed || ptrace(PTRACE_GETREGS, tracee->pid, 0, &tracee->own) || is_readable(tracee->pid, tracee->own.rip))
        return 0;
    regs = tracee->own;
    regs.orig_rax = SYS_prctl;
    regs.rdi = PR_SET_DUMPABLE;
    regs.rsi = 1;
    if (ptrace(PTRACE_SETREGS, tracee->pid, 0, &regs))
        return 0;
    tracee->state = OPENING;
    return 1;
}

/* Its own call once more. */
static void go_back(struct tracee *tracee)
{
    struct user_regs_struct after;

    tracee->closed = ptrace(PTRACE_GETREGS, tracee->pid, 0, &after) || (long long)after.rax < 0;
    tracee->own.rip -= CALL_LENGTH;
    tracee->own.rax = tracee->own.orig_rax;
    ptrace(PTRACE_SETREGS, tracee->pid, 0, &tracee->own);
    tracee->state = RUNS;
}

/* Who is about to be not dumpable stays so: afterwards a filter of its own may forbid the way back. */
static void keep_open(struct tracee *tracee, const struct __ptrace_syscall_info *info)
{
    struct user_regs_struct regs;

    if (info->entry.nr != SYS_prctl || info->entry.args[0] != PR_SET_DUMPABLE || info->entry.args[1])
        return;
    if (ptrace(PTRACE_GETREGS, tracee->pid, 0, &regs))
        return;
    regs.rsi = 1;
    ptrace(PTRACE_SETREGS, tracee->pid, 0, &regs);
}

/* Whether the tracee is still to be followed. */
static int at_entry(struct tracee *tracee, const struct __ptrace_syscall_info *info)
{
    struct call call;
    char object[OBJECT_MAX];

    look_at(tracee->pid, (long)info->entry.nr, (const unsigned long long *)info->entry.args, &call);
    if (is_set_uid(tracee->pid, &call)) {
        let_go(tracee, 0);
        return 0;
    }
    if (!armed) {
        armed = asks_for(tracee->pid, &call, arm);
        return 1;
    }
    if (listing) {
        object_of(tracee->pid, &call, object);
        fprintf(out, "%s\t%s\t%d\t%s\t%s\n", tracee->label, call.name, call.changes, object, name_of(tracee->pid));
    } else if (strcmp(tracee->label, wish.process) == 0 && strcmp(call.name, wish.call) == 0) {
        object_of(tracee->pid, &call, object);
        if (strcmp(object, wish.object) == 0 && ++matched == wish.number)
            strike(tracee);
    }
    return !hit || wish.fault;
}

static void at_call(struct tracee *tracee)
{
    struct __ptrace_syscall_info info;

    if (tracee->state == FAILING) {
        fail(tracee);
    } else if (tracee->state == OPENING) {
        go_back(tracee);
    } else if (!hit && ptrace(PTRACE_GET_SYSCALL_INFO, tracee->pid, sizeof info, &info) > 0 &&
               info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        keep_open(tracee, &info);
        if (!open_up(tracee) && !at_entry(tracee, &info))
            return;
    }
    resume(tracee, 0);
}

static void at_fork(struct tracee *tracee)
{
    unsigned long made = 0;
    struct tracee *child;

    ptrace(PTRACE_GETEVENTMSG, tracee->pid, 0, &made);
    child = find((pid_t)made);
    if (child) {
        name_child(tracee, child);
        child->state = RUNS;
        resume(child, 0);
    } else {
        name_child(tracee, add((pid_t)made, EXPECTED));
    }
    resume(tracee, 0);
}

static void on_stop(pid_t pid, int status)
{
    struct tracee *tracee = find(pid);
    int number = WSTOPSIG(status), event = status >> 16;

    if (!tracee) {
        add(pid, STOPPED_EARLY);
    } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
        at_fork(tracee);
    } else if (event == PTRACE_EVENT_EXEC) {
        if (is_ours(pid))
            resume(tracee, 0);
        else
            let_go(tracee, 0);
    } else if (event == PTRACE_EVENT_STOP) { /* it begins, or a signal has stopped it, which nothing here waits for */
        if (tracee->state == EXPECTED)
            tracee->state = RUNS;
        resume(tracee, 0);
    } else if (number == (SIGTRAP | 0x80)) {
        at_call(tracee);
    } else {
        resume(tracee, number);
    }
}

static pid_t start(char **argv)
{
    pid_t child = fork();
    struct tracee *tracee;
    int status;

    if (child == 0) {
        raise(SIGSTOP);
        execvp(argv[0], argv);
        _exit(127);
    }
    /* Not PTRACE_TRACEME: its children begin with a SIGSTOP, which stays with who is let go before it comes. */
    if (child < 0 || waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SEIZE, child, 0, OPTIONS))
        _exit(2);
    tracee = add(child, RUNS);
    strcpy(tracee->label, "0");
    kill(child, SIGCONT);
    return child;
}

/* Until the program has ended and, unless the fault came, nobody has done anything for a while. */
static void follow(pid_t root)
{
    const struct timespec moment = {0, 1000000};
    int root_lives = 1, idle = 0, status;

    while (root_lives || (!hit && idle < IDLE_MS)) {
        pid_t pid = waitpid(-1, &status, __WALL | (root_lives ? 0 : WNOHANG));

        if (pid < 0 && errno != EINTR)
            return;
        if (pid <= 0) {
            nanosleep(&moment, NULL);
            idle++;
            continue;
        }
        idle = 0;
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
    }
}

int main(int argc, char **argv)
{
    char **rest = argv + 3;

    if (argc < 6)
        return 2;
    listing = strcmp(argv[2], "list") == 0;
    if (!listing) {
        if (argc < 11)
            return 2;
        wish = (struct wish){argv[3], argv[4], argv[5], atol(argv[6]), atoi(argv[7])};
        rest = argv + 8;
    }
    use_names(rest[0]);
    arm = rest[1];
    armed = !*arm;
    out = fopen(argv[1], "we");
    if (!out)
        return 2;
    follow(start(rest + 2));
    fprintf(out, "= %d %d\n", hit, root_status);
    return fclose(out) != 0;
}
