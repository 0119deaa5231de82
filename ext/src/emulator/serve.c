/* The emulator's own process. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"
#include "confine.h"
#include "emulator.h"

#define LISTENERS 256 /* one for each exec that still has processes */
#define CONNECTIONS 16
#define SILENCE_S 20 /* for a connection between connect and handover: a join and a fork */

/* Memory, roots and slack of the container's processes; its files as its root would have them. */
#define CAPS \
    (1ull << CAP_SYS_PTRACE | 1ull << CAP_SYS_NICE | 1ull << CAP_SYS_CHROOT | 1ull << CAP_CHOWN | \
     1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_FOWNER | \
     1ull << CAP_FSETID | 1ull << CAP_MKNOD)

struct server {
    struct pod_emulation e;
    pid_t parent;
    int socket;
    int listeners[LISTENERS], connections[CONNECTIONS]; /* -1: free */
    time_t until[CONNECTIONS]; /* when one that has said nothing is closed */
    union pod_message in, out;
    struct pollfd slots[1 + LISTENERS + CONNECTIONS];
};

/* The call that came in. */
static void answer_it(struct server *s, int listener)
{
    struct pod_call call = {.e = &s->e, .listener = listener, .notif = &s->in.notif};
    /* A pid of 0: a process that this one cannot see. */
    int64_t result = s->in.notif.pid ? pod_call_answer(&call) : POD_CALL_PASS;

    if (result == POD_CALL_GONE)
        return;
    memset(&s->out, 0, sizeof s->out);
    s->out.answer.id = s->in.notif.id;
    if (result == POD_CALL_PASS)
        s->out.answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    else if (result < 0)
        s->out.answer.error = (int32_t)result;
    else
        s->out.answer.val = result;
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &s->out); /* ENOENT: it was killed */
}

/* -1: LISTENER is none. */
static int answer_one(struct server *s, int listener)
{
    memset(&s->in, 0, sizeof s->in); /* the kernel insists */
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &s->in))
        return errno == ENOENT || errno == EINTR ? 0 : -1; /* it was killed meanwhile */
    answer_it(s, listener);
    return 0;
}

/* The place that FD got; -1: there is none, and it is closed. */
static int take_slot(int *slots, int count, int fd)
{
    for (int i = 0; i < count; i++)
        if (slots[i] < 0) {
            slots[i] = fd;
            return i;
        }
    close(fd);
    return -1;
}

static time_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static void creds_of(const struct pod_handover *handover, struct pod_creds *creds)
{
    memset(creds, 0, sizeof *creds);
    for (int i = 0; i < 4; i++) {
        creds->uid[i] = handover->uid;
        creds->gid[i] = handover->gid;
    }
    creds->group_count =
        handover->group_count < POD_GROUPS_MAX ? handover->group_count : POD_GROUPS_MAX;
    memcpy(creds->groups, handover->groups, creds->group_count * sizeof *creds->groups);
}

/* Gives a process that waits before its exec the ids it is to run with. */
static int adopt(struct server *s, const struct pod_handover *handover)
{
    char path[40], text[24];

    if (s->e.real)
        return 0;
    creds_of(handover, &s->e.scratch);
    int token = pod_creds_intern(&s->e.creds, &s->e.scratch);
    if (token < 0)
        return -1;
    snprintf(path, sizeof path, "%d/timerslack_ns", handover->pid);
    POD_AUTO_FD int fd = openat(s->e.proc, path, O_WRONLY | O_CLOEXEC);
    int length = snprintf(text, sizeof text, "%u", POD_SLACK_BASE + (unsigned)token);
    return fd >= 0 && write(fd, text, (size_t)length) == length ? 0 : -1;
}

static void accept_one(struct server *s)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    int slot, fd = accept4(s->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.uid != geteuid())
        close(fd);
    else if ((slot = take_slot(s->connections, CONNECTIONS, fd)) >= 0)
        s->until[slot] = now() + SILENCE_S;
}

