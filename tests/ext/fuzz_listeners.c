/* As many listeners as execs would hand over at once, and more: each of a process of its own (fuzz_emulator.c). */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulator.h"
#include "fuzz_emulator.h"

#define MANY 300
#define ROOM 256

struct one {
    pid_t pid;
    int control;
    int taken;
};

/* Asks one thing that its listener must answer when it is told to; ends with 0 where the answer came. */
static _Noreturn void child(int control)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    char go;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0 || pod_send_fd(control, "L", 1, listener))
        _exit(2);
    close(listener);
    if (read(control, &go, 1) != 1)
        _exit(3);
    _exit(syscall(SYS_getppid) > 0 ? 0 : 4);
}

/* Whether the emulator takes the listener. */
static int hand_over(const char *run, pid_t zygote, int listener)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct pod_handover handover = {.kind = 'L', .pid = zygote};
    char answer;
    int dir = open(run, O_PATH | O_CLOEXEC), sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/emu", dir);
    struct pollfd slot = {.fd = sock, .events = POLLIN};
    int taken = !connect(sock, (struct sockaddr *)&address, sizeof address) &&
                !pod_send_fd(sock, &handover, sizeof handover, listener) && poll(&slot, 1, 10000) == 1 &&
                read(sock, &answer, 1) == 1;
    close(sock);
    close(dir);
    return taken;
}

static void begin(struct one *one, const char *run, pid_t zygote)
{
    int pair[2], listener;
    char kind;

    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
    one->pid = fork();
    if (one->pid == 0)
        child(pair[1]);
    close(pair[1]);
    one->control = pair[0];
    pod_receive_fd(pair[0], &kind, 1, &listener);
    one->taken = listener >= 0 && hand_over(run, zygote, listener);
    close(listener);
}

static void end(struct one *one)
{
    kill(one->pid, SIGKILL);
    waitpid(one->pid, NULL, 0);
    close(one->control);
}

int many_listeners(const char *run, pid_t zygote)
{
    static struct one all[MANY];
    int taken = 0, again = 0, answered = 0, refused = 0, status;

    for (int i = 0; i < MANY; i++) {
        begin(&all[i], run, zygote);
        taken += all[i].taken;
    }
    for (int i = 0; i < 50; i++) {
        end(&all[i]);
        begin(&all[i], run, zygote);
        again += all[i].taken;
    }
    for (int i = 0; i < MANY; i++) {
        send(all[i].control, "G", 1, MSG_NOSIGNAL);
        waitpid(all[i].pid, &status, 0);
        answered += !status && all[i].taken;
        refused += status == 4 << 8 && !all[i].taken; /* ENOSYS, and no hang */
        close(all[i].control);
    }
    printf("taken %d, again %d, answered %d, refused %d\n", taken, again, answered, refused);
    return taken != ROOM - 1 || again != 50 || answered != taken || refused != MANY - taken;
}
