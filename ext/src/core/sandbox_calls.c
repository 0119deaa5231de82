/* A list of what unpacking needs, in the order of how often: kernels before 5.11 walk it for each call. Calls that one libc
 * or architecture makes in another's place are side by side. None of them names a process, a socket or a namespace. */
#define _GNU_SOURCE 1

#include "sandbox_calls.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define OLDER(X) X(SYS_poll) X(SYS_open) X(SYS_stat) X(SYS_lstat) X(SYS_chmod) X(SYS_readlink)
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define OLDER(X)
#endif

/* Newer than the headers that this may be built with; the numbers are the same everywhere. */
#define CLONE3 435
#define OPENAT2 437
#define FCHMODAT2 452
#if defined(__x86_64__)
#define STATX 332
#define RSEQ 334
#else
#define STATX 291
#define RSEQ 293
#endif

/* clang-format off */
#define ALLOWED(X) \
    X(SYS_read) X(SYS_write) X(SYS_openat) X(SYS_close) X(SYS_futex) X(SYS_newfstatat) X(SYS_fchmod) X(SYS_utimensat) \
    X(SYS_fstat) X(SYS_fchownat) X(SYS_fchown) X(SYS_mkdirat) X(SYS_symlinkat) X(SYS_linkat) X(SYS_unlinkat) \
    X(SYS_getdents64) X(SYS_lseek) X(SYS_pwrite64) X(SYS_pread64) X(SYS_writev) X(SYS_readv) X(SYS_munmap) X(SYS_madvise) \
    X(SYS_brk) X(SYS_mremap) X(SYS_ppoll) X(OPENAT2) X(STATX) X(SYS_fsetxattr) X(SYS_fgetxattr) X(SYS_flistxattr) \
    X(SYS_fremovexattr) X(SYS_setxattr) X(SYS_lsetxattr) X(SYS_getxattr) X(SYS_lgetxattr) X(SYS_mknodat) X(SYS_renameat) \
    X(SYS_renameat2) X(SYS_fchmodat) X(FCHMODAT2) X(SYS_readlinkat) X(SYS_faccessat) X(SYS_ftruncate) X(SYS_fallocate) \
    X(SYS_fstatfs) X(SYS_fadvise64) X(SYS_sync_file_range) X(SYS_copy_file_range) X(SYS_umask) X(SYS_dup) X(SYS_dup3) \
    X(SYS_sched_getaffinity) X(SYS_sched_yield) X(SYS_clock_gettime) X(SYS_clock_nanosleep) X(SYS_nanosleep) \
    X(SYS_gettimeofday) X(SYS_rt_sigprocmask) X(SYS_rt_sigaction) X(SYS_rt_sigreturn) X(SYS_sigaltstack) X(SYS_set_robust_list) \
    X(RSEQ) X(SYS_exit) X(SYS_exit_group) X(SYS_getpid) X(SYS_gettid) X(SYS_getrandom) X(SYS_restart_syscall) \
    OLDER(X)
/* clang-format on */

#define LOAD(field) \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, value)
#define ALLOW_CALL(number) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(number), 0, 1), ANSWER(SECCOMP_RET_ALLOW),
/* Allowed while ARGUMENT & MASK == VALUE; the low half, which is all of each that is asked. */
#define ALLOW_IF(number, argument, mask, value) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(number), 0, 5), LOAD(args[argument]), \
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask), \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1), ANSWER(SECCOMP_RET_ALLOW), LOAD(nr),

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#define NAMESPACES \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
     CLONE_NEWNET)
#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000U
#endif

int pod_sandbox_calls(void)
{
    struct sock_filter code[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        ANSWER(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        ALLOWED(ALLOW_CALL) ALLOW_IF(SYS_mmap, 2, PROT_EXEC, 0)
            ALLOW_IF(SYS_mprotect, 2, PROT_EXEC, 0)
        /* threads, no processes */
        ALLOW_IF(SYS_clone, 0, CLONE_THREAD | NAMESPACES, CLONE_THREAD)
        /* up to F_SETLKW: not F_SETOWN, which lets the kernel send signals */
        ALLOW_IF(SYS_fcntl, 1, ~7U, 0) ALLOW_IF(SYS_fcntl, 1, ~0U, 1030 /* F_DUPFD_CLOEXEC */)
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLONE3, 0, 1),
        ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
        ANSWER(SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0UL, &program) == 0 ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}
