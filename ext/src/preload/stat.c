#include <asm/stat.h>

#include "owners.h"

/* What glibc has beside it, and what makes the filter hand over a call that it would let pass (AT_EMPTY_PATH alone is how
 * the loader and stdio look at descriptors): see core/runtime/seccomp_notify.py. */
#define ASKING (AT_EMPTY_PATH | AT_NO_AUTOMOUNT)

static uint64_t spread(uint64_t device)
{
    uint64_t major = (device >> 8 & 0xfff) | (device >> 32 & ~0xfffull);
    return major << 32 | ((device & 0xff) | (device >> 12 & 0xffffff00));
}

static uint64_t packed(uint64_t major, uint64_t minor)
{
    return (minor & 0xff) | (major & 0xfff) << 8 | (minor & ~0xffull) << 12 |
           (major & ~0xfffull) << 32;
}

static uint32_t type_of(const struct owned *owned)
{
    return owned->device == 'c' ? 0020000 : 0060000;
}

static long ask(int dirfd, const char *path, struct stat *st, int flags)
{
    if (flags & AT_EMPTY_PATH)
        flags |= ASKING;
    return call4(__NR_newfstatat, dirfd, (long)path, (long)st, flags);
}

static int look(int dirfd, const char *path, struct stat *st, int flags)
{
    const struct pod_page *page = page_of();
    struct owned owned;

    if (!page)
        return (int)result_of(ask(dirfd, path, st, flags));
    long done = call6(__NR_newfstatat, dirfd, (long)path, (long)st, flags, 0, COOKIE);
    if (done)
        return (int)result_of(done);
    struct seen seen = {spread(st->st_dev), st->st_ino, st->st_mode, st->st_uid, st->st_gid};
    switch (judge(page, &seen, dirfd, path, flags, &owned)) {
    case ASK:
        return (int)result_of(ask(dirfd, path, st, flags));
    case OWNED:
        st->st_uid = owned.uid;
        st->st_gid = owned.gid;
        if (owned.device) {
            st->st_mode = (st->st_mode & 07777) | type_of(&owned);
            st->st_rdev = packed(owned.major, owned.minor);
        }
        return 0;
    default:
        return 0;
    }
}

EXPORT int stat(const char *path, struct stat *st)
{
    return look(AT_FDCWD, path, st, 0);
}

EXPORT int lstat(const char *path, struct stat *st)
{
    return look(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

EXPORT int fstat(int fd, struct stat *st)
{
    /* AT_FDCWD would be the working directory. */
    if (fd < 0)
        return (int)result_of(call4(__NR_fstat, fd, (long)st, 0, 0));
    return look(fd, "", st, AT_EMPTY_PATH);
}

EXPORT int fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
    return look(dirfd, path, st, flags);
}

/* What programs call that were built against a glibc before 2.33. The version: 0 is the kernel's structure, 1 x86-64's own
 * number for the same one. */
static int known(int version)
{
#if defined(__x86_64__)
    return version == 0 || version == 1;
#else
    return version == 0;
#endif
}

EXPORT int __xstat(int version, const char *path, struct stat *st)
{
    return known(version) ? stat(path, st) : (int)result_of(-INVAL);
}

EXPORT int __lxstat(int version, const char *path, struct stat *st)
{
    return known(version) ? lstat(path, st) : (int)result_of(-INVAL);
}

EXPORT int __fxstat(int version, int fd, struct stat *st)
{
    return known(version) ? fstat(fd, st) : (int)result_of(-INVAL);
}

EXPORT int __fxstatat(int version, int dirfd, const char *path, struct stat *st, int flags)
{
    return known(version) ? fstatat(dirfd, path, st, flags) : (int)result_of(-INVAL);
}

int stat64(const char *path, struct stat *st) ALIAS(stat);
int lstat64(const char *path, struct stat *st) ALIAS(lstat);
int fstat64(int fd, struct stat *st) ALIAS(fstat);
int fstatat64(int dirfd, const char *path, struct stat *st, int flags) ALIAS(fstatat);
int __xstat64(int version, const char *path, struct stat *st) ALIAS(__xstat);
int __lxstat64(int version, const char *path, struct stat *st) ALIAS(__lxstat);
int __fxstat64(int version, int fd, struct stat *st) ALIAS(__fxstat);
int __fxstatat64(int version, int dirfd, const char *path, struct stat *st, int flags)
    ALIAS(__fxstatat);

EXPORT int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *st)
{
    const unsigned needed = STATX_TYPE | STATX_MODE | STATX_INO | STATX_UID | STATX_GID;
    const struct pod_page *page = page_of();
    struct owned owned;
    long done = call6(__NR_statx, dirfd, (long)path, flags, mask, (long)st, page ? COOKIE : 0);

    if (!page || done)
        return (int)result_of(done);
    struct seen seen = {(uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor, st->stx_ino,
                        st->stx_mode, st->stx_uid, st->stx_gid};
    enum verdict verdict = ASK;
    if ((st->stx_mask & needed) == needed)
        verdict = judge(page, &seen, dirfd, path, flags, &owned);
    if (verdict == ASK)
        return (int)result_of(call6(__NR_statx, dirfd, (long)path, flags, mask, (long)st, 0));
    if (verdict == OWNED) {
        st->stx_uid = owned.uid;
        st->stx_gid = owned.gid;
        if (owned.device) {
            st->stx_mode = (uint16_t)((st->stx_mode & 07777) | type_of(&owned));
            st->stx_rdev_major = owned.major;
            st->stx_rdev_minor = owned.minor;
        }
    }
    return 0;
}
