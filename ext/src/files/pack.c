/* Trees to archives. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../core/beneath.h"
#include "../layer/tar_out.h"
#include "job.h"
#include "links.h"
#include "walk.h"

#define REGIONS_MAX 4096 /* of a sparse file; what lies behind is stored with its holes */
#define XATTRS_MAX 64
#define XATTR_NAMES 65536
#define XATTR_VALUES 262144
#define COPY_SIZE 262144
#define PRELOAD_LIST "etc/ld.so.preload"

struct pack {
    const struct pod_job *job;
    struct pod_view *view; /* or NULL */
    struct pod_job_result *result;
    struct pod_links links;
    uint64_t root_mount; /* not 0: what is seen through another one is left out */
    char *path; /* of the entry at hand, in the archive */
    size_t room;
    struct pod_tar_xattr xattrs[XATTRS_MAX];
    struct pod_tar_region regions[REGIONS_MAX];
    char names[XATTR_NAMES];
    unsigned char values[XATTR_VALUES];
    unsigned char data[COPY_SIZE];
    struct pod_tar_out out;
};

/* ---- what an entry is ----------------------------------------------------- */

static void self_path(int fd, char *path, size_t size)
{
    snprintf(path, size, "self/fd/%d", fd); /* the working directory is /proc */
}

static int set_path(struct pack *pack, const char *below, struct pod_err *err)
{
    const char *base = pack->job->base;
    size_t length = strlen(base), more = strlen(below), wanted = length + more + 2;

    if (wanted > pack->room) {
        char *moved = realloc(pack->path, 2 * wanted);
        if (!moved)
            return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
        pack->path = moved;
        pack->room = 2 * wanted;
    }
    memcpy(pack->path, base, length);
    if (length && more)
        pack->path[length++] = '/';
    memcpy(pack->path + length, below, more + 1);
    return 0;
}

static void set_owner(struct pack *pack, int fd, const struct stat *st, struct pod_tar_entry *entry)
{
    struct pod_owned owned;

    entry->uid = st->st_uid;
    entry->gid = st->st_gid;
    if (pack->view && pack->view->has_records) {
        int differs = pod_records_get(&pack->view->records, fd, &owned);

        if (differs || !pack->view->mapped) {
            entry->uid = owned.uid;
            entry->gid = owned.gid;
        }
        if (owned.device && S_ISREG(st->st_mode)) {
            entry->type = owned.device == S_IFCHR ? POD_TAR_CHAR : POD_TAR_BLOCK;
            entry->major = owned.major;
            entry->minor = owned.minor;
        }
    }
    if (pack->job->flags & POD_JOB_ROOTS)
        entry->uid = entry->gid = 0;
}

/* Attributes that mean something elsewhere: users' own, and capabilities. Not overlayfs' and ours. */
static int is_packed_xattr(const char *name)
{
    if (!strcmp(name, "security.capability"))
        return 1;
    return !strncmp(name, "user.", 5) && strncmp(name, "user.overlay.", 13) != 0 &&
           strncmp(name, "user.pod.", 9) != 0;
}

static void set_xattrs(struct pack *pack, int fd, struct pod_tar_entry *entry)
{
    char self[32];
    size_t used = 0;
    ssize_t length;

    self_path(fd, self, sizeof self);
    length = listxattr(self, pack->names, sizeof pack->names - 1);
    if (length <= 0)
        return;
    pack->names[length] = '\0';
    for (const char *at = pack->names; at < pack->names + length; at += strlen(at) + 1) {
        ssize_t size;

        if (!is_packed_xattr(at) || entry->xattr_count == XATTRS_MAX || strchr(at, '='))
            continue;
        size = getxattr(self, at, pack->values + used, sizeof pack->values - used);
        if (size < 0)
            continue; /* gone meanwhile, or not for us */
        pack->xattrs[entry->xattr_count++] =
            (struct pod_tar_xattr){at, pack->values + used, (size_t)size};
        used += (size_t)size;
    }
    entry->xattrs = pack->xattrs;
}

/* ---- contents ----------------------------------------------------- */

