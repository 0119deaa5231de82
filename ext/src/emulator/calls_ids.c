#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"
#include "err.h"

static uint32_t low(const struct pod_call *call, int index)
{
    return (uint32_t)call->args[index];
}

/* What a call with ids of 16 bits shows of larger ones (/proc/sys/kernel/overflowuid). */
static uint16_t narrow(uint32_t id)
{
    return id > UINT16_MAX ? 65534 : (uint16_t)id;
}

static int64_t write_ids(const struct pod_call *call, uint64_t to, const uint32_t *ids,
                         uint32_t count)
{
    uint16_t narrowed[POD_CREDS_GROUPS];

    if (call->bits != 16)
        return pod_call_write(call, to, ids, count * sizeof *ids);
    for (uint32_t i = 0; i < count; i++)
        narrowed[i] = narrow(ids[i]);
    return pod_call_write(call, to, narrowed, count * sizeof *narrowed);
}

static int read_ids(const struct pod_call *call, uint64_t from, uint32_t *ids, uint32_t count)
{
    uint16_t narrowed[POD_CREDS_GROUPS];

    if (call->bits != 16)
        return pod_call_read(call, from, ids, count * sizeof *ids);
    if (pod_call_read(call, from, narrowed, count * sizeof *narrowed))
        return -EFAULT;
    for (uint32_t i = 0; i < count; i++)
        ids[i] = narrowed[i];
    return 0;
}

int64_t pod_answer_get(struct pod_call *call, int uids, int which)
{
    int64_t gone = pod_call_creds(call);

    if (gone)
        return gone;
    /* Root is what the kernel says; those in a user namespace of their own have its ids. */
    if (call->creds == call->e->creds.sets[0] || pod_call_is_nested(call))
        return POD_CALL_PASS;
    uint32_t id = uids ? call->creds->uid[which] : call->creds->gid[which];
    return call->bits == 16 ? narrow(id) : id;
}

int64_t pod_answer_getres(struct pod_call *call, int uids)
{
    int64_t result = pod_call_creds(call);

    if (result)
        return result;
    if (call->creds == call->e->creds.sets[0] || pod_call_is_nested(call))
        return POD_CALL_PASS;
    const uint32_t *ids = uids ? call->creds->uid : call->creds->gid;
    for (int i = 0; i < 3 && !result; i++)
        result = write_ids(call, call->args[i], &ids[i], 1);
    return result;
}

int64_t pod_answer_getgroups(struct pod_call *call)
{
    int64_t result = pod_call_creds(call);
    int room = (int)low(call, 0);

    if (result)
        return result;
    if (pod_call_is_nested(call))
        return POD_CALL_PASS;
    uint32_t count = call->creds->group_count;
    if (room < 0 || (room && (uint32_t)room < count))
        return -EINVAL;
    if (room && count)
        result = write_ids(call, call->args[1], call->creds->groups, count);
    return result ? result : count;
}

/* The caller's ids as they are, to be changed; NULL with *RESULT where nothing is to be done. */
static struct pod_creds *change(struct pod_call *call, int64_t *result)
{
    *result = pod_call_creds(call);
    if (!*result && pod_call_is_nested(call))
        *result = POD_CALL_PASS;
    if (*result)
        return NULL;
    struct pod_creds *creds = &call->e->scratch;
    memcpy(creds, call->creds,
           offsetof(struct pod_creds, groups) + call->creds->group_count * sizeof(uint32_t));
    return creds;
}

