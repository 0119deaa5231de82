/* Hard links: what they shall lead to is found inside the root. */
#define _GNU_SOURCE 1

#include "unpack.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../core/beneath.h"
#include "../core/whiteout.h"
#include "entrypath.h"
#include "linkcopy.h"

/* Of records, to find those of devices that hard links lead to: a second of work. */
#define VISITS_MAX (UINT64_C(1) << 27)

/* What a hard link shall lead to: NAME in the directory DIRFD. SHUT: that directory lets us in for no
 * lookup any more (modes come from the archive); DIRFD was opened while it did. */
struct target {
    int dirfd;
    int shut;
    char name[NAME_MAX + 1];
    struct stat st;
};

static void release_target(struct target *target)
{
    pod_cleanup_fd(&target->dirfd);
}

/* The stack of directories opens the way. */
static int hold_target(struct pod_unpack *unpack, const char *parent, struct target *target,
                       struct pod_err *err)
{
    char back[PATH_MAX];

    strcpy(back, pod_dirs_path(unpack->dirs));
    if (pod_dirs_enter(unpack->dirs, parent, 0, err) < 0)
        return -1;
    pod_cleanup_fd(&target->dirfd);
    target->dirfd = fcntl(here(unpack), F_DUPFD_CLOEXEC, 3);
    target->shut = 1;
    if (target->dirfd < 0 ||
        fstatat(target->dirfd, target->name, &target->st, AT_SYMLINK_NOFOLLOW) < 0)
        return fail_here(unpack, POD_LINK, err);
    return pod_dirs_enter(unpack->dirs, back, 0, err);
}

/* Looked up inside the root; the last name is not followed. */
static int find_target(struct pod_unpack *unpack, struct target *target, struct pod_err *err)
{
    char parent[PATH_MAX];
    int errnum = pod_clean_path(unpack->entry->link, parent);

    if (errnum || !parent[0])
        return fail(unpack, POD_LINK, errnum ? errnum : EISDIR, err);
    pod_split_path(parent, target->name);
    target->dirfd = pod_open_in_root(unpack->options->root_fd, parent[0] ? parent : "/",
                                     O_PATH | O_DIRECTORY, 0, err);
    if (target->dirfd < 0 && err->errnum != EACCES)
        return fail(unpack, POD_LINK, err->errnum, err);
    if (target->dirfd >= 0 &&
        fstatat(target->dirfd, target->name, &target->st, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    if (target->dirfd >= 0 && errno != EACCES)
        return fail_here(unpack, POD_LINK, err);
    return hold_target(unpack, parent, target, err);
}

/* One more name, or a copy where there can be none. All of the target is on the disk by then. */
static int link_or_copy(struct pod_unpack *unpack, const struct target *target, struct pod_err *err)
{
    struct pod_linked link = {target->dirfd, here(unpack), target->name, unpack->name, target->st};
    uint64_t left = unpack->options->max_bytes - unpack->bytes;

    if (linkat(target->dirfd, target->name, here(unpack), unpack->name, 0) == 0)
        return 0;
    if (!pod_link_is_refused(errno))
        return fail_here(unpack, POD_LINK, err);
    if (unpack->writers && pod_writers_drain(unpack->writers, err) < 0)
        return -1;
    if (fstatat(target->dirfd, target->name, &link.st, AT_SYMLINK_NOFOLLOW) < 0)
        return fail_here(unpack, POD_LINK, err);
    /* One large file and many links to it: an archive that is small and fills the disk. */
    if (S_ISREG(link.st.st_mode) && (uint64_t)link.st.st_size > left)
        return fail(unpack, POD_LIMIT, EFBIG, err);
    if (S_ISREG(link.st.st_mode))
        unpack->bytes += (uint64_t)link.st.st_size;
    pod_owners_count_copy(unpack->owners);
    return pod_link_copy(&link, err);
}

/* A descriptor of the target itself would need /proc, which is out of reach here (core/sandbox.h), or, for AT_EMPTY_PATH,
 * CAP_DAC_READ_SEARCH in the first user namespace (linkat(2), before 6.10): so a shut directory is opened for the call. */
static int link_target(struct pod_unpack *unpack, const struct target *target, struct pod_err *err)
{
    struct stat directory;
    int failed;

    if (!target->shut)
        return link_or_copy(unpack, target, err);
    if (fstat(target->dirfd, &directory) < 0 ||
        fchmod(target->dirfd, (directory.st_mode & 07777) | 0700) < 0)
        return fail_here(unpack, POD_LINK, err);
    failed = link_or_copy(unpack, target, err);
    if (fchmod(target->dirfd, directory.st_mode & 07777) < 0 && !failed)
        return fail_here(unpack, POD_LINK, err);
    return failed;
}

/* Whether the target is the placeholder of a device: 1 and its record, which goes by the path
 * without links. Asked of empty files only. */
static int find_device(struct pod_unpack *unpack, const struct target *target,
                       struct pod_owner *device, struct pod_err *err)
{
    char back[PATH_MAX];
    char path[PATH_MAX];
    char name[NAME_MAX + 1];
    size_t length;
    int found;

    if (!unpack->devices || !S_ISREG(target->st.st_mode) || target->st.st_size)
        return 0;
    if (pod_clean_path(unpack->entry->link, path))
        return fail(unpack, POD_LINK, EINVAL, err);
    pod_split_path(path, name);
    strcpy(back, pod_dirs_path(unpack->dirs));
    if (pod_dirs_enter(unpack->dirs, path, 0, err) < 0)
        return -1;
    strcpy(path, pod_dirs_path(unpack->dirs));
    length = strlen(path);
    if (length + strlen(name) + 2 > sizeof path)
        return fail(unpack, POD_LINK, ENAMETOOLONG, err);
    if (length)
        path[length++] = '/';
    strcpy(path + length, name);
    found = pod_owners_find_device(unpack->owners, path, device, &unpack->visits, err);
    if (found < 0 || pod_dirs_enter(unpack->dirs, back, 0, err) < 0)
        return -1;
    if (unpack->visits > VISITS_MAX)
        return fail(unpack, POD_LIMIT, E2BIG, err);
    return found;
}

int pod_unpack_link(struct pod_unpack *unpack, struct pod_err *err)
{
    struct pod_owner device;
    int is_device;

    __attribute__((cleanup(release_target))) struct target target = {.dirfd = -1};
    struct stat there;

    if (settle(unpack, err) < 0 || find_target(unpack, &target, err) < 0)
        return -1;
    if (S_ISDIR(target.st.st_mode))
        return fail(unpack, POD_LINK, EPERM, err);
    if (unpack->options->dialect == POD_DIALECT_OVERLAY && pod_is_whiteout_node(&target.st))
        return fail(unpack, POD_LINK, ENOENT, err);
    if (fstatat(here(unpack), unpack->name, &there, AT_SYMLINK_NOFOLLOW) == 0) {
        if (there.st_dev == target.st.st_dev && there.st_ino == target.st.st_ino)
            return 0;
        if (pod_unpack_displace(unpack, unpack->name, err) < 0)
            return -1;
    }
    is_device = find_device(unpack, &target, &device, err);
    if (is_device < 0)
        return -1;
    if (link_target(unpack, &target, err) < 0)
        return -1;
    return pod_unpack_set_link(unpack, &target.st, is_device ? &device : NULL, err);
}
