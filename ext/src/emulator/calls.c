#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define COMPAT AUDIT_ARCH_I386
#else
#define NATIVE AUDIT_ARCH_AARCH64
#define COMPAT 0
#endif

enum kind {
    NOTHING,
    CHOWN,
    LCHOWN,
    FCHOWN,
    FCHOWNAT,
    SETUID,
    SETGID,
    SETREUID,
    SETREGID,
    SETRESUID,
    SETRESGID,
    SETFSUID,
    SETFSGID,
    SETGROUPS,
    GETUID,
    GETEUID,
    GETGID,
    GETEGID,
    GETRESUID,
    GETRESGID,
    GETGROUPS,
    PRCTL,
    EXEC,
    EXECAT,
    PEER,
    CONFINE,
    MKNOD,
    MKNODAT,
    MKDIR,
    MKDIRAT,
    SYMLINK,
    SYMLINKAT,
    BIND,
    OPEN,
    OPENAT,
    CREAT,
    SETXATTR,
    LSETXATTR,
    FSETXATTR,
    STAT,
    LSTAT,
    FSTAT,
    FSTATAT,
    STATX,
};

struct row {
    uint16_t number;
    uint8_t kind;
};

/* clang-format off */
static const struct row native[] = {
    {SYS_fchown, FCHOWN}, {SYS_fchownat, FCHOWNAT},
    {SYS_setuid, SETUID}, {SYS_setgid, SETGID}, {SYS_setreuid, SETREUID}, {SYS_setregid, SETREGID},
    {SYS_setresuid, SETRESUID}, {SYS_setresgid, SETRESGID}, {SYS_setfsuid, SETFSUID}, {SYS_setfsgid, SETFSGID},
    {SYS_setgroups, SETGROUPS}, {SYS_getuid, GETUID}, {SYS_geteuid, GETEUID}, {SYS_getgid, GETGID},
    {SYS_getegid, GETEGID}, {SYS_getresuid, GETRESUID}, {SYS_getresgid, GETRESGID}, {SYS_getgroups, GETGROUPS},
    {SYS_prctl, PRCTL}, {SYS_execve, EXEC}, {SYS_execveat, EXECAT}, {SYS_getsockopt, PEER}, {SYS_seccomp, CONFINE}, {SYS_bind, BIND},
    {SYS_mknodat, MKNODAT}, {SYS_mkdirat, MKDIRAT}, {SYS_symlinkat, SYMLINKAT}, {SYS_openat, OPENAT},
    {SYS_setxattr, SETXATTR}, {SYS_lsetxattr, LSETXATTR}, {SYS_fsetxattr, FSETXATTR},
    {SYS_fstat, FSTAT}, {SYS_newfstatat, FSTATAT}, {SYS_statx, STATX},
#if defined(__x86_64__)
    {SYS_chown, CHOWN}, {SYS_lchown, LCHOWN}, {SYS_mknod, MKNOD}, {SYS_mkdir, MKDIR}, {SYS_symlink, SYMLINK},
    {SYS_open, OPEN}, {SYS_creat, CREAT}, {SYS_stat, STAT}, {SYS_lstat, LSTAT},
#endif
};

/* i386 (asm/unistd_32.h): the calls with ids of 32 bits, and what has no structure of its own there. Those with ids of 16 bits
 * are the kernel's: they know no other id than root's. */
static const struct row compat[] = {
    {212, CHOWN}, {198, LCHOWN}, {207, FCHOWN}, {298, FCHOWNAT},
    {213, SETUID}, {214, SETGID}, {203, SETREUID}, {204, SETREGID}, {208, SETRESUID}, {210, SETRESGID},
    {215, SETFSUID}, {216, SETFSGID}, {206, SETGROUPS},
    {199, GETUID}, {201, GETEUID}, {200, GETGID}, {202, GETEGID}, {209, GETRESUID}, {211, GETRESGID},
    {205, GETGROUPS}, {361, BIND}, {172, PRCTL}, {11, EXEC}, {358, EXECAT}, {354, CONFINE},
    {14, MKNOD}, {297, MKNODAT}, {39, MKDIR}, {296, MKDIRAT}, {83, SYMLINK}, {304, SYMLINKAT},
    {5, OPEN}, {295, OPENAT}, {8, CREAT}, {226, SETXATTR}, {227, LSETXATTR}, {228, FSETXATTR}, {383, STATX},
};
/* clang-format on */

static enum kind kind_of(const struct seccomp_data *data)
{
    const struct row *rows = data->arch == NATIVE ? native : compat;
    size_t count = data->arch == NATIVE   ? sizeof native / sizeof *native
                   : data->arch == COMPAT ? sizeof compat / sizeof *compat
                                          : 0;

    for (size_t i = 0; i < count; i++)
        if (rows[i].number == data->nr)
            return rows[i].kind;
    return NOTHING;
}

static int64_t answer_ids(struct pod_call *call, enum kind kind)
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

static int64_t answer_owners(struct pod_call *call, enum kind kind)
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
    case SETXATTR:
    case LSETXATTR:
        return pod_answer_setxattr(call, AT_FDCWD, a[0],
                                   kind == LSETXATTR ? AT_SYMLINK_NOFOLLOW : 0);
    case FSETXATTR:
        return pod_answer_setxattr(call, (int)a[0], 0, AT_EMPTY_PATH);
    default:
        return POD_CALL_PASS;
    }
}

static int64_t answer_making(struct pod_call *call, enum kind kind)
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
    case BIND:
        return pod_answer_bind(call);
    case CREAT:
        return pod_answer_create(call, AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC,
                                 (uint32_t)a[1]);
    default:
        return POD_CALL_PASS;
    }
}

int64_t pod_call_answer(struct pod_call *call)
{
    const struct seccomp_data *data = &call->notif->data;
    enum kind kind = kind_of(data);
    int64_t result;

    for (int i = 0; i < 6; i++)
        call->args[i] = data->arch == NATIVE ? data->args[i] : (uint32_t)data->args[i];
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
