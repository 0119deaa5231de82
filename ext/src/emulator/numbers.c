#include "numbers.h"

#include <linux/audit.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define COMPAT AUDIT_ARCH_I386
#else
#define NATIVE AUDIT_ARCH_AARCH64
#define COMPAT AUDIT_ARCH_ARM
#endif

struct row {
    uint16_t number;
    uint8_t kind, bits;
};

/* clang-format off */
static const struct row native[] = {
    {SYS_fchown, FCHOWN, 64}, {SYS_fchownat, FCHOWNAT, 64},
    {SYS_setuid, SETUID, 64}, {SYS_setgid, SETGID, 64}, {SYS_setreuid, SETREUID, 64}, {SYS_setregid, SETREGID, 64},
    {SYS_setresuid, SETRESUID, 64}, {SYS_setresgid, SETRESGID, 64}, {SYS_setfsuid, SETFSUID, 64}, {SYS_setfsgid, SETFSGID, 64},
    {SYS_setgroups, SETGROUPS, 64}, {SYS_getuid, GETUID, 64}, {SYS_geteuid, GETEUID, 64}, {SYS_getgid, GETGID, 64},
    {SYS_getegid, GETEGID, 64}, {SYS_getresuid, GETRESUID, 64}, {SYS_getresgid, GETRESGID, 64}, {SYS_getgroups, GETGROUPS, 64},
    {SYS_prctl, PRCTL, 64}, {SYS_execve, EXEC, 64}, {SYS_execveat, EXECAT, 64}, {SYS_getsockopt, PEER, 64}, {SYS_seccomp, CONFINE, 64},
    {SYS_bind, BIND, 64},
    {SYS_mknodat, MKNODAT, 64}, {SYS_mkdirat, MKDIRAT, 64}, {SYS_symlinkat, SYMLINKAT, 64}, {SYS_openat, OPENAT, 64},
    {SYS_setxattr, SETXATTR, 64}, {SYS_lsetxattr, LSETXATTR, 64}, {SYS_fsetxattr, FSETXATTR, 64},
    {SYS_sched_setscheduler, SCHED, 64}, {SYS_sched_setattr, SCHEDATTR, 64},
    {437, OPENAT2, 64}, {463, SETXATTRAT, 64}, {466, REMOVEXATTRAT, 64}, {465, LISTXATTRAT, 64},
    {SYS_removexattr, REMOVEXATTR, 64}, {SYS_lremovexattr, REMOVEXATTR, 64}, {SYS_fremovexattr, REMOVEXATTR, 64},
    {SYS_listxattr, LISTXATTR, 64}, {SYS_llistxattr, LLISTXATTR, 64}, {SYS_flistxattr, FLISTXATTR, 64},
    {SYS_fstat, FSTAT, 64}, {SYS_newfstatat, FSTATAT, 64}, {SYS_statx, STATX, 64},
#if defined(__x86_64__)
    {SYS_chown, CHOWN, 64}, {SYS_lchown, LCHOWN, 64}, {SYS_mknod, MKNOD, 64}, {SYS_mkdir, MKDIR, 64}, {SYS_symlink, SYMLINK, 64},
    {SYS_open, OPEN, 64}, {SYS_creat, CREAT, 64}, {SYS_stat, STAT, 64}, {SYS_lstat, LSTAT, 64},
#endif
};

/* 32-bit programs: name, number, kind, bits of its ids (a unit test compares names and numbers with the filter's tables). */
#define CALL(name, number, kind, bits) {number, kind, bits}

