/* What a container's root file system has that its image has not, as Docker tells it: "A" added, "C" changed, "D" deleted.
 *
 *   overlay       the upper folder is walked; the lower ones, mounted without it, say what was there before. A whiteout is a
 *                 D, an opaque directory deletes what it does not have itself, whatever else is there is a C
 *   plain tree    the whole tree is walked beside the flattened image: what looks the same is the same
 *
 * A directory is told of where its own attributes differ, or something in it is told of. What a start makes itself is not:
 * mount points, the way to them, and the times of the directories on that way. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../core/beneath.h"
#include "../core/whiteout.h"
#include "job.h"
#include "walk.h"

#define OUT_SIZE 65536

struct differ {
    int stream;
    int lower; /* what was there before, or -1: nothing */
    int plain;
    const struct pod_plan *plan; /* its mounts' targets */
    /* By depth: what is still to be told of the directories on the way ('A', 'C'), or 0. */
    char pending[POD_WALK_DEPTH_MAX + 1];
    uint64_t lines;
    size_t used;
    char out[OUT_SIZE];
};

/* ---- telling ----------------------------------------------------- */

static int flush(struct differ *differ, struct pod_err *err)
{
    const char *at = differ->out;

    while (differ->used) {
        ssize_t put = write(differ->stream, at, differ->used);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return pod_fail(err, POD_WRITE, "changes");
        at += put;
        differ->used -= (size_t)put;
    }
    return 0;
}

static int put(struct differ *differ, const char *text, size_t length, struct pod_err *err)
{
    while (length) {
        size_t part = sizeof differ->out - differ->used;

        part = part < length ? part : length;
        memcpy(differ->out + differ->used, text, part);
        differ->used += part;
        text += part;
        length -= part;
        if (differ->used == sizeof differ->out && flush(differ, err) < 0)
            return -1;
    }
    return 0;
}

static int line(struct differ *differ, char kind, const char *path, size_t length,
                struct pod_err *err)
{
    const char head[2] = {kind, '/'};

    differ->lines++;
    return put(differ, head, 2, err) < 0 || put(differ, path, length, err) < 0 ||
                   put(differ, "", 1, err) < 0
               ? -1
               : 0;
}

/* KIND of PATH, after the directories that lead there: they are DEPTH - 1. */
static int tell(struct differ *differ, char kind, const char *path, size_t depth,
                struct pod_err *err)
{
    const char *slash = path;

    for (size_t level = 1; level < depth; level++) {
        slash = strchr(slash, '/');
        if (!slash)
            break;
        if (differ->pending[level] &&
            line(differ, differ->pending[level], path, (size_t)(slash - path), err) < 0)
            return -1;
        differ->pending[level] = 0;
        slash++;
    }
    return line(differ, kind, path, strlen(path), err);
}

/* ---- mount points ----------------------------------------------------- */

/* 2: PATH is where something is mounted; 1: it leads there; 0. Targets begin with a slash. */
static int leads_to_mount(const struct differ *differ, const char *path)
{
    uint32_t length;
    const struct pod_mount *mounts = pod_plan_blob(differ->plan, POD_KEY_MOUNTS, &length);
    size_t size = strlen(path);
    int found = 0;

    for (uint32_t i = 0; mounts && i < length / sizeof *mounts; i++) {
        const char *target = pod_plan_string(differ->plan, mounts[i].target);

        target += strspn(target, "/");
        if (strncmp(target, path, size) != 0 || (target[size] && target[size] != '/'))
            continue;
        if (!target[size + strspn(target + size, "/")])
            return 2;
        found = 1;
    }
    return found;
}

/* ---- what was there before ----------------------------------------------------- */

static int lower_stat(const struct differ *differ, const char *path, struct stat *st)
{
    struct pod_err ignored;

    if (differ->lower < 0)
        return -1;
    POD_AUTO_FD int fd = pod_open_beneath(differ->lower, path, O_PATH | O_NOFOLLOW, 0, &ignored);
    return fd < 0 || fstat(fd, st) < 0 || pod_is_whiteout_node(st) ? -1 : 0;
}

