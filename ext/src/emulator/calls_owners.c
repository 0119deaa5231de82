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
#define ACL_MAX 128 /* entries; longer lists are the kernel's to judge */

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

/* linux/posix_acl_xattr.h */
struct acl_entry {
    uint16_t tag, perm;
    uint32_t id;
};
struct acl {
    uint32_t version;
    struct acl_entry entries[ACL_MAX];
};
enum {
    ACL_OWNER = 1,
    ACL_USER = 2,
    ACL_OWN_GROUP = 4,
    ACL_GROUP = 8,
    ACL_MASK = 16,
    ACL_OTHER = 32
};

/* Whether ACL names users or groups, whose ids do not exist here; *MODE becomes what it says for the rest. */
static int names_ids(const struct acl *acl, size_t count, mode_t *mode)
{
    int named = 0, masked = 0;

    *mode = 0;
    for (size_t i = 0; i < count; i++) {
        mode_t perm = acl->entries[i].perm & 7;
        if (acl->entries[i].tag == ACL_OWNER)
            *mode |= perm << 6;
        else if (acl->entries[i].tag == ACL_OTHER)
            *mode |= perm;
        else if (acl->entries[i].tag == ACL_OWN_GROUP && !masked)
            *mode |= perm << 3;
        else if (acl->entries[i].tag == ACL_MASK) {
            *mode = (*mode & 0707) | perm << 3;
            masked = 1;
        } else if (acl->entries[i].tag == ACL_USER || acl->entries[i].tag == ACL_GROUP)
            named = 1;
    }
    return named;
}

/* setxattr(2) of an access list: the mode that it means; what it grants to users and groups by id is dropped. */
static int64_t set_acl(struct pod_call *call, int is_default, int dirfd, uint64_t path, int flags)
{
    struct acl acl;
    struct stat st;
    mode_t mode;
    char self[32];
    size_t size = call->args[3];

    if (size < sizeof acl.version || size > sizeof acl)
        return POD_CALL_PASS;
    if (pod_call_read(call, call->args[2], &acl, size))
        return -EFAULT;
    if (!names_ids(&acl, (size - sizeof acl.version) / sizeof *acl.entries, &mode))
        return POD_CALL_PASS; /* such a list the kernel takes */
    int64_t opened = pod_call_open(call, dirfd, path, flags);
    if (opened < 0 || is_default)
        return opened < 0 ? opened : (close((int)opened), 0);
    POD_AUTO_FD int fd = (int)opened;
    snprintf(self, sizeof self, "self/fd/%d", fd);
    if (fstat(fd, &st) || S_ISLNK(st.st_mode))
        return -ENOTSUP;
    return chmod(self, (st.st_mode & 07000) | mode) ? -errno : 0;
}

/* The record is nobody's to write. */
int64_t pod_answer_setxattr(struct pod_call *call, int dirfd, uint64_t path, int flags)
{
    char name[256];
    int length = pod_call_path(call, call->args[1], name, sizeof name);

    if (!pod_call_alive(call))
        return POD_CALL_GONE;
    if (length < 0)
        return POD_CALL_PASS;
    if (!strncmp(name, "user.pod.", 9))
        return 0;
    if (!strcmp(name, "system.posix_acl_access") || !strcmp(name, "system.posix_acl_default"))
        return set_acl(call, name[17] == 'd', dirfd, path, flags);
    return POD_CALL_PASS;
}

/* Opens what a stat is about and finds its record: 1, or 0 where the kernel's own answer is right, errors too. */
static int64_t find_owner(struct pod_call *call, int dirfd, uint64_t path, int flags,
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
    int64_t found = find_owner(call, dirfd, path, flags, &owned, &fd);

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
    int64_t found = find_owner(call, (int)call->args[0], call->args[1], flags, &owned, &fd);

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
