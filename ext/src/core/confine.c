#include "confine.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "page.h"

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT 47
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

void pod_close_from(unsigned first)
{
    struct rlimit limit = {.rlim_cur = 4096};

    if (syscall(SYS_close_range, first, ~0u, 0) == 0)
        return;
    /* Before Linux 5.9, or behind a filter. A limit that was lowered later may leave higher ones: look far enough. */
    getrlimit(RLIMIT_NOFILE, &limit);
    unsigned last = limit.rlim_cur < 65536      ? 65536
                    : limit.rlim_cur > 1u << 20 ? 1u << 20
                                                : (unsigned)limit.rlim_cur;
    for (unsigned fd = first; fd < last; fd++)
        close((int)fd);
}

static const char *const rlimit_names[] = {
    "cpu",     "fsize", "data",  "stack",      "core",     "rss",  "nproc",  "nofile",
    "memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};

int pod_confine_rlimits(const struct pod_plan *plan, struct pod_err *err)
{
    uint32_t length;
    const struct pod_rlimit *limits = pod_plan_blob(plan, POD_KEY_RLIMITS, &length);

    for (uint32_t i = 0; i < length / sizeof *limits; i++) {
        struct rlimit limit = {.rlim_cur = limits[i].soft, .rlim_max = limits[i].hard};
        if (limits[i].resource >= sizeof rlimit_names / sizeof *rlimit_names)
            return pod_fail_errno(err, POD_RLIMIT, EINVAL, NULL);
        if (setrlimit((int)limits[i].resource, &limit))
            return pod_fail(err, POD_RLIMIT, rlimit_names[limits[i].resource]);
    }
    return 0;
}

/* Found by name only by who may search it (join_session_keyring of the kernel), and it is made without that right. */
#define KEYRING_PERMISSIONS \
    0x3f1b0000 /* all for its possessor; view, read, search and link for the user */
#define KEYRING_SHARED "pod-containers"
#define OVERFLOW_UID "65534"

void pod_confine_share_keyring(void)
{
    long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, KEYRING_SHARED, 0, 0, 0);

    /* Only its owner may do that: one of this name that is another user's is left again. */
    if (ring >= 0 && syscall(SYS_keyctl, KEYCTL_SETPERM, ring, KEYRING_PERMISSIONS, 0, 0) < 0)
        syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
}

/* "keyring;UID;GID;PERMISSIONS;NAME": the shared one, and this user's (others have no id in here). */
static int has_shared_keyring(void)
{
    char text[128] = "";
    long length =
        syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text, sizeof text - 1, 0);
    const char *uid = strchr(text, ';'), *name = strrchr(text, ';');

    return length > 0 && uid && name && strcmp(name + 1, KEYRING_SHARED) == 0 &&
           strncmp(uid + 1, OVERFLOW_UID ";", sizeof OVERFLOW_UID) != 0;
}

int pod_confine_keyring(struct pod_err *err)
{
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) >= 0)
        return 0;
    int errnum = errno;
    /* ENOSYS, EPERM: no keyrings in this kernel, or an outer filter hides them; then there is none to inherit either way. */
    if (errnum == ENOSYS || errnum == EPERM || (errnum == EDQUOT && has_shared_keyring()))
        return 0;
    return pod_fail_errno(err, POD_KEYRING, errnum, NULL);
}

int pod_confine_bounding(uint64_t caps, struct pod_err *err)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
        return pod_fail(err, POD_CAPS, "ambient");
    for (unsigned long cap = 0; cap < 64; cap++) {
        if (caps >> cap & 1)
            continue;
        /* EINVAL: past the kernel's last capability. */
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)) {
            if (errno == EINVAL)
                break;
            return pod_fail(err, POD_CAPS, "bounding");
        }
    }
    return 0;
}

/* The filter of KEY: 0, 1 where the plan has it not, -1. */
static int read_filter(const struct pod_plan *plan, enum pod_plan_key key,
                       struct sock_fprog *program, struct pod_err *err)
{
    uint32_t length;
    const void *filter = pod_plan_blob(plan, key, &length);

    if (!filter)
        return 1;
    if (length % sizeof(struct sock_filter) || length / sizeof(struct sock_filter) > BPF_MAXINSNS)
        return pod_fail_errno(err, POD_SECCOMP, EINVAL, NULL);
    program->len = (unsigned short)(length / sizeof(struct sock_filter));
    program->filter = (struct sock_filter *)(uintptr_t)filter;
    return 0;
}

static int attach(const struct sock_fprog *program, struct pod_err *err)
{
    /* The cookie: behind a filter that asks the emulator this must not (emulator/page.h). */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0ul, program, 0ul, 0ul, POD_COOKIE) == 0)
        return 0;
    if (errno == ENOSYS && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0)
        return 0;
    return pod_fail(err, POD_SECCOMP, NULL);
}

int pod_confine_seccomp(const struct pod_plan *plan, struct pod_err *err)
{
    struct sock_fprog program;
    int missing = read_filter(plan, POD_KEY_SECCOMP, &program, err);

    return missing ? (missing < 0 ? -1 : 0) : attach(&program, err);
}

int pod_confine_notify(const struct pod_plan *plan, int fewer, int *reason, struct pod_err *err)
{
    struct sock_fprog program;
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

    if (read_filter(plan, fewer ? POD_KEY_FEWER : POD_KEY_NOTIFY, &program, err))
        return -1;
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (listener < 0 && errno == EINVAL) /* before Linux 5.19 signals interrupt a call that waits */
        listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener >= 0)
        return listener;
    *reason = errno;
    int missing = read_filter(plan, POD_KEY_BASIC, &program, err);
    return missing < 0 || (!missing && attach(&program, err)) ? -1 : -2;
}

int pod_confine_noroot(struct pod_err *err)
{
    if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0))
        return pod_fail(err, POD_CAPS, "securebits");
    return 0;
}

int pod_confine_ids(uid_t uid, gid_t gid, const gid_t *groups, size_t count, struct pod_err *err)
{
    if (setgroups(count, groups))
        return pod_fail(err, POD_GROUPS, NULL);
    if (setresgid(gid, gid, gid))
        return pod_fail(err, POD_SETGID, NULL);
    if (setresuid(uid, uid, uid))
        return pod_fail(err, POD_SETUID, NULL);
    return 0;
}

int pod_confine_caps(uint64_t caps, struct pod_err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct now[2], data[2];

    /* Bits past the kernel's last capability are not to be asked for: intersect with what we hold. */
    if (syscall(SYS_capget, &header, now))
        return pod_fail(err, POD_CAPS, NULL);
    for (int i = 0; i < 2; i++) {
        uint32_t wanted = (uint32_t)(caps >> (32 * i)) & now[i].permitted;
        data[i].effective = wanted;
        data[i].permitted = wanted;
        data[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, data))
        return pod_fail(err, POD_CAPS, NULL);
    return 0;
}