int64_t pod_answer_set(struct pod_call *call, int uids, enum pod_set kind)
{
    int64_t result;
    struct pod_creds *creds = change(call, &result);
    uint32_t ids[3] = {low(call, 0), low(call, 1), low(call, 2)};

    if (!creds)
        return result;
    uint32_t before = uids ? creds->uid[POD_ID_FS] : creds->gid[POD_ID_FS];
    if (kind == POD_SET)
        result = pod_creds_set(creds, uids, ids[0]);
    else if (kind == POD_SETRE)
        result = pod_creds_setre(creds, uids, ids[0], ids[1]);
    else if (kind == POD_SETRES)
        result = pod_creds_setres(creds, uids, ids);
    else
        pod_creds_setfs(creds, uids, ids[0]);
    if (!result)
        result = pod_call_become(call, creds);
    if (kind == POD_SETFS && result != POD_CALL_GONE)
        return call->bits == 16 ? narrow(before) : before;
    return result;
}

int64_t pod_answer_setgroups(struct pod_call *call)
{
    int64_t result;
    struct pod_creds *creds = change(call, &result);
    uint32_t count = low(call, 0), groups[POD_CREDS_GROUPS];

    if (!creds)
        return result;
    if (pod_creds_capable(creds) && count && count <= POD_CREDS_GROUPS &&
        read_ids(call, call->args[1], groups, count))
        return -EFAULT;
    result = pod_creds_setgroups(creds, groups, count);
    return result ? result
                  : pod_call_become(call, creds); /* by a descriptor that was checked already */
}

int64_t pod_answer_prctl(struct pod_call *call)
{
    int64_t result;

    switch (low(call, 0)) {
    case PR_SET_TIMERSLACK:
        return 0;
    case PR_GET_TIMERSLACK:
        return POD_SLACK_BASE;
    case PR_SET_SECCOMP:
        return pod_answer_confine(call);
    case PR_SET_KEEPCAPS:
        break;
    default:
        return POD_CALL_PASS;
    }
    if (call->args[1] > 1)
        return -EINVAL;
    struct pod_creds *creds = change(call, &result);
    if (!creds)
        return result;
    creds->flags =
        (creds->flags & ~(uint32_t)POD_CREDS_KEEP) | (call->args[1] ? POD_CREDS_KEEP : 0);
    result = pod_call_become(call, creds);
    return result ? result : POD_CALL_PASS; /* and the kernel keeps them in truth */
}

enum head { UNKNOWN, BINARY, SCRIPT, NEITHER };

/* How the program FD begins. NEITHER is what the kernel has no format for (ENOEXEC), but for what binfmt_misc knows. */
static enum head head_of(int fd)
{
    char path[32], head[4];

    snprintf(path, sizeof path, "self/fd/%d", fd);
    POD_AUTO_FD int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = file < 0 ? -1 : read(file, head, sizeof head);
    if (got < 0)
        return UNKNOWN;
    if (got == 4 && !memcmp(head, "\177ELF", 4))
        return BINARY;
    return got >= 2 && !memcmp(head, "#!", 2) ? SCRIPT : NEITHER;
}

int64_t pod_answer_realtime(struct pod_call *call, int attr)
{
    struct {
        uint32_t size, policy;
    } head = {.policy = low(call, 1)};
    int64_t failed = pod_call_creds(call);

    if (failed)
        return failed;
    if (attr && pod_call_read(call, call->args[1], &head, sizeof head))
        return POD_CALL_PASS;
    head.policy &= ~(uint32_t)SCHED_RESET_ON_FORK;
    int realtime = head.policy == SCHED_FIFO || head.policy == SCHED_RR || head.policy == 6;
    /* It would have no slack any more, and so be root again. */
    return realtime && call->creds != call->e->creds.sets[0] ? -EPERM : POD_CALL_PASS;
}

/* Whether the set-id bits of FD count: its file system honours them, and no_new_privs is off. */
static int bits_count(const struct pod_call *call, int fd)
{
    struct statvfs fs;

    return !fstatvfs(fd, &fs) && !(fs.f_flag & ST_NOSUID) &&
           !pod_call_status(call, "\nNoNewPrivs:", 10, 1);
}

/* Opens the program of an exec: 1, its descriptor (-1: what it is cannot be seen from here) and its mode; 0 where the kernel
 * will refuse it, so that nothing may change; POD_CALL_GONE. */