static int same_owner(const struct stat *one, const struct stat *other)
{
    return one->st_mode == other->st_mode && one->st_uid == other->st_uid &&
           one->st_gid == other->st_gid;
}

static int same_time(const struct stat *one, const struct stat *other)
{
    return one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
           one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

static int same_link(const struct differ *differ, const struct pod_walk_entry *entry)
{
    char one[PATH_MAX], other[PATH_MAX];
    struct pod_err ignored;
    POD_AUTO_FD int fd =
        pod_open_beneath(differ->lower, entry->path, O_PATH | O_NOFOLLOW, 0, &ignored);
    ssize_t length = readlinkat(entry->fd, "", one, sizeof one);

    return fd >= 0 && length >= 0 && readlinkat(fd, "", other, sizeof other) == length &&
           !memcmp(one, other, (size_t)length);
}

/* Of a plain tree, where everything that was not touched is a copy. */
static int same_file(const struct differ *differ, const struct pod_walk_entry *entry,
                     const struct stat *before)
{
    const struct stat *now = &entry->st;

    if (!same_owner(now, before) || now->st_rdev != before->st_rdev)
        return 0;
    if (S_ISLNK(now->st_mode))
        return same_link(differ, entry);
    return now->st_size == before->st_size && same_time(now, before);
}

/* ---- entries ----------------------------------------------------- */

struct missing {
    struct differ *differ;
    const struct pod_walk_entry *directory;
    int fd; /* the directory, as it is now */
};

/* Something right in a directory of the lower tree. */
static int on_lower(void *context, const struct pod_walk_entry *entry, struct pod_err *err)
{
    struct missing *missing = context;
    struct stat st;
    char path[PATH_MAX];
    const char *above = missing->directory ? missing->directory->path : "";
    int length;

    if (pod_is_whiteout_node(&entry->st))
        return 0;
    if (!fstatat(missing->fd, entry->name, &st, AT_SYMLINK_NOFOLLOW))
        return 0;
    length = snprintf(path, sizeof path, "%s%s%s", above, *above ? "/" : "", entry->name);
    if (length < 0 || (size_t)length >= sizeof path)
        return pod_fail_errno(err, POD_LIMIT, ENAMETOOLONG, above);
    return tell(missing->differ, 'D', path, missing->directory ? missing->directory->depth + 1 : 1,
                err);
}

/* What the lower DIRECTORY (NULL: the root) has and FD has not. */
static int tell_missing(struct differ *differ, const struct pod_walk_entry *directory, int fd,
                        struct pod_err *err)
{
    struct missing missing = {differ, directory, -1};
    const struct pod_walker walker = {on_lower, NULL, &missing};
    struct pod_err ignored;

    if (differ->lower < 0)
        return 0;
    POD_AUTO_FD int here = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    POD_AUTO_FD int before = pod_open_beneath(differ->lower, directory ? directory->path : ".",
                                              O_RDONLY | O_DIRECTORY, 0, &ignored);
    if (here < 0)
        return pod_fail(err, POD_OPEN, directory ? directory->path : "/");
    if (before < 0)
        return 0;
    missing.fd = here;
    return pod_walk(before, &walker, err);
}

static int is_opaque(const struct pod_walk_entry *entry)
{
    POD_AUTO_FD int fd = openat(entry->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && pod_is_opaque(fd);
}

static int on_directory(struct differ *differ, const struct pod_walk_entry *entry,
                        const struct stat *before, struct pod_err *err)
{
    int leads = leads_to_mount(differ, entry->path);
    int was_directory = before && S_ISDIR(before->st_mode);

    differ->pending[entry->depth] = 0;
    if (!before) {
        if (!leads && tell(differ, 'A', entry->path, entry->depth, err) < 0)
            return -1;
        differ->pending[entry->depth] = leads ? 'A' : 0;
        return 1;
    }
    if (!was_directory || !same_owner(&entry->st, before) ||
        (!leads && !same_time(&entry->st, before))) {
        if (tell(differ, 'C', entry->path, entry->depth, err) < 0)
            return -1;
    } else {
        differ->pending[entry->depth] = 'C';
    }
    if (was_directory && (differ->plain || is_opaque(entry)) &&
        tell_missing(differ, entry, entry->fd, err) < 0)
        return -1;
    return 1;
}

static int on_entry(void *context, const struct pod_walk_entry *entry, struct pod_err *err)
{
    struct differ *differ = context;
    struct stat st;
    const struct stat *before = lower_stat(differ, entry->path, &st) < 0 ? NULL : &st;

    if (S_ISDIR(entry->st.st_mode))
        return on_directory(differ, entry, before, err);
    if (!differ->plain && pod_is_whiteout_node(&entry->st))
        return before ? tell(differ, 'D', entry->path, entry->depth, err) : 0;
    if (!before) {
        /* A file that a start made, to mount on. */
        if (S_ISREG(entry->st.st_mode) && !entry->st.st_size &&
            leads_to_mount(differ, entry->path) == 2)
            return 0;
        return tell(differ, 'A', entry->path, entry->depth, err);
    }
    if (differ->plain && same_file(differ, entry, before))
        return 0;
    return tell(differ, 'C', entry->path, entry->depth, err);
}

/* ---- the trees ----------------------------------------------------- */

/* The image's layers as one tree, on WHERE, read-only. One alone is that tree. */
static int open_lower(const struct pod_plan *plan, const char *where, struct pod_err *err)
{
    const char *layer = pod_plan_str(plan, POD_KEY_LOWERS);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_LOWERS);
    char options[4096] = "userxattr,lowerdir=";
    size_t used = strlen(options);

    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        return pod_fail(err, POD_PROPAGATION, "/");
    for (uint32_t i = 0; i < count; i++, layer += strlen(layer) + 1) {
        int fd = open(layer, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
            return pod_fail(err, POD_OVERLAY, layer);
        if (count == 1)
            return fd;
        used += (size_t)snprintf(options + used, sizeof options - used, "%s/proc/self/fd/%d",
                                 i ? ":" : "", fd);
        if (used >= sizeof options)
            return pod_fail_errno(err, POD_OVERLAY, E2BIG, "too many layers");
    }
    if (mount("overlay", where, "overlay", MS_RDONLY, options))
        return pod_fail(err, POD_OVERLAY, where);
    int fd = open(where, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? pod_fail(err, POD_OPEN, where) : fd;
}

static int differ_all(struct differ *differ, int top, struct pod_err *err)
{
    const struct pod_walker walker = {on_entry, NULL, differ};

    if (differ->plain && tell_missing(differ, NULL, top, err) < 0)
        return -1;
    return pod_walk(top, &walker, err) < 0 || flush(differ, err) < 0 ? -1 : 0;
}

int pod_job_diff(const struct pod_job *job, struct pod_job_result *result, struct pod_err *err)
{
    const struct pod_plan *plan = job->plan;
    const char *upper = pod_plan_str(plan, POD_KEY_UPPER), *root = pod_plan_str(plan, POD_KEY_ROOT);
    POD_AUTO_FREE struct differ *differ = calloc(1, sizeof *differ);
    POD_AUTO_FD int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (!differ || proc < 0)
        return pod_fail(err, POD_OPEN, "/proc");
    if (!root)
        return pod_fail_errno(err, POD_PLAN, EINVAL, "ROOT");
    if (pod_view_own_namespaces(plan, proc, err) < 0)
        return -1;
    POD_AUTO_FD int top = open(upper ? upper : root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (top < 0)
        return pod_fail(err, POD_OPEN, upper ? upper : root);
    differ->stream = job->stream;
    differ->plan = plan;
    differ->plain = !upper;
    differ->lower = pod_plan_has(plan, POD_KEY_LOWERS) ? open_lower(plan, job->path, err) : -1;
    if (pod_plan_has(plan, POD_KEY_LOWERS) && differ->lower < 0)
        return -1;
    int failed = differ_all(differ, top, err);
    result->entries = differ->lines;
    pod_cleanup_fd(&differ->lower);
    return failed;
}
