#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "calls.h"
#include "err.h"

#define ACL_MAX 128 /* entries; longer lists are the kernel's to judge */
#define LIST_MAX 65536 /* listxattr(2) */
#define OURS "user.pod."

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
static int64_t set_acl(struct pod_call *call, int is_default, int dirfd, uint64_t path, int flags,
                       uint64_t value, uint64_t size)
{
    struct acl acl;
    struct stat st;
    mode_t mode;
    char self[32];

    if (size < sizeof acl.version || size > sizeof acl)
        return POD_CALL_PASS;
    if (pod_call_read(call, value, &acl, size))
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

/* The attribute's NAME: 0, POD_CALL_PASS where the kernel is to judge it, or POD_CALL_GONE. */
static int64_t read_name(const struct pod_call *call, uint64_t from, char *name, size_t size)
{
    int length = pod_call_path(call, from, name, size);

    if (!pod_call_alive(call))
        return POD_CALL_GONE;
    return length < 0 ? POD_CALL_PASS : 0;
}

static int is_ours(const char *name)
{
    return !strncmp(name, OURS, sizeof OURS - 1);
}

int64_t pod_answer_setxattr(struct pod_call *call, int dirfd, uint64_t path, uint64_t name,
                            int flags, uint64_t value, uint64_t size)
{
    char text[256];
    int64_t failed = read_name(call, name, text, sizeof text);

    if (failed)
        return failed;
    if (is_ours(text))
        return 0;
    if (!strcmp(text, "system.posix_acl_access") || !strcmp(text, "system.posix_acl_default"))
        return set_acl(call, text[17] == 'd', dirfd, path, flags, value, size);
    return POD_CALL_PASS;
}

/* setxattrat(2) of Linux 6.13: (dirfd, path, flags, name, arguments, their size) */
int64_t pod_answer_setxattrat(struct pod_call *call)
{
    struct {
        uint64_t value;
        uint32_t size, flags;
    } arguments;
    const uint64_t *a = call->args;

    if (a[5] < sizeof arguments || pod_call_read(call, a[4], &arguments, sizeof arguments))
        return POD_CALL_PASS;
    return pod_answer_setxattr(call, (int)a[0], a[1], a[3], (int)a[2], arguments.value,
                               arguments.size);
}

int64_t pod_answer_removexattr(struct pod_call *call, uint64_t name)
{
    char text[256];
    int64_t failed = read_name(call, name, text, sizeof text);

    if (failed)
        return failed;
    return is_ours(text) ? -ENODATA : POD_CALL_PASS;
}

/* Takes names of ours out of LIST; its new length. */
static size_t without_ours(char *list, size_t length)
{
    size_t kept = 0;

    for (size_t at = 0, size; at < length; at += size) {
        size = strnlen(list + at, length - at) + 1;
        if (is_ours(list + at))
            continue;
        memmove(list + kept, list + at, size);
        kept += size;
    }
    return kept;
}

int64_t pod_answer_listxattr(struct pod_call *call, int dirfd, uint64_t path, int flags,
                             uint64_t list, uint64_t size)
{
    char self[32], names[LIST_MAX + 1];
    struct stat st;

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return POD_CALL_PASS;
    int64_t opened = pod_call_open(call, dirfd, path, flags);
    if (opened < 0)
        return opened == POD_CALL_GONE ? opened : POD_CALL_PASS;
    POD_AUTO_FD int fd = (int)opened;
    if (fstat(fd, &st) || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return POD_CALL_PASS; /* has no attributes of users */
    snprintf(self, sizeof self, "self/fd/%d", fd);
    ssize_t length = listxattr(self, names, LIST_MAX);
    if (length <= 0)
        return POD_CALL_PASS;
    names[length] = '\0';
    size_t kept = without_ours(names, (size_t)length);
    if (kept == (size_t)length)
        return POD_CALL_PASS;
    if (size && size < kept)
        return -ERANGE;
    int64_t failed = size && kept ? pod_call_write(call, list, names, kept) : 0;
    return failed ? failed : (int64_t)kept;
}
