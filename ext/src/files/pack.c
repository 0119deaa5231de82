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
#include "pick.h"

#define PRELOAD_LIST "etc/ld.so.preload"

/* ---- what an entry is ----------------------------------------------------- */

static void self_path(int fd, char *path, size_t size)
{
    snprintf(path, size, "self/fd/%d", fd); /* the working directory is /proc */
}

int pod_pack_path(struct pod_pack *pack, const char *below, struct pod_err *err)
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

static void set_owner(struct pod_pack *pack, int fd, const struct stat *st,
                      struct pod_tar_entry *entry)
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

int pod_pack_wants_xattr(const char *name)
{
    if (!strcmp(name, "security.capability"))
        return 1;
    return !strncmp(name, "user.", 5) && strncmp(name, "user.overlay.", 13) != 0 &&
           strncmp(name, "user.pod.", 9) != 0;
}

static int by_name(const void *one, const void *other)
{
    const struct pod_tar_xattr *first = one, *second = other;
    return strcmp(first->name, second->name);
}

static void set_xattrs(struct pod_pack *pack, int fd, struct pod_tar_entry *entry)
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

        if (!pod_pack_wants_xattr(at) || entry->xattr_count == POD_PACK_XATTRS || strchr(at, '='))
            continue;
        size = getxattr(self, at, pack->values + used, sizeof pack->values - used);
        if (size < 0)
            continue; /* gone meanwhile, or not for us */
        pack->xattrs[entry->xattr_count++] =
            (struct pod_tar_xattr){at, pack->values + used, (size_t)size};
        used += (size_t)size;
    }
    qsort(pack->xattrs, entry->xattr_count, sizeof *pack->xattrs, by_name);
    entry->xattrs = pack->xattrs;
}

/* ---- where it goes ----------------------------------------------------- */

static void hash_text(struct pod_pack *pack, const char *text)
{
    pod_sha256_add(pack->sha, text, strlen(text) + 1);
}

/* The same for the same file wherever it lies; of what follows the size tells the end. */
static void hash_entry(struct pod_pack *pack, struct pod_tar_entry *entry)
{
    int is_device = entry->type == POD_TAR_CHAR || entry->type == POD_TAR_BLOCK;
    const uint64_t numbers[] = {entry->type,
                                entry->mode,
                                entry->uid,
                                entry->gid,
                                entry->type == POD_TAR_FILE ? entry->size : 0,
                                is_device ? entry->major : 0,
                                is_device ? entry->minor : 0,
                                entry->xattr_count};

    pod_sha256_add(pack->sha, numbers, sizeof numbers);
    hash_text(pack, pack->hashed);
    hash_text(pack, entry->link);
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const uint64_t length = pack->xattrs[i].length;

        hash_text(pack, pack->xattrs[i].name);
        pod_sha256_add(pack->sha, &length, sizeof length);
        pod_sha256_add(pack->sha, pack->xattrs[i].value, pack->xattrs[i].length);
    }
}

static int put_entry(struct pod_pack *pack, struct pod_tar_entry *entry, struct pod_err *err)
{
    if (pack->sha)
        hash_entry(pack, entry);
    return pack->out.fd < 0 ? 0 : pod_tar_out_entry(&pack->out, entry, err);
}

static int put_data(struct pod_pack *pack, size_t length, struct pod_err *err)
{
    if (pack->sha)
        pod_sha256_add(pack->sha, pack->data, length);
    return pack->out.fd < 0 ? 0 : pod_tar_out_data(&pack->out, pack->data, length, err);
}

/* LENGTH zeros that no archive needs: a hole. */
static void hash_hole(struct pod_pack *pack, uint64_t length)
{
    memset(pack->data, 0, pack->sha && length ? POD_PACK_COPY : 0);
    for (; pack->sha && length;) {
        size_t part = length < POD_PACK_COPY ? (size_t)length : POD_PACK_COPY;

        pod_sha256_add(pack->sha, pack->data, part);
        length -= part;
    }
}

/* ---- contents ----------------------------------------------------- */

