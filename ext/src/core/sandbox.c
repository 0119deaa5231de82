#define _GNU_SOURCE 1

#include "sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "sandbox_calls.h"
#include "userns.h"

/* landlock(7) by numbers: headers of older systems lack it, and these are the same on every architecture. */
#define CREATE_RULESET 444
#define ADD_RULE 445
#define RESTRICT_SELF 446
#define VERSION 1U /* LANDLOCK_CREATE_RULESET_VERSION */
#define PATH_BENEATH 1

#define FS_EXECUTE (UINT64_C(1) << 0)
#define FS_MAKE_SOCK (UINT64_C(1) << 9)
#define FS_MAKE_BLOCK (UINT64_C(1) << 11)
#define FS_FIRST ((UINT64_C(1) << 13) - 1)
#define FS_REFER (UINT64_C(1) << 13)    /* version 2 */
#define FS_TRUNCATE (UINT64_C(1) << 14) /* 3 */
#define NET_TCP UINT64_C(3)             /* 4: bind, connect */
#define FS_IOCTL (UINT64_C(1) << 15)    /* 5 */
#define SCOPED UINT64_C(3)              /* 6: abstract sockets, signals */

struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

struct beneath {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

int pod_landlock_version(void)
{
    long version = syscall(CREATE_RULESET, NULL, 0UL, VERSION);

    return version < 0 ? 0 : (int)version;
}

/* 1 if it stands. A whiteout is a character device, of the one number that needs no privilege. */
static int raise_landlock(int dirfd)
{
    int version = pod_landlock_version();
    struct ruleset all = {.fs = FS_FIRST | FS_REFER};

    if (version < 2)
        return 0;
    all.fs |= (version > 2 ? FS_TRUNCATE : 0) | (version > 4 ? FS_IOCTL : 0);
    all.net = version > 3 ? NET_TCP : 0;
    all.scoped = version > 5 ? SCOPED : 0;
    struct beneath below = {
        .allowed = all.fs & ~(FS_EXECUTE | FS_MAKE_SOCK | FS_MAKE_BLOCK | FS_IOCTL), .fd = dirfd};
    POD_AUTO_FD int rules = (int)syscall(CREATE_RULESET, &all, sizeof all, 0U);

    return rules >= 0 && !syscall(ADD_RULE, rules, PATH_BENEATH, &below, 0U) &&
           !syscall(RESTRICT_SELF, rules, 0U);
}

/* 1 if the directory is the root now, 2 in a namespace of one id that is root there; 0 where that is not to be had; -1. */
static int change_root(const struct pod_sandbox *sandbox, struct pod_err *err)
{
    if (fchdir(sandbox->dirfd))
        return 0; /* a directory that only its descriptor opens, of cp */
    if (!chroot("."))
        return 1;
    if (!sandbox->userns || sandbox->mapped)
        return 0; /* a namespace of one id has no other owners */
    POD_AUTO_FD int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0)
        return 0;
    if (pod_userns_unshare_single(proc, 0, 0, err) < 0)
        return err->step == POD_USERNS ? 0 : -1; /* the limit of namespaces is no reason to fail */
    return chroot(".") ? 0 : 2;
}

/* What root of a map needs to make other owners' files; nothing of it reaches past the directory. Root of a single id keeps what
 * files' capabilities need: the kernel stores them as that id's own (capabilities(7), version 3), for its containers. */
static uint64_t kept_capabilities(int mapped, int single)
{
    static const int files[] = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
                                CAP_FSETID, CAP_MKNOD,        CAP_SETFCAP};
    uint64_t kept = single ? UINT64_C(1) << CAP_SETFCAP : 0;

    for (unsigned i = 0; mapped && i < sizeof files / sizeof *files; i++)
        kept |= UINT64_C(1) << files[i];
    return kept;
}

int pod_sandbox_enter(const struct pod_sandbox *sandbox, unsigned *walls, struct pod_err *err)
{
    int root = change_root(sandbox, err);

    *walls = 0;
    if (root < 0)
        return -1;
    /* Nobody may look into it or hold on to its descriptors; not before its id map is written, which the owner of /proc/self does. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* a change of credentials may have taken it away */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return pod_fail(err, POD_NO_NEW_PRIVS, NULL);
    *walls |= root ? POD_WALL_ROOT : 0;
    *walls |= raise_landlock(sandbox->dirfd) ? POD_WALL_LANDLOCK : 0;
    if (pod_confine_caps(kept_capabilities(sandbox->mapped, root == 2), err) < 0)
        return -1;
    *walls |= pod_sandbox_calls() ? POD_WALL_CALLS : 0;
    return 0;
}

static int is_kept(int fd, const int *kept, int count)
{
    for (int i = 0; i < count; i++)
        if (kept[i] == fd)
            return 1;
    return 0;
}

void pod_sandbox_close(const int *kept, int count)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int last = 2;

    for (int i = 0; i < count; i++)
        last = kept[i] > last ? kept[i] : last;
    for (int fd = 0; fd <= last; fd++) {
        if (is_kept(fd, kept, count) || fd == null)
            continue;
        if (fd > 2 || null < 0)
            close(fd);
        else
            dup2(null, fd);
    }
    if (null > 2 && null <= last)
        close(null);
    pod_close_from((unsigned)last + 1);
}