static void serve_connection(struct server *s, int *connection)
{
    struct pod_handover handover;
    int listener;
    ssize_t got = pod_receive_fd(*connection, &handover, sizeof handover, &listener);

    if (got < 0 && errno == EAGAIN)
        return;
    /* A listener that is not taken is closed: its calls fail then, and hang for nobody. */
    if (got != (ssize_t)sizeof handover || listener < 0 || adopt(s, &handover))
        pod_cleanup_fd(&listener);
    else if (take_slot(s->listeners, LISTENERS, listener) >= 0)
        send(*connection, "K", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(*connection);
    *connection = -1;
}

/* Closes connections that say nothing; how many are left. */
static int tidy_connections(struct server *s)
{
    int left = 0;

    for (int i = 0; i < CONNECTIONS; i++)
        if (s->connections[i] >= 0 && now() > s->until[i]) {
            close(s->connections[i]);
            s->connections[i] = -1;
        } else {
            left += s->connections[i] >= 0;
        }
    return left;
}

static void loop(struct server *s)
{
    int count = 0, *owner[1 + LISTENERS + CONNECTIONS], open = tidy_connections(s);

    owner[0] = &s->socket;
    for (int i = 0; i < LISTENERS + CONNECTIONS; i++) {
        int *fd = i < LISTENERS ? &s->listeners[i] : &s->connections[i - LISTENERS];
        if (*fd >= 0)
            owner[++count] = fd;
    }
    for (int i = 0; i <= count; i++)
        s->slots[i] = (struct pollfd){.fd = *owner[i], .events = POLLIN};
    if (open == CONNECTIONS)
        s->slots[0].fd = -1; /* the others wait in the socket's queue */
    if (poll(s->slots, (nfds_t)count + 1, open ? 1000 : -1) < 0)
        return;
    for (int i = 1; i <= count; i++) {
        short events = s->slots[i].revents;
        if (events && owner[i] >= s->connections && owner[i] < s->connections + CONNECTIONS) {
            serve_connection(s, owner[i]);
        } else if (events && (!(events & POLLIN) || answer_one(s, *owner[i]))) {
            /* POLLHUP: its last process is gone */
            close(*owner[i]);
            *owner[i] = -1;
        }
    }
    if (s->slots[0].revents)
        accept_one(s);
}

/* A copied tree has the device of the host's own files, which others write attributes to. */
static void tell_programs(struct server *s, const struct pod_plan *plan)
{
    const struct pod_records *records = &s->e.records;
    int overlay = records->upper >= 0;

    pod_page_ready(&s->e.page, overlay ? records->root_dev : ~0ull, overlay && records->fresh,
                   records->top_count != 0);
    if (pod_plan_strv_count(plan, POD_KEY_PRELOAD) > 2)
        pod_page_nested(&s->e.page);
}

/* Out of the host's mounts and into the container's; nothing of the supervisor's stays open. */
static int settle(struct server *s, struct pod_emulator *emulator, int ready)
{
    int *kept[6 + POD_PLACES] = {&s->e.proc,          &s->socket,    &s->listeners[0],
                                 &s->e.records.upper, &s->e.page.fd, &ready};
    int count = 6;
    struct pod_err ignored;
    struct stat st;

    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || fstat(emulator->userns, &st))
        return -1;
    s->e.userns = st.st_ino;
    if (setns(emulator->userns, CLONE_NEWUSER) || setns(emulator->mntns, CLONE_NEWNS))
        return -1;
    for (int i = 0; i < s->e.records.places; i++)
        kept[count++] = &s->e.records.sidecars[i].fd;
    /* To places above all others first, then down to 3, 4, …: none is overwritten that is still needed. */
    for (int i = 0; i < count; i++)
        if (*kept[i] >= 0 && (*kept[i] = fcntl(*kept[i], F_DUPFD_CLOEXEC, 200)) < 0)
            return -1;
    for (int i = 0; i < count; i++)
        if (*kept[i] < 0)
            close(3 + i);
        else if ((*kept[i] = dup3(*kept[i], 3 + i, O_CLOEXEC)) < 0)
            return -1;
    pod_close_from(3 + count);
    umask(0);
    if (pod_confine_bounding(CAPS, &ignored) || pod_confine_caps(CAPS, &ignored) ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) ||
        getppid() != s->parent)
        return -1;
    POD_AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || fchdir(s->e.proc))
        return -1;
    pod_records_settle(&s->e.records, root);
    tell_programs(s, emulator->plan);
    creds_of(&emulator->first, &s->e.scratch);
    if (emulator->first.uid || emulator->first.gid)
        memset(&s->e.scratch, 0, sizeof s->e.scratch);
    if (pod_creds_begin(&s->e.creds, &s->e.scratch))
        return -1;
    s->e.creds.page = &s->e.page;
    if (emulator->first.kind == 'U' && adopt(s, &emulator->first))
        return -1;
    ssize_t told = write(ready, "K", 1);
    (void)told; /* nobody waits for it where the start was not in a hurry */
    close(ready);
    return 0;
}

_Noreturn void pod_emulator_serve(struct pod_emulator *emulator, int proc, int ready)
{
    struct server *s = calloc(1, sizeof *s);

    if (!s)
        _exit(1);
    prctl(PR_SET_NAME, "pod-emulator", 0, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    s->parent = getppid();
    s->e.proc = proc;
    s->socket = emulator->socket;
    for (int i = 0; i < LISTENERS; i++)
        s->listeners[i] = -1;
    for (int i = 0; i < CONNECTIONS; i++)
        s->connections[i] = -1;
    s->listeners[0] = emulator->listener;
    s->e.real = !(pod_plan_u64(emulator->plan, POD_KEY_FLAGS) & POD_PLAN_SINGLE_ID);
    pod_page_begin(&s->e.page, emulator->page);
    pod_records_begin(&s->e.records, emulator->plan, emulator->folder, &s->e.page);
    if (settle(s, emulator, ready))
        _exit(1);
    if (emulator->asked) {
        s->in = emulator->call;
        answer_it(s, s->listeners[0]);
    }
    for (;;)
        loop(s);
}