/* Where the data of a file with holes lies. A last region of no length says how long it is. */
static void set_regions(struct pod_pack *pack, int fd, struct pod_tar_entry *entry)
{
    off_t at = 0, size = (off_t)entry->size;
    size_t count = 0;
    uint64_t stored = 0;

    while (at < size && count < POD_PACK_REGIONS - 2) {
        off_t start = lseek(fd, at, SEEK_DATA), end;

        if (start < 0 || start >= size) {
            if (start < 0 && errno != ENXIO)
                return; /* no holes here */
            at = size;
            break;
        }
        end = lseek(fd, start, SEEK_HOLE);
        if (end < 0 || end > size || count == POD_PACK_REGIONS - 3)
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

/* Layers, and what becomes one by import, have no sparse entries (image-spec layer.md): podman and Docker cannot put together
 * again what they unpacked of those. Only files that are hardly anything but holes keep them. */
static void fill_holes(const struct pod_pack *pack, struct pod_tar_entry *entry)
{
    int may_be_layer = pack->job->kind == POD_JOB_LAYER || pack->job->kind == POD_JOB_EXPORT;

    if (!may_be_layer || !entry->sparse || entry->size - entry->stored > POD_PACK_ZEROS)
        return;
    entry->sparse = 0;
    entry->regions = NULL;
    entry->region_count = 0;
    entry->stored = entry->size;
}

static int copy_range(struct pod_pack *pack, int fd, uint64_t at, uint64_t end, struct pod_err *err)
{
    while (at < end) {
        size_t wanted = end - at < POD_PACK_COPY ? (size_t)(end - at) : POD_PACK_COPY;
        ssize_t got = pread(fd, pack->data, wanted, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pod_fail(err, POD_READ, pack->path);
        if (got == 0)
            break; /* shorter than it was: zeros */
        if (put_data(pack, (size_t)got, err) < 0)
            return -1;
        at += (uint64_t)got;
    }
    for (memset(pack->data, 0, at < end ? POD_PACK_COPY : 0); at < end;) {
        size_t part = end - at < POD_PACK_COPY ? (size_t)(end - at) : POD_PACK_COPY;

        if (put_data(pack, part, err) < 0)
            return -1;
        at += part;
    }
    return 0;
}

static int pack_file(struct pod_pack *pack, int fd, const struct stat *st,
                     struct pod_tar_entry *entry, struct pod_err *err)
{
    char self[32];
    uint64_t at = 0;

    self_path(fd, self, sizeof self);
    /* Through the descriptor: what was looked at, whoever has the name by now. */
    POD_AUTO_FD int data = open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (data < 0)
        return pod_fail(err, POD_OPEN, pack->path);
    entry->size = entry->stored = (uint64_t)st->st_size;
    if ((uint64_t)st->st_blocks * 512 < entry->size)
        set_regions(pack, data, entry);
    fill_holes(pack, entry);
    if (put_entry(pack, entry, err) < 0)
        return -1;
    if (!entry->sparse && copy_range(pack, data, 0, entry->size, err) < 0)
        return -1;
    for (size_t i = 0; entry->sparse && i < entry->region_count; i++) {
        const struct pod_tar_region *region = &entry->regions[i];

        hash_hole(pack, region->offset - at);
        at = region->offset + region->length;
        if (copy_range(pack, data, region->offset, at, err) < 0)
            return -1;
    }
    return pack->out.fd < 0 ? 0 : pod_tar_out_fill(&pack->out, err);
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

static int pack_other(struct pod_pack *pack, int fd, struct pod_tar_entry *entry,
                      struct pod_err *err)
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
    return put_entry(pack, entry, err);
}

int pod_pack_entry(struct pod_pack *pack, int fd, const struct stat *st, struct pod_err *err)
{
    struct pod_tar_entry entry = {.path = pack->path, .link = ""};
    const char *first;

    entry.type = type_of(st->st_mode);
    entry.mode = st->st_mode &
                 (pack->job->flags & POD_JOB_PLAIN_MODES && !S_ISDIR(st->st_mode) ? 0777 : 07777);
    entry.seconds = st->st_mtim.tv_sec;
    if (pack->latest && entry.seconds > (int64_t)(pack->latest - 1))
        entry.seconds = (int64_t)(pack->latest - 1);
    entry.major = major(st->st_rdev);
    entry.minor = minor(st->st_rdev);
    set_owner(pack, fd, st, &entry);
    if (pack->pick)
        pod_pick_adjust(pack->pick, &entry);
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
        return put_entry(pack, &entry, err);
    }
    if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))
        set_xattrs(pack, fd, &entry);
    return entry.type == POD_TAR_FILE ? pack_file(pack, fd, st, &entry, err)
                                      : pack_other(pack, fd, &entry, err);
}

/* ---- trees ----------------------------------------------------- */

uint64_t pod_pack_mount(int fd)
{
    struct statx st;

    memset(&st, 0, sizeof st);
    /* The function is of glibc 2.28. */
    long failed = syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_INO | POD_STATX_MOUNT, &st);
    return failed ? 0 : pod_statx_mount(&st);
}

int pod_pack_is_our_list(const struct pod_pack *pack, const struct pod_walk_entry *entry)
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
    struct pod_pack *pack = context;
    int covered = pack->root_mount && pod_pack_mount(entry->fd) != pack->root_mount;

    if (pack->job->kind == POD_JOB_EXPORT && pod_pack_is_our_list(pack, entry))
        return 0;
    if (covered && !S_ISDIR(entry->st.st_mode))
        return 0;
    if (pod_pack_path(pack, entry->path, err) < 0 ||
        pod_pack_entry(pack, entry->fd, &entry->st, err) < 0)
        return -1;
    return S_ISDIR(entry->st.st_mode) && !covered;
}

static int pack_top(struct pod_pack *pack, int fd, struct pod_err *err)
{
    const struct pod_walker walker = {on_entry, NULL, pack};
    struct stat st;

    if (fstat(fd, &st) < 0)
        return pod_fail(err, POD_STAT, pack->job->path);
    if (!(pack->job->flags & POD_JOB_NO_TOP) || !S_ISDIR(st.st_mode)) {
        if (pod_pack_path(pack, "", err) < 0 || pod_pack_entry(pack, fd, &st, err) < 0)
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

void pod_pack_free(struct pod_pack *pack)
{
    pod_links_free(&pack->links);
    pod_tar_out_free(&pack->out);
    free(pack->path);
}

int pod_job_pack(const struct pod_job *job, struct pod_view *view, struct pod_job_result *result,
                 struct pod_err *err)
{
    POD_AUTO_FREE struct pod_pack *pack = calloc(1, sizeof *pack);
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
        pack->root_mount = pod_pack_mount(view->root);
    failed = pack_top(pack, top, err) < 0 || pod_tar_out_finish(&pack->out, err) < 0;
    result->bytes = pack->out.bytes;
    pod_pack_free(pack);
    return failed ? -1 : 0;
}