static int64_t open_program(struct pod_call *call, int dirfd, uint64_t path, int flags, int *fd,
                            struct stat *st)
{
    memset(st, 0, sizeof *st);
    if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) /* AT_EXECVE_CHECK only asks */
        return 0;
    int64_t opened = pod_call_open(call, dirfd, path, flags);
    if (opened == POD_CALL_GONE)
        return opened;
    *fd = (int)(opened < 0 ? -1 : opened);
    if (*fd < 0)
        return opened == -ELOOP || call->in_proc;
    return !fstat(*fd, st) && S_ISREG(st->st_mode) && st->st_mode & 0111;
}

int64_t pod_answer_exec(struct pod_call *call, int dirfd, uint64_t path, int flags)
{
    struct stat st;
    struct pod_owned owned;
    POD_AUTO_FD int fd = -1;
    int64_t result = pod_call_creds(call);

    if (result)
        return result;
    int64_t runs = open_program(call, dirfd, path, flags, &fd, &st);
    if (runs != 1)
        return runs ? runs : POD_CALL_PASS;
    struct pod_creds *creds = change(call, &result);
    if (!creds)
        return result;
    creds->flags = 0;
    /* Somebody's on the host: as for the kernel, its bits say nothing. */
    if (st.st_mode & (S_ISUID | S_ISGID) && !st.st_uid && !st.st_gid && head_of(fd) == BINARY &&
        bits_count(call, fd)) {
        pod_records_get(&call->e->records, fd, &owned);
        if (st.st_mode & S_ISUID)
            creds->uid[POD_ID_EFFECTIVE] = owned.uid;
        if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
            creds->gid[POD_ID_EFFECTIVE] = owned.gid;
    }
    for (int i = POD_ID_SAVED; i <= POD_ID_FS; i++) {
        creds->uid[i] = creds->uid[POD_ID_EFFECTIVE];
        creds->gid[i] = creds->gid[POD_ID_EFFECTIVE];
    }
    if (fd >= 0 && memcmp(creds, call->creds, offsetof(struct pod_creds, groups)) &&
        head_of(fd) == NEITHER)
        return POD_CALL_PASS;
    result = pod_call_become(call, creds);
    return result == POD_CALL_GONE ? result : POD_CALL_PASS;
}

/* SO_PEERCRED: who the other side is now; the kernel remembers only that it was root. */
int64_t pod_answer_peer(struct pod_call *call)
{
    struct ucred peer;
    uint32_t room;
    socklen_t size = sizeof peer;
    POD_AUTO_FD int process = pod_call_process(call);

    if (pod_call_read(call, call->args[4], &room, sizeof room))
        return POD_CALL_PASS;
    if (process < 0 || !pod_call_alive(call))
        return POD_CALL_GONE;
    POD_AUTO_FD int fd = (int)syscall(SYS_pidfd_getfd, process, (int)low(call, 0), 0);
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.pid <= 0)
        return POD_CALL_PASS;
    /* The same questions about another process: only its number and its slack are looked at. */
    struct seccomp_notif of = {.id = call->notif->id, .pid = (uint32_t)peer.pid};
    struct pod_call other = {.e = call->e, .listener = call->listener, .notif = &of, .slack = -1};
    if (pod_call_creds(&other))
        return POD_CALL_PASS;
    close(other.slack);
    if (other.creds == call->e->creds.sets[0])
        return POD_CALL_PASS;
    unsigned long inside = pod_call_inner_pid(&other);
    struct ucred answer = {.pid = (pid_t)inside,
                           .uid = other.creds->uid[POD_ID_EFFECTIVE],
                           .gid = other.creds->gid[POD_ID_EFFECTIVE]};
    size = room < sizeof answer ? room : sizeof answer;
    int64_t result = pod_call_write(call, call->args[3], &answer, size);
    return result ? result : pod_call_write(call, call->args[4], &size, sizeof size);
}