/* Where the data of a file with holes lies. A last region of no length says how long it is. */
static void set_regions(struct pack *pack, int fd, struct pod_tar_entry *entry)
{
    off_t at = 0, size = (off_t)entry->size;
    size_t count = 0;
    uint64_t stored = 0;

    while (at < size && count < REGIONS_MAX - 2) {
        off_t start = lseek(fd, at, SEEK_DATA), end;

        if (start < 0 || start >= size) {
            if (start < 0 && errno != ENXIO)
                return; /* no holes here */
            at = size;
            break;
        }
        end = lseek(fd, start, SEEK_HOLE);
        if (end < 0 || end > size || count == REGIONS_MAX - 3)
            end = size;
        pack->regions[count++] = (struct pod_tar_region){(uint64_t)start, (uint64_t)(end - start)};
        stored += (uint64_t)(end - start);
        at = end;
    }
    if (at < size || stored == entry->size)
        return;
    pack->regions[count++] = (struct pod_tar_region){entry->size, 0};
    entry->sparse = 1;
    entry->regions = pack->regions;
    entry->region_count = count;
    entry->stored = stored;
}

static int copy_range(struct pack *pack, int fd, uint64_t at, uint64_t end, struct pod_err *err)
{
    while (at < end) {
        size_t wanted = end - at < COPY_SIZE ? (size_t)(end - at) : COPY_SIZE;
        ssize_t got = pread(fd, pack->data, wanted, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pod_fail(err, POD_READ, pack->path);
        if (got == 0)
            break; /* shorter than it was: zeros */
        if (pod_tar_out_data(&pack->out, pack->data, (size_t)got, err) < 0)
            return -1;
        at += (uint64_t)got;
    }
    for (memset(pack->data, 0, at < end ? COPY_SIZE : 0); at < end;) {
        size_t part = end - at < COPY_SIZE ? (size_t)(end - at) : COPY_SIZE;

        if (pod_tar_out_data(&pack->out, pack->data, part, err) < 0)
            return -1;
        at += part;
    }
    return 0;
}

static int pack_file(struct pack *pack, int fd, const struct stat *st, struct pod_tar_entry *entry,
                     struct pod_err *err)
{
    char self[32];

    self_path(fd, self, sizeof self);
    /* Through the descriptor: what was looked at, whoever has the name by now. */
    POD_AUTO_FD int data = open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (data < 0)
        return pod_fail(err, POD_OPEN, pack->path);
    entry->size = entry->stored = (uint64_t)st->st_size;
    if ((uint64_t)st->st_blocks * 512 < entry->size)
        set_regions(pack, data, entry);
    if (pod_tar_out_entry(&pack->out, entry, err) < 0)
        return -1;
    if (!entry->sparse && copy_range(pack, data, 0, entry->size, err) < 0)
        return -1;
    for (size_t i = 0; entry->sparse && i < entry->region_count; i++)
        if (copy_range(pack, data, entry->regions[i].offset,
                       entry->regions[i].offset + entry->regions[i].length, err) < 0)
            return -1;
    return pod_tar_out_fill(&pack->out, err);
}

/* ---- one entry ----------------------------------------------------- */

static enum pod_tar_type type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return POD_TAR_DIRECTORY;
    case S_IFLNK:
        return POD_TAR_SYMLINK;
    case S_IFIFO:
        return POD_TAR_FIFO;
    case S_IFCHR:
        return POD_TAR_CHAR;
    case S_IFBLK:
        return POD_TAR_BLOCK;
    default:
        return POD_TAR_FILE;
    }
}

static int pack_other(struct pack *pack, int fd, struct pod_tar_entry *entry, struct pod_err *err)
{
    char target[PATH_MAX];

    if (entry->type == POD_TAR_SYMLINK) {
        ssize_t length = readlinkat(fd, "", target, sizeof target - 1);

        if (length < 0)
            return pod_fail(err, POD_READ, pack->path);
        target[length] = '\0';
        entry->link = target;
        entry->mode = 0777;
    }
    return pod_tar_out_entry(&pack->out, entry, err);
}

/* FD: O_PATH. pack->path is set. */
static int pack_entry(struct pack *pack, int fd, const struct stat *st, struct pod_err *err)
{
    struct pod_tar_entry entry = {.path = pack->path, .link = ""};
    const char *first;

    entry.type = type_of(st->st_mode);
    entry.mode = st->st_mode &
                 (pack->job->flags & POD_JOB_PLAIN_MODES && !S_ISDIR(st->st_mode) ? 0777 : 07777);
    entry.seconds = st->st_mtim.tv_sec;
    entry.major = major(st->st_rdev);
    entry.minor = minor(st->st_rdev);
    set_owner(pack, fd, st, &entry);
    if (S_ISSOCK(st->st_mode)) {
        pod_job_omit(pack->result, &pack->result->sockets, pack->path);
        return 0;
    }
    if (pack->job->flags & POD_JOB_NO_DEVICES &&
        (entry.type == POD_TAR_CHAR || entry.type == POD_TAR_BLOCK)) {
        pod_job_omit(pack->result, &pack->result->devices, pack->path);
        return 0;
    }
    pack->result->entries++;
    if (st->st_nlink > 1 && !S_ISDIR(st->st_mode) &&
        (first = pod_links_find(&pack->links, st, pack->path))) {
        entry.type = POD_TAR_LINK;
        entry.link = first;
        return pod_tar_out_entry(&pack->out, &entry, err);
    }
    if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))
        set_xattrs(pack, fd, &entry);
    return entry.type == POD_TAR_FILE ? pack_file(pack, fd, st, &entry, err)
                                      : pack_other(pack, fd, &entry, err);
}

