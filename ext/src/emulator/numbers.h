/* Which call is which, by architecture and number. */
#ifndef POD_NUMBERS_H
#define POD_NUMBERS_H

#include <linux/seccomp.h>

enum pod_kind {
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
    SCHED,
    SCHEDATTR,
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
    OPENAT2,
    CREAT,
    SETXATTR,
    LSETXATTR,
    FSETXATTR,
    SETXATTRAT,
    REMOVEXATTR,
    REMOVEXATTRAT,
    LISTXATTR,
    LLISTXATTR,
    FLISTXATTR,
    LISTXATTRAT,
    STAT,
    LSTAT,
    FSTAT,
    FSTATAT,
    STATX,
};

/* BITS: 64 for calls of this machine's own programs; else those of 32-bit programs, 16 for calls with ids (and a structure) of
 * 16 bits. NOTHING for a call that is not answered. */
enum pod_kind pod_kind_of(const struct seccomp_data *data, int *bits);

#endif