static const struct row compat[] = {
#if defined(__x86_64__)
    CALL(chown32, 212, CHOWN, 32), CALL(lchown32, 198, LCHOWN, 32), CALL(fchown32, 207, FCHOWN, 32),
    CALL(fchownat, 298, FCHOWNAT, 32), CALL(setuid32, 213, SETUID, 32), CALL(setgid32, 214, SETGID, 32),
    CALL(setreuid32, 203, SETREUID, 32), CALL(setregid32, 204, SETREGID, 32), CALL(setresuid32, 208, SETRESUID, 32),
    CALL(setresgid32, 210, SETRESGID, 32), CALL(setfsuid32, 215, SETFSUID, 32), CALL(setfsgid32, 216, SETFSGID, 32),
    CALL(setgroups32, 206, SETGROUPS, 32), CALL(getuid32, 199, GETUID, 32), CALL(geteuid32, 201, GETEUID, 32),
    CALL(getgid32, 200, GETGID, 32), CALL(getegid32, 202, GETEGID, 32), CALL(getresuid32, 209, GETRESUID, 32),
    CALL(getresgid32, 211, GETRESGID, 32), CALL(getgroups32, 205, GETGROUPS, 32), CALL(prctl, 172, PRCTL, 32),
    CALL(execve, 11, EXEC, 32), CALL(execveat, 358, EXECAT, 32), CALL(getsockopt, 365, PEER, 32), CALL(seccomp, 354, CONFINE, 32),
   
    CALL(bind, 361, BIND, 32), CALL(mknod, 14, MKNOD, 32), CALL(mknodat, 297, MKNODAT, 32), CALL(mkdir, 39, MKDIR, 32),
    CALL(mkdirat, 296, MKDIRAT, 32), CALL(symlink, 83, SYMLINK, 32), CALL(symlinkat, 304, SYMLINKAT, 32),
    CALL(open, 5, OPEN, 32), CALL(openat, 295, OPENAT, 32), CALL(openat2, 437, OPENAT2, 32), CALL(creat, 8, CREAT, 32),
    CALL(sched_setscheduler, 156, SCHED, 32), CALL(sched_setattr, 351, SCHEDATTR, 32), CALL(setxattr, 226, SETXATTR, 32),
    CALL(lsetxattr, 227, LSETXATTR, 32), CALL(fsetxattr, 228, FSETXATTR, 32), CALL(setxattrat, 463, SETXATTRAT, 32),
    CALL(removexattr, 235, REMOVEXATTR, 32), CALL(lremovexattr, 236, REMOVEXATTR, 32),
    CALL(fremovexattr, 237, REMOVEXATTR, 32), CALL(removexattrat, 466, REMOVEXATTRAT, 32),
    CALL(listxattr, 232, LISTXATTR, 32), CALL(llistxattr, 233, LLISTXATTR, 32), CALL(flistxattr, 234, FLISTXATTR, 32),
    CALL(listxattrat, 465, LISTXATTRAT, 32), CALL(stat64, 195, STAT, 32), CALL(lstat64, 196, LSTAT, 32),
    CALL(fstat64, 197, FSTAT, 32), CALL(fstatat64, 300, FSTATAT, 32), CALL(statx, 383, STATX, 32),
    CALL(chown, 182, CHOWN, 16), CALL(lchown, 16, LCHOWN, 16), CALL(fchown, 95, FCHOWN, 16), CALL(setuid, 23, SETUID, 16),
    CALL(setgid, 46, SETGID, 16), CALL(setreuid, 70, SETREUID, 16), CALL(setregid, 71, SETREGID, 16),
    CALL(setresuid, 164, SETRESUID, 16), CALL(setresgid, 170, SETRESGID, 16), CALL(setfsuid, 138, SETFSUID, 16),
    CALL(setfsgid, 139, SETFSGID, 16), CALL(setgroups, 81, SETGROUPS, 16), CALL(getuid, 24, GETUID, 16),
    CALL(geteuid, 49, GETEUID, 16), CALL(getgid, 47, GETGID, 16), CALL(getegid, 50, GETEGID, 16),
    CALL(getresuid, 165, GETRESUID, 16), CALL(getresgid, 171, GETRESGID, 16), CALL(getgroups, 80, GETGROUPS, 16),
    CALL(stat, 106, STAT, 16), CALL(lstat, 107, LSTAT, 16), CALL(fstat, 108, FSTAT, 16),
#else
    CALL(chown32, 212, CHOWN, 32), CALL(lchown32, 198, LCHOWN, 32), CALL(fchown32, 207, FCHOWN, 32),
    CALL(fchownat, 325, FCHOWNAT, 32), CALL(setuid32, 213, SETUID, 32), CALL(setgid32, 214, SETGID, 32),
    CALL(setreuid32, 203, SETREUID, 32), CALL(setregid32, 204, SETREGID, 32), CALL(setresuid32, 208, SETRESUID, 32),
    CALL(setresgid32, 210, SETRESGID, 32), CALL(setfsuid32, 215, SETFSUID, 32), CALL(setfsgid32, 216, SETFSGID, 32),
    CALL(setgroups32, 206, SETGROUPS, 32), CALL(getuid32, 199, GETUID, 32), CALL(geteuid32, 201, GETEUID, 32),
    CALL(getgid32, 200, GETGID, 32), CALL(getegid32, 202, GETEGID, 32), CALL(getresuid32, 209, GETRESUID, 32),
    CALL(getresgid32, 211, GETRESGID, 32), CALL(getgroups32, 205, GETGROUPS, 32), CALL(prctl, 172, PRCTL, 32),
    CALL(execve, 11, EXEC, 32), CALL(execveat, 387, EXECAT, 32), CALL(getsockopt, 295, PEER, 32), CALL(seccomp, 383, CONFINE, 32),
   
    CALL(bind, 282, BIND, 32), CALL(mknod, 14, MKNOD, 32), CALL(mknodat, 324, MKNODAT, 32), CALL(mkdir, 39, MKDIR, 32),
    CALL(mkdirat, 323, MKDIRAT, 32), CALL(symlink, 83, SYMLINK, 32), CALL(symlinkat, 331, SYMLINKAT, 32),
    CALL(open, 5, OPEN, 32), CALL(openat, 322, OPENAT, 32), CALL(openat2, 437, OPENAT2, 32), CALL(creat, 8, CREAT, 32),
    CALL(sched_setscheduler, 156, SCHED, 32), CALL(sched_setattr, 380, SCHEDATTR, 32), CALL(setxattr, 226, SETXATTR, 32),
    CALL(lsetxattr, 227, LSETXATTR, 32), CALL(fsetxattr, 228, FSETXATTR, 32), CALL(setxattrat, 463, SETXATTRAT, 32),
    CALL(removexattr, 235, REMOVEXATTR, 32), CALL(lremovexattr, 236, REMOVEXATTR, 32),
    CALL(fremovexattr, 237, REMOVEXATTR, 32), CALL(removexattrat, 466, REMOVEXATTRAT, 32),
    CALL(listxattr, 232, LISTXATTR, 32), CALL(llistxattr, 233, LLISTXATTR, 32), CALL(flistxattr, 234, FLISTXATTR, 32),
    CALL(listxattrat, 465, LISTXATTRAT, 32), CALL(stat64, 195, STAT, 32), CALL(lstat64, 196, LSTAT, 32),
    CALL(fstat64, 197, FSTAT, 32), CALL(fstatat64, 327, FSTATAT, 32), CALL(statx, 397, STATX, 32),
    CALL(chown, 182, CHOWN, 16), CALL(lchown, 16, LCHOWN, 16), CALL(fchown, 95, FCHOWN, 16), CALL(setuid, 23, SETUID, 16),
    CALL(setgid, 46, SETGID, 16), CALL(setreuid, 70, SETREUID, 16), CALL(setregid, 71, SETREGID, 16),
    CALL(setresuid, 164, SETRESUID, 16), CALL(setresgid, 170, SETRESGID, 16), CALL(setfsuid, 138, SETFSUID, 16),
    CALL(setfsgid, 139, SETFSGID, 16), CALL(setgroups, 81, SETGROUPS, 16), CALL(getuid, 24, GETUID, 16),
    CALL(geteuid, 49, GETEUID, 16), CALL(getgid, 47, GETGID, 16), CALL(getegid, 50, GETEGID, 16),
    CALL(getresuid, 165, GETRESUID, 16), CALL(getresgid, 171, GETRESGID, 16), CALL(getgroups, 80, GETGROUPS, 16),
    CALL(stat, 106, STAT, 16), CALL(lstat, 107, LSTAT, 16), CALL(fstat, 108, FSTAT, 16),
#endif
};
/* clang-format on */

enum pod_kind pod_kind_of(const struct seccomp_data *data, int *bits)
{
    int is_native = data->arch == NATIVE;
    const struct row *rows = is_native ? native : compat;
    size_t count = is_native              ? sizeof native / sizeof *native
                   : data->arch == COMPAT ? sizeof compat / sizeof *compat
                                          : 0;

    for (size_t i = 0; i < count; i++)
        if (rows[i].number == data->nr) {
            *bits = rows[i].bits;
            return rows[i].kind;
        }
    *bits = is_native ? 64 : 32;
    return NOTHING;
}
