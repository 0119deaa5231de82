#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "calls.h"
#include "err.h"

#define NONE 0xffffffffu

/* struct stat as the kernel writes it, by offsets: asm/stat.h does not go with sys/stat.h. */
#if defined(__x86_64__)
enum { STAT_SIZE = 144, STAT_MODE = 24, STAT_UID = 28, STAT_GID = 32, STAT_RDEV = 40 };
#elif defined(__aarch64__)
enum { STAT_SIZE = 128, STAT_MODE = 16, STAT_UID = 24, STAT_GID = 28, STAT_RDEV = 32 };
#else
#error "struct stat of this machine is not known"
#endif

/* chown(2) by somebody who is not root: of what is his, to a group of his. */
static int may_give(const struct pod_creds *creds, const struct pod_owned *now, uint32_t uid,
                    uint32_t gid)
{
    if (pod_creds_capable(creds) || (uid == NONE && gid == NONE))
        return 1;
    if (creds->uid[POD_ID_FS] != now->uid || (uid != NONE && uid != now->uid))
        return 0;
    return gid == NONE || gid == now->gid || pod_creds_in_group(creds, gid);
}

/* Pipes and sockets without a name vanish with their last descriptor: nothing to keep. */
static int is_anonymous(int fd)
{
    struct statfs fs;

    return !fstatfs(fd, &fs) && (fs.f_type == 0x50495045 || fs.f_type == 0x534f434b);
}

int64_t pod_answer_chown(struct pod_call *call, int dirfd, uint64_t path, uint32_t uid,
                         uint32_t gid, int flags)
{
    struct pod_owned owned;
    int64_t failed = pod_call_creds(call);

    if (failed)
        return failed;
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    int64_t opened = pod_call_open(call, dirfd, path, flags);
    if (opened < 0)
        return opened;
    POD_AUTO_FD int fd = (int)opened;
    pod_records_get(&call->e->records, fd, &owned);
    if (!may_give(call->creds, &owned, uid, gid))
        return -EPERM;
    /* For real first: its errors, the times, set-id bits that go, overlayfs' copy. */
    if (fchownat(fd, "", uid == NONE ? (uid_t)-1 : 0, gid == NONE ? (gid_t)-1 : 0, AT_EMPTY_PATH))
        return -errno;
    owned.uid = uid == NONE ? owned.uid : uid;
    owned.gid = gid == NONE ? owned.gid : gid;
    return is_anonymous(fd) ? 0 : pod_records_set(&call->e->records, fd, &owned);
}

int64_t pod_find_owner(struct pod_call *call, int dirfd, uint64_t path, int flags,
                       struct pod_owned *owned, int *fd)
{
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE) ||
        (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
        return 0;
    int64_t opened =
        pod_call_open(call, dirfd, path, flags & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
    if (opened < 0)
        return opened == POD_CALL_GONE ? opened : 0;
    *fd = (int)opened;
    return pod_records_get(&call->e->records, *fd, owned);
}

int64_t pod_answer_stat(struct pod_call *call, int dirfd, uint64_t path, uint64_t buffer, int flags)
{
    struct pod_owned owned;
    char raw[STAT_SIZE];
    uint32_t mode;
    POD_AUTO_FD int fd = -1;

    if (call->bits != 64)
        return pod_answer_stat_narrow(call, dirfd, path, buffer, flags);
    int64_t found = pod_find_owner(call, dirfd, path, flags, &owned, &fd);

    if (found == POD_CALL_GONE)
        return found;
    if (!found || syscall(SYS_newfstatat, fd, "", raw, AT_EMPTY_PATH))
        return POD_CALL_PASS;
    memcpy(raw + STAT_UID, &owned.uid, sizeof owned.uid);
    memcpy(raw + STAT_GID, &owned.gid, sizeof owned.gid);
    if (owned.device) {
        uint64_t device = makedev(owned.major, owned.minor);
        memcpy(&mode, raw + STAT_MODE, sizeof mode);
        mode = (mode & 07777) | owned.device;
        memcpy(raw + STAT_MODE, &mode, sizeof mode);
        memcpy(raw + STAT_RDEV, &device, sizeof device);
    }
    return pod_call_write(call, buffer, raw, sizeof raw);
}

int64_t pod_answer_statx(struct pod_call *call)
{
    struct pod_owned owned;
    struct statx st;
    int flags = (int)call->args[2];
    POD_AUTO_FD int fd = -1;
    int64_t found = pod_find_owner(call, (int)call->args[0], call->args[1], flags, &owned, &fd);

    if (found == POD_CALL_GONE)
        return found;
    memset(&st, 0, sizeof st);
    if (!found || syscall(SYS_statx, fd, "", AT_EMPTY_PATH, (unsigned)call->args[3], &st))
        return POD_CALL_PASS;
    st.stx_uid = owned.uid;
    st.stx_gid = owned.gid;
    if (owned.device) {
        st.stx_mode = (uint16_t)((st.stx_mode & 07777) | owned.device);
        st.stx_rdev_major = owned.major;
        st.stx_rdev_minor = owned.minor;
    }
    return pod_call_write(call, call->args[4], &st, sizeof st);
}
