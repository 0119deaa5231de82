#include "inner.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "confine.h"
#include "emulator.h"
#include "userns.h"

extern char **environ;

enum { SOCKET_FD = 3, PROC_FD };

struct request {
    uint32_t uid, gid;
};

/* What the child says: 'N' and the namespace, or why not. */
union answer {
    char kind;
    struct pod_err err;
};

int pod_inner_needed(const struct pod_plan *plan)
{
    const char *user = pod_plan_str(plan, POD_KEY_USER);

    return (pod_plan_u64(plan, POD_KEY_FLAGS) & POD_PLAN_SINGLE_ID) && user && *user &&
           strcmp(user, "0") && strcmp(user, "0:0") && strcmp(user, "root");
}

static int unshare_dumpable(int host_proc, uid_t uid, gid_t gid, struct pod_err *err)
{
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    int failed = pod_userns_unshare_single(host_proc, uid, gid, err);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return failed;
}

static int make(const struct request *request, struct pod_err *err)
{
    if (unshare_dumpable(PROC_FD, request->uid, request->gid, err))
        return -1;
    int ns = openat(PROC_FD, "self/ns/user", O_RDONLY | O_CLOEXEC);
    return ns < 0 ? pod_fail(err, POD_USERNS, "self") : ns;
}

/* With --pid host there is no hiding: so it has nothing of the caller's, neither variables nor descriptors, while it may be seen. */
static _Noreturn void serve(int sock, int host_proc, int mounts)
{
    struct request request;
    struct pod_err err;

    if (mounts >= 0 && setns(mounts, CLONE_NEWNS))
        _exit(1);
    int high = fcntl(host_proc, F_DUPFD_CLOEXEC, PROC_FD + 1); /* it may be SOCKET_FD itself */
    if (high < 0 || dup3(sock, SOCKET_FD, O_CLOEXEC) < 0 || dup3(high, PROC_FD, O_CLOEXEC) < 0)
        _exit(1);
    pod_close_from(PROC_FD + 1);
    for (char **one = environ; *one; one++)
        explicit_bzero(*one, strlen(*one));
    /* The end of file once those who might ask have executed or ended; its parent may leave before. */
    if (recv(SOCKET_FD, &request, sizeof request, 0) != (ssize_t)sizeof request)
        _exit(0);
    int ns = make(&request, &err);
    if (ns >= 0)
        pod_send_fd(SOCKET_FD, "N", 1, ns);
    else
        send(SOCKET_FD, &err, sizeof err, MSG_NOSIGNAL);
    _exit(0);
}

int pod_inner_offer(int host_proc, int mounts, struct pod_err *err)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return pod_fail(err, POD_SOCKET, NULL);
    pid_t child = fork();
    if (child == 0) {
        /* Above those that it puts in place. */
        serve(fcntl(pair[0], F_DUPFD_CLOEXEC, PROC_FD + 1), host_proc, mounts);
    }
    close(pair[0]);
    if (child < 0) {
        close(pair[1]);
        return pod_fail(err, POD_FORK, NULL);
    }
    return pair[1];
}

int pod_inner_enter(int host_proc, int sock, const struct pod_user *user, struct pod_err *err)
{
    struct request request = {user->uid, user->gid};
    union answer answer;
    int ns;

    if (sock < 0)
        return unshare_dumpable(host_proc, user->uid, user->gid, err);
    if (send(sock, &request, sizeof request, MSG_NOSIGNAL) != (ssize_t)sizeof request)
        return pod_fail(err, POD_USERNS, "ask");
    ssize_t got = pod_receive_fd(sock, &answer, sizeof answer, &ns);
    if (got == (ssize_t)sizeof answer.err) {
        answer.err.path[sizeof answer.err.path - 1] = '\0';
        *err = answer.err;
        return -1;
    }
    if (got != 1 || ns < 0)
        return pod_fail_errno(err, POD_USERNS, ECANCELED, "answer");
    int failed = setns(ns, CLONE_NEWUSER) ? pod_fail(err, POD_SETNS, "user") : 0;
    close(ns);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* fs.suid_dumpable may have made it so again */
    return failed;
}