/* ---- trees ----------------------------------------------------- */

static uint64_t mount_of(int fd)
{
    struct statx st;

    memset(&st, 0, sizeof st);
    /* The function is of glibc 2.28. */
    long failed = syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_INO | POD_STATX_MOUNT, &st);
    return failed ? 0 : pod_statx_mount(&st);
}

/* What has glibc load our library (core/preload.h): it lies in a layer of ours and is not the image's. */
static int is_our_list(const struct pack *pack, const struct pod_walk_entry *entry)
{
    static const char expected[] = POD_PAGE_LIBRARY;
    char self[32], text[sizeof expected + 8];

    if (!pack->view || !pack->view->has_records || strcmp(entry->path, PRELOAD_LIST) != 0 ||
        !S_ISREG(entry->st.st_mode) || entry->st.st_size > (off_t)sizeof text)
        return 0;
    self_path(entry->fd, self, sizeof self);
    POD_AUTO_FD int fd = open(self, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text);
    return got >= (ssize_t)sizeof expected - 1 && got <= (ssize_t)sizeof expected &&
           !memcmp(text, expected, sizeof expected - 1);
}

static int on_entry(void *context, const struct pod_walk_entry *entry, struct pod_err *err)
{
    struct pack *pack = context;
    int covered = pack->root_mount && mount_of(entry->fd) != pack->root_mount;

    if (pack->job->kind == POD_JOB_EXPORT && is_our_list(pack, entry))
        return 0;
    if (covered && !S_ISDIR(entry->st.st_mode))
        return 0;
    if (set_path(pack, entry->path, err) < 0 || pack_entry(pack, entry->fd, &entry->st, err) < 0)
        return -1;
    return S_ISDIR(entry->st.st_mode) && !covered;
}

static int pack_top(struct pack *pack, int fd, struct pod_err *err)
{
    const struct pod_walker walker = {on_entry, NULL, pack};
    struct stat st;

    if (fstat(fd, &st) < 0)
        return pod_fail(err, POD_STAT, pack->job->path);
    if (!(pack->job->flags & POD_JOB_NO_TOP) || !S_ISDIR(st.st_mode)) {
        if (set_path(pack, "", err) < 0 || pack_entry(pack, fd, &st, err) < 0)
            return -1;
    }
    return S_ISDIR(st.st_mode) && pod_walk(fd, &walker, err) < 0 ? -1 : 0;
}

static int open_top(const struct pod_job *job, const struct pod_view *view, struct pod_err *err)
{
    int flags = O_PATH | O_CLOEXEC | (job->flags & POD_JOB_FOLLOW ? 0 : O_NOFOLLOW), fd;

    if (view)
        return pod_open_in_root(view->root, job->path, flags, 0, err);
    fd = openat(job->dirfd, job->path, flags);
    return fd < 0 ? pod_fail(err, POD_OPEN, job->path) : fd;
}

int pod_job_pack(const struct pod_job *job, struct pod_view *view, struct pod_job_result *result,
                 struct pod_err *err)
{
    POD_AUTO_FREE struct pack *pack = calloc(1, sizeof *pack);
    POD_AUTO_FD int top = open_top(job, view, err);
    int failed;

    if (top < 0)
        return -1;
    if (!pack)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    pack->job = job;
    pack->view = view;
    pack->result = result;
    pack->out.fd = job->stream;
    if (job->kind == POD_JOB_EXPORT && view->whole)
        pack->root_mount = mount_of(view->root);
    failed = pack_top(pack, top, err) < 0 || pod_tar_out_finish(&pack->out, err) < 0;
    result->bytes = pack->out.bytes;
    pod_links_free(&pack->links);
    pod_tar_out_free(&pack->out);
    free(pack->path);
    return failed ? -1 : 0;
}
