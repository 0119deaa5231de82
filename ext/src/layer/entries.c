/* One kind of entry each: files, devices, FIFOs, symbolic links, directories. */
#define _GNU_SOURCE 1

#include "unpack.h"

#include <fcntl.h>
#include <unistd.h>

#include "../core/rmtree.h"
#include "../core/whiteout.h"

int pod_unpack_displace(struct pod_unpack *unpack, const char *name, struct pod_err *err)
{
    struct stat st;

    if (settle(unpack, err) < 0)
        return -1;
    if (fstatat(here(unpack), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fail_here(unpack, POD_STAT, err);
    if (S_ISDIR(st.st_mode)) {
        if (unpack->options->merge)
            return fail(unpack, POD_COPY, EISDIR, err);
        if (pod_rmtree(here(unpack), name, err) < 0)
            return -1;
    } else if (unlinkat(here(unpack), name, 0) < 0 && errno != ENOENT) {
        return fail_here(unpack, POD_UNLINK, err);
    }
    if (pod_owners_remove(unpack->owners, unpack->full, err) < 0)
        return -1;
    return unpack->options->dialect == POD_DIALECT_OVERLAY && pod_is_whiteout_node(&st);
}

static int write_all(struct pod_unpack *unpack, int fd, const unsigned char *data, size_t length,
                     struct pod_err *err)
{
    while (length) {
        ssize_t put = write(fd, data, length);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_here(unpack, POD_WRITE, err);
        data += put;
        length -= (size_t)put;
    }
    return 0;
}

/* The regions tell where the stored bytes go; the sum was checked by the reader. */
static int write_regions(struct pod_unpack *unpack, int fd, struct pod_err *err)
{
    const struct pod_tar_entry *entry = unpack->entry;
    const unsigned char *data = NULL;
    size_t length = 0;

    if (ftruncate(fd, (off_t)entry->size) < 0)
        return fail_here(unpack, POD_WRITE, err);
    for (size_t i = 0; i < entry->region_count; i++) {
        uint64_t left = entry->regions[i].length;

        if (left && lseek(fd, (off_t)entry->regions[i].offset, SEEK_SET) < 0)
            return fail_here(unpack, POD_WRITE, err);
        while (left) {
            size_t part;

            if (!length && pod_tar_data(unpack->tar, &data, &length, err) < 0)
                return -1;
            part = length < left ? length : (size_t)left;
            if (write_all(unpack, fd, data, part, err) < 0)
                return -1;
            data += part;
            length -= part;
            left -= part;
        }
    }
    return 0;
}

static int write_data(struct pod_unpack *unpack, int fd, struct pod_err *err)
{
    if (unpack->entry->sparse)
        return write_regions(unpack, fd, err);
    for (;;) {
        const unsigned char *data;
        size_t length;

        if (pod_tar_data(unpack->tar, &data, &length, err) < 0)
            return -1;
        if (!length)
            return 0;
        if (write_all(unpack, fd, data, length, err) < 0)
            return -1;
    }
}

/* A new empty file, after whatever had the name is gone. */
static int create(struct pod_unpack *unpack, const char *name, mode_t mode, struct pod_err *err)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(here(unpack), name, flags, mode);

    if (fd < 0 && (errno == EMFILE || errno == ENFILE) && unpack->writers) {
        if (settle(unpack, err) < 0 || pod_writers_drain(unpack->writers, err) < 0)
            return -1;
        fd = openat(here(unpack), name, flags, mode);
    }

    if (fd < 0 && errno == EEXIST) {
        if (pod_unpack_displace(unpack, name, err) < 0)
            return -1;
        fd = openat(here(unpack), name, flags, mode);
    }
    return fd < 0 ? fail_here(unpack, POD_OPEN, err) : fd;
}

static int finish_file(struct pod_unpack *unpack, int *fd, struct pod_err *err)
{
    /* NFS and quotas may tell of a lost write only here. */
    if (close(pod_steal_fd(fd)) < 0 && errno != EINTR)
        return fail_here(unpack, POD_WRITE, err);
    return 0;
}

/* Extended attributes must wait for the data (write(2) takes security.capability away), and what
 * the disk refuses of them goes to the record: done here. So are holes. */
static int can_be_left_to_writers(const struct pod_unpack *unpack)
{
    return unpack->writers && unpack->entry->size && !unpack->entry->sparse &&
           !unpack->entry->xattr_count;
}

static int leave_to_writers(struct pod_unpack *unpack, int *fd, struct pod_err *err)
{
    struct timespec times[2];
    struct pod_written *file;
    mode_t mode;

    if (pod_unpack_set_ahead(unpack, *fd, &mode, times, err) < 0 ||
        pod_writers_begin(unpack->writers, pod_steal_fd(fd), unpack->entry->size, mode, times,
                          unpack->entry->path, &file, err) < 0)
        return -1;
    for (;;) {
        const unsigned char *data;
        size_t length;

        if (pod_tar_data(unpack->tar, &data, &length, err) < 0)
            return -1;
        if (!length)
            return 0;
        if (pod_writers_add(unpack->writers, file, pod_source_hold(unpack->source), data, length,
                            err) < 0)
            return -1;
    }
}

/* A small file of root's that nothing is in the way of, and that needs nothing but content, mode and times. */
static int can_be_left_to_makers(const struct pod_unpack *unpack)
{
    const struct pod_tar_entry *entry = unpack->entry;

    return unpack->makers && unpack->fresh && !entry->sparse && !entry->xattr_count &&
           entry->size <= POD_MADE_MAX && pod_tar_is_at_hand(unpack->tar) && !entry->uid &&
           !entry->gid;
}

/* 1: done; 0: no descriptor is left for the directory, or those on the way down have enough. */
static int leave_to_makers(struct pod_unpack *unpack, struct pod_err *err)
{
    struct pod_dir *dir = pod_dirs_top(unpack->dirs);
    struct pod_making making = {.name = unpack->name, .mode = unpack->entry->mode & 0777};
    struct timespec times[2];

    if (!dir->folder && !pod_dirs_is_deep(unpack->dirs) && !pod_makers_starve(unpack->makers) &&
        pod_folder_open(dir->fd, pod_dirs_path(unpack->dirs), &dir->folder, err) < 0)
        return -1;
    if (!dir->folder)
        return 0;
    making.folder = dir->folder;
    if (pod_tar_data(unpack->tar, &making.data, &making.length, err) < 0 ||
        pod_unpack_set_ahead(unpack, -1, &making.set_mode, times, err) < 0)
        return -1;
    making.time = times[1];
    if (making.length)
        making.block = pod_source_hold(unpack->source);
    return pod_makers_add(unpack->makers, &making, err) < 0 ? -1 : 1;
}

static int make_file(struct pod_unpack *unpack, struct pod_err *err)
{
    int left = can_be_left_to_makers(unpack) ? leave_to_makers(unpack, err) : 0;
    POD_AUTO_FD int fd = -1;

    if (left)
        return left < 0 ? -1 : 0;
    fd = create(unpack, unpack->name, unpack->entry->mode & 0777, err);
    if (fd >= 0 && can_be_left_to_writers(unpack))
        return leave_to_writers(unpack, &fd, err);
    if (fd < 0 || write_data(unpack, fd, err) < 0 ||
        pod_unpack_set_file(unpack, fd, S_IFREG, 0, err) < 0)
        return -1;
    return finish_file(unpack, &fd, err);
}

/* A user namespace cannot make device nodes: an empty file holds the place, the record says the
 * rest. */
static int make_device(struct pod_unpack *unpack, struct pod_err *err)
{
    mode_t type = unpack->entry->type == POD_TAR_CHAR ? S_IFCHR : S_IFBLK;
    POD_AUTO_FD int fd = create(unpack, unpack->name, unpack->entry->mode & 0777, err);

    if (fd < 0 || pod_unpack_set_file(unpack, fd, type, POD_OWNER_DEVICE, err) < 0)
        return -1;
    unpack->devices++;
    return finish_file(unpack, &fd, err);
}

static int make_fifo(struct pod_unpack *unpack, struct pod_err *err)
{
    if (pod_unpack_displace(unpack, unpack->name, err) < 0)
        return -1;
    if (mkfifoat(here(unpack), unpack->name, unpack->entry->mode & 0777) < 0)
        return fail_here(unpack, POD_MKNOD, err);
    return pod_unpack_set_node(unpack, S_IFIFO, err);
}

static int make_symlink(struct pod_unpack *unpack, struct pod_err *err)
{
    const char *target = unpack->entry->link;

    if (symlinkat(target, here(unpack), unpack->name) < 0) {
        if (errno != EEXIST)
            return fail_here(unpack, POD_SYMLINK, err);
        if (pod_unpack_displace(unpack, unpack->name, err) < 0)
            return -1;
        if (symlinkat(target, here(unpack), unpack->name) < 0)
            return fail_here(unpack, POD_SYMLINK, err);
    }
    return pod_unpack_set_node(unpack, S_IFLNK, err);
}

static int make_directory(struct pod_unpack *unpack, struct pod_err *err)
{
    struct stat st;
    struct pod_dir *dir;
    int hides = 0;
    int made = mkdirat(here(unpack), unpack->name, 0700) == 0;
    int pushed;

    if (!made && errno != EEXIST)
        return fail_here(unpack, POD_MKDIR, err);
    pushed = made ? pod_dirs_push_new(unpack->dirs, unpack->name, &st, err)
                  : pod_dirs_push(unpack->dirs, unpack->name, &st, err);
    if (pushed == 1 && unpack->options->merge)
        return fail(unpack, POD_COPY, ENOTDIR, err);
    if (pushed == 1) {
        /* Not a directory, so it goes: a link too, as with Docker. */
        hides = pod_unpack_displace(unpack, unpack->name, err);
        if (hides < 0)
            return -1;
        if (mkdirat(here(unpack), unpack->name, 0700) < 0)
            return fail_here(unpack, POD_MKDIR, err);
        made = 1;
        pushed = pod_dirs_push_new(unpack->dirs, unpack->name, &st, err);
    }
    if (pushed != 0)
        return pushed < 0 ? -1 : fail(unpack, POD_TAR_PATH, ENOTDIR, err);
    if (hides && pod_set_opaque(here(unpack)) < 0)
        return fail_here(unpack, POD_XATTR, err);
    unpack->overwrites = !made;
    dir = pod_dirs_top(unpack->dirs);
    dir->keep_times = 1;
    return pod_unpack_set_directory(unpack, dir, !made, err);
}

int pod_unpack_root(struct pod_unpack *unpack, struct pod_err *err)
{
    if (unpack->entry->type != POD_TAR_DIRECTORY)
        return fail(unpack, POD_TAR_PATH, EISDIR, err);
    if (unpack->options->merge)
        return 0;
    if (pod_dirs_enter(unpack->dirs, "", 0, err) < 0)
        return -1;
    unpack->full[0] = '\0';
    unpack->overwrites = unpack->entries > 1;
    return pod_unpack_set_directory(unpack, pod_dirs_top(unpack->dirs), 1, err);
}

int pod_unpack_entry(struct pod_unpack *unpack, struct pod_err *err)
{
    switch (unpack->entry->type) {
    case POD_TAR_FILE:
        return make_file(unpack, err);
    case POD_TAR_SYMLINK:
        return make_symlink(unpack, err);
    case POD_TAR_DIRECTORY:
        return make_directory(unpack, err);
    case POD_TAR_FIFO:
        return make_fifo(unpack, err);
    case POD_TAR_CHAR:
    case POD_TAR_BLOCK:
        return make_device(unpack, err);
    case POD_TAR_LINK:
        break;
    }
    return fail(unpack, POD_INTERNAL, EINVAL, err);
}
