/* Archives into trees: the reader of layers, with the rules of cp; then the owners that the disk cannot hold. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../core/beneath.h"
#include "../layer/apart.h"
#include "../layer/owners.h"
#include "job.h"

#define BYTES_MAX (UINT64_C(1) << 62)
#define ENTRIES_MAX UINT64_C(100000000)

/* An empty file that stands for a device which can be neither made nor recorded goes again. */
static int remove_placeholder(int dir, const char *path, int fd)
{
    char name[NAME_MAX + 1];
    struct stat st, there;
    struct pod_err ignored;
    const char *slash = strrchr(path, '/');
    POD_AUTO_FD int above = -1;
    char parent[PATH_MAX];

    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    snprintf(name, sizeof name, "%s", slash ? slash + 1 : path);
    above = pod_open_beneath(dir, parent, O_PATH | O_DIRECTORY, 0, &ignored);
    if (above < 0 || fstat(fd, &st) || fstatat(above, name, &there, AT_SYMLINK_NOFOLLOW) ||
        st.st_ino != there.st_ino || st.st_dev != there.st_dev)
        return 0;
    return unlinkat(above, name, 0);
}

/* Ids outside of the map, devices: recorded as the emulator would. */
static int own(const struct pod_owner *owner, int dir, struct pod_view *view,
               struct pod_job_result *result)
{
    struct pod_err ignored;
    POD_AUTO_FD int fd = pod_open_beneath(dir, owner->path_length ? owner->path : ".",
                                          O_PATH | O_NOFOLLOW, 0, &ignored);
    struct pod_owned owned = {.uid = owner->uid, .gid = owner->gid};
    int failed = 0;

    if (fd < 0)
        return 0; /* gone already: the container's own doing */
    if (owner->flags & POD_OWNER_DEVICE) {
        owned.device = owner->mode & S_IFMT;
        owned.major = owner->major;
        owned.minor = owner->minor;
    }
    if (view && view->has_records) {
        failed = pod_records_set(&view->records, fd, &owned);
        if (!failed)
            return 0;
    }
    if (owner->flags & POD_OWNER_DEVICE) {
        remove_placeholder(dir, owner->path, fd);
        pod_job_omit(result, &result->devices, owner->path);
    } else if (owner->flags & POD_OWNER_IDS && view) {
        pod_job_omit(result, &result->owners, owner->path);
    }
    return failed == -ENOSPC || failed == -EDQUOT || failed == -EIO ? failed : 0;
}

static int own_all(int record, int dir, struct pod_view *view, struct pod_job_result *result,
                   struct pod_err *err)
{
    struct pod_owners owners;
    int failed = 0;

    if (pod_owners_map(record, &owners, err) < 0)
        return -1;
    for (size_t i = 0; i < owners.count && !failed; i++) {
        struct pod_owner owner;

        pod_owners_at(&owners, i, &owner);
        failed = own(&owner, dir, view, result);
        if (failed)
            pod_fail_errno(err, POD_OWNERS, -failed, owner.path);
    }
    pod_owners_unmap(&owners);
    return failed ? -1 : 0;
}

int pod_job_unpack(const struct pod_job *job, struct pod_view *view, struct pod_job_result *result,
                   struct pod_err *err)
{
    struct pod_extract_options options = {.dialect = POD_DIALECT_PLAIN,
                                          .merge = 1,
                                          .max_bytes = BYTES_MAX,
                                          .max_entries = ENTRIES_MAX,
                                          .follow = -1};
    struct pod_extract_result done;
    struct pod_apart apart;
    /* The function is of glibc 2.27; the number is MFD_CLOEXEC. */
    POD_AUTO_FD int record = (int)syscall(SYS_memfd_create, "pod-owners", 1U);
    POD_AUTO_FD int dir =
        view ? pod_open_in_root(view->root, job->path, O_RDONLY | O_DIRECTORY, 0, err)
             : openat(job->dirfd, job->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return view ? -1 : pod_fail(err, POD_OPEN, job->path);
    if (record < 0)
        return pod_fail(err, POD_OWNERS, "memory file");
    options.root_fd = dir;
    options.owners_fd = record;
    options.mapped = view && view->mapped;
    memset(&done, 0, sizeof done);
    /* Who has a container has user namespaces, and in its view all that they give. */
    if (pod_apart_start(job->stream, &options, !view, &apart, err) < 0 ||
        pod_apart_finish(&apart, &done, err) < 0)
        return -1;
    result->entries = done.entries;
    result->bytes = done.sum.diff_size;
    /* On the host everything is the caller's. */
    return own_all(record, dir, view, result, err);
}
