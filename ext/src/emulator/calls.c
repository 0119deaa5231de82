#include "calls.h"

#include <fcntl.h>
#include <unistd.h>

#include "numbers.h"

static int64_t answer_ids(struct pod_call *call, enum pod_kind kind)
{
    switch (kind) {
    case SETUID:
    case SETGID:
        return pod_answer_set(call, kind == SETUID, POD_SET);
    case SETREUID:
    case SETREGID:
        return pod_answer_set(call, kind == SETREUID, POD_SETRE);
    case SETRESUID:
    case SETRESGID:
        return pod_answer_set(call, kind == SETRESUID, POD_SETRES);
    case SETFSUID:
    case SETFSGID:
        return pod_answer_set(call, kind == SETFSUID, POD_SETFS);
    case SETGROUPS:
        return pod_answer_setgroups(call);
    case GETUID:
    case GETGID:
        return pod_answer_get(call, kind == GETUID, POD_ID_REAL);
    case GETEUID:
    case GETEGID:
        return pod_answer_get(call, kind == GETEUID, POD_ID_EFFECTIVE);
    case GETRESUID:
    case GETRESGID:
        return pod_answer_getres(call, kind == GETRESUID);
    case GETGROUPS:
        return pod_answer_getgroups(call);
    default:
        return POD_CALL_PASS;
    }
}

static int64_t answer_owners(struct pod_call *call, enum pod_kind kind)
{
    const uint64_t *a = call->args;

    switch (kind) {
    case CHOWN:
    case LCHOWN:
        return pod_answer_chown(call, AT_FDCWD, a[0], (uint32_t)a[1], (uint32_t)a[2],
                                kind == LCHOWN ? AT_SYMLINK_NOFOLLOW : 0);
    case FCHOWN:
        return pod_answer_chown(call, (int)a[0], 0, (uint32_t)a[1], (uint32_t)a[2], AT_EMPTY_PATH);
    case FCHOWNAT:
        return pod_answer_chown(call, (int)a[0], a[1], (uint32_t)a[2], (uint32_t)a[3], (int)a[4]);
    case STAT:
    case LSTAT:
        return pod_answer_stat(call, AT_FDCWD, a[0], a[1], kind == LSTAT ? AT_SYMLINK_NOFOLLOW : 0);
    case FSTAT:
        return pod_answer_stat(call, (int)a[0], 0, a[1], AT_EMPTY_PATH);
    case FSTATAT:
        return pod_answer_stat(call, (int)a[0], a[1], a[2], (int)a[3]);
    case STATX:
        return pod_answer_statx(call);
    default:
        return POD_CALL_PASS;
    }
}

static int64_t answer_attributes(struct pod_call *call, enum pod_kind kind)
{
    const uint64_t *a = call->args;

    switch (kind) {
    case SETXATTR:
    case LSETXATTR:
        return pod_answer_setxattr(call, AT_FDCWD, a[0], a[1],
                                   kind == LSETXATTR ? AT_SYMLINK_NOFOLLOW : 0, a[2], a[3]);
    case FSETXATTR:
        return pod_answer_setxattr(call, (int)a[0], 0, a[1], AT_EMPTY_PATH, a[2], a[3]);
    case SETXATTRAT:
        return pod_answer_setxattrat(call);
    case REMOVEXATTR:
        return pod_answer_removexattr(call, a[1]);
    case REMOVEXATTRAT:
        return pod_answer_removexattr(call, a[3]);
    case LISTXATTR:
    case LLISTXATTR:
        return pod_answer_listxattr(call, AT_FDCWD, a[0],
                                    kind == LLISTXATTR ? AT_SYMLINK_NOFOLLOW : 0, a[1], a[2]);
    case FLISTXATTR:
        return pod_answer_listxattr(call, (int)a[0], 0, AT_EMPTY_PATH, a[1], a[2]);
    default:
        return pod_answer_listxattr(call, (int)a[0], a[1], (int)a[2], a[3], a[4]);
    }
}

static int64_t answer_making(struct pod_call *call, enum pod_kind kind)
{
    const uint64_t *a = call->args;

    switch (kind) {
    case MKNOD:
        return pod_answer_mknod(call, AT_FDCWD, a[0], (uint32_t)a[1], (uint32_t)a[2]);
    case MKNODAT:
        return pod_answer_mknod(call, (int)a[0], a[1], (uint32_t)a[2], (uint32_t)a[3]);
    case MKDIR:
        return pod_answer_mkdir(call, AT_FDCWD, a[0], (uint32_t)a[1]);
    case MKDIRAT:
        return pod_answer_mkdir(call, (int)a[0], a[1], (uint32_t)a[2]);
    case SYMLINK:
        return pod_answer_symlink(call, a[0], AT_FDCWD, a[1]);
    case SYMLINKAT:
        return pod_answer_symlink(call, a[0], (int)a[1], a[2]);
    case OPEN:
        return pod_answer_create(call, AT_FDCWD, a[0], (int)a[1], (uint32_t)a[2]);
    case OPENAT:
        return pod_answer_create(call, (int)a[0], a[1], (int)a[2], (uint32_t)a[3]);
    case OPENAT2:
        return pod_answer_openat2(call);
    case BIND:
        return pod_answer_bind(call);
    case CREAT:
        return pod_answer_create(call, AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC,
                                 (uint32_t)a[1]);
    default:
        return POD_CALL_PASS;
    }
}

/* Ids of 16 bits in arguments: -1 stays what it means. */
static void widen(struct pod_call *call, enum pod_kind kind)
{
    int first = kind == CHOWN || kind == LCHOWN || kind == FCHOWN ? 1 : 0;

    if (!first && (kind < SETUID || kind > SETFSGID))
        return;
    for (int i = first; i < 3; i++) {
        uint16_t id = (uint16_t)call->args[i];
        call->args[i] = id == UINT16_MAX ? UINT32_MAX : id;
    }
}

int64_t pod_call_answer(struct pod_call *call)
{
    const struct seccomp_data *data = &call->notif->data;
    enum pod_kind kind = pod_kind_of(data, &call->bits);
    int64_t result;

    for (int i = 0; i < 6; i++)
        call->args[i] = call->bits == 64 ? data->args[i] : (uint32_t)data->args[i];
    if (call->bits == 16)
        widen(call, kind);
    call->resolve = 0;
    call->creds = NULL;
    call->slack = -1;
    if (kind >= SETUID && kind <= GETGROUPS)
        result = answer_ids(call, kind);
    else if (kind >= MKNOD && kind <= CREAT)
        result = answer_making(call, kind);
    else if (kind == PRCTL)
        result = pod_answer_prctl(call);
    else if (kind == EXEC)
        result = pod_answer_exec(call, AT_FDCWD, call->args[0], 0);
    else if (kind == EXECAT)
        result = pod_answer_exec(call, (int)call->args[0], call->args[1], (int)call->args[4]);
    else if (kind == SCHED || kind == SCHEDATTR)
        result = pod_answer_realtime(call, kind == SCHEDATTR);
    else if (kind >= SETXATTR && kind <= LISTXATTRAT)
        result = answer_attributes(call, kind);
    else if (kind == PEER)
        result = pod_answer_peer(call);
    else if (kind == CONFINE)
        /* SECCOMP_SET_MODE_FILTER of nothing asks what the kernel can. */
        result = call->args[0] && !call->args[2] ? POD_CALL_PASS : pod_answer_confine(call);
    else
        result = answer_owners(call, kind);
    if (call->slack >= 0)
        close(call->slack);
    return result;
}
