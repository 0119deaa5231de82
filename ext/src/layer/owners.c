#define _GNU_SOURCE 1

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "owners_file.h"

#define BUFFER_SIZE 65536
/* 65 535 attributes of 64 KiB do not come in one entry: the extended headers end at 1 MiB each. */
#define RECORD_MAX (4 << 20)

struct pod_owners_writer {
    int fd;
    uint64_t offset; /* of the next record */
    uint64_t copies;
    uint64_t *index;
    size_t count;
    size_t room;
    size_t *devices; /* positions in the index of records of devices */
    size_t device_count;
    size_t device_room;
    size_t buffered;
    unsigned char buffer[BUFFER_SIZE];
};

/* ---- order ----------------------------------------------------- */

/* By path, then by age. */
static int compare_records(const unsigned char *data, uint64_t a, uint64_t b)
{
    const struct record *one = record_at(data, a);
    const struct record *other = record_at(data, b);
    int order = compare_paths(path_of(one), one->path_length, path_of(other), other->path_length);

    return order ? order : a < b ? -1 : a > b;
}

static void sift_down(const unsigned char *data, uint64_t *index, size_t root, size_t count)
{
    uint64_t value = index[root];

    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && compare_records(data, index[child], index[child + 1]) < 0)
            child++;
        if (compare_records(data, value, index[child]) >= 0)
            break;
        index[root] = index[child];
    }
    index[root] = value;
}

/* Heapsort: in place, no worst case that an archive could aim at. */
static void sort_records(const unsigned char *data, uint64_t *index, size_t count)
{
    for (size_t root = count / 2; root-- > 0;)
        sift_down(data, index, root, count);
    for (size_t end = count; end-- > 1;) {
        uint64_t largest = index[0];
        index[0] = index[end];
        index[end] = largest;
        sift_down(data, index, 0, end);
    }
}

/* ---- writing ----------------------------------------------------- */

static int write_all(int fd, const void *data, size_t length, uint64_t offset, struct pod_err *err)
{
    const unsigned char *at = data;

    while (length) {
        ssize_t put = pwrite(fd, at, length, (off_t)offset);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return pod_fail(err, POD_OWNERS, "");
        at += put;
        offset += (uint64_t)put;
        length -= (size_t)put;
    }
    return 0;
}

static int flush(struct pod_owners_writer *writer, struct pod_err *err)
{
    size_t length = writer->buffered;

    writer->buffered = 0;
    return write_all(writer->fd, writer->buffer, length, writer->offset - length, err);
}

static int append(struct pod_owners_writer *writer, const void *data, size_t length,
                  struct pod_err *err)
{
    const unsigned char *at = data;

    while (length) {
        size_t part = BUFFER_SIZE - writer->buffered;

        part = part < length ? part : length;
        memcpy(writer->buffer + writer->buffered, at, part);
        writer->buffered += part;
        writer->offset += part;
        at += part;
        length -= part;
        if (writer->buffered == BUFFER_SIZE && flush(writer, err) < 0)
            return -1;
    }
    return 0;
}

int pod_owners_begin(int fd, struct pod_owners_writer **writer, struct pod_err *err)
{
    struct pod_owners_writer *made = malloc(sizeof *made);

    if (!made)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    memset(made, 0, offsetof(struct pod_owners_writer, buffer));
    made->fd = fd;
    made->offset = HEADER_SIZE;
    *writer = made;
    return 0;
}

static int grow(void **list, size_t count, size_t *room, size_t size, struct pod_err *err)
{
    size_t wanted = *room ? *room * 2 : 256;
    void *bigger;

    if (count < *room)
        return 0;
    bigger = realloc(*list, wanted * size);
    if (!bigger)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    *list = bigger;
    *room = wanted;
    return 0;
}

/* A record with FLAGS begins here. */
static int note_offset(struct pod_owners_writer *writer, uint32_t flags, struct pod_err *err)
{
    if (flags & POD_OWNER_DEVICE) {
        if (grow((void **)&writer->devices, writer->device_count, &writer->device_room,
                 sizeof *writer->devices, err) < 0)
            return -1;
        writer->devices[writer->device_count++] = writer->count;
    }
    if (grow((void **)&writer->index, writer->count, &writer->room, sizeof *writer->index, err) < 0)
        return -1;
    writer->index[writer->count++] = writer->offset;
    return 0;
}

int pod_owners_add(struct pod_owners_writer *writer, const struct pod_owner *owner,
                   struct pod_err *err)
{
    static const unsigned char zeros[8] = {0};
    size_t length = RECORD_SIZE + owner->path_length + 1;
    struct record record;

    for (size_t i = 0; i < owner->xattr_count; i++)
        length += 6 + strlen(owner->xattrs[i].name) + owner->xattrs[i].length;
    if (owner->path_length > UINT16_MAX || owner->xattr_count > UINT16_MAX || length > RECORD_MAX)
        return pod_fail_errno(err, POD_OWNERS, E2BIG, owner->path);
    record = (struct record){(uint32_t)((length + 7) & ~(size_t)7),
                             owner->flags,
                             owner->uid,
                             owner->gid,
                             owner->mode,
                             owner->major,
                             owner->minor,
                             (uint16_t)owner->path_length,
                             (uint16_t)owner->xattr_count};
    if (note_offset(writer, owner->flags, err) < 0 ||
        append(writer, &record, sizeof record, err) < 0 ||
        append(writer, owner->path, owner->path_length, err) < 0 ||
        append(writer, zeros, 1, err) < 0)
        return -1;
    for (size_t i = 0; i < owner->xattr_count; i++) {
        const struct pod_tar_xattr *xattr = &owner->xattrs[i];
        uint16_t name_length = (uint16_t)strlen(xattr->name);
        uint32_t value_length = (uint32_t)xattr->length;

        if (append(writer, &name_length, 2, err) < 0 || append(writer, &value_length, 4, err) < 0 ||
            append(writer, xattr->name, name_length, err) < 0 ||
            append(writer, xattr->value, xattr->length, err) < 0)
            return -1;
    }
    return append(writer, zeros, -length & 7, err);
}

int pod_owners_remove(struct pod_owners_writer *writer, const char *path, struct pod_err *err)
{
    struct pod_owner owner;

    if (!writer->count)
        return 0;
    memset(&owner, 0, sizeof owner);
    owner.path = path;
    owner.path_length = strlen(path);
    owner.flags = POD_OWNER_REMOVED;
    return pod_owners_add(writer, &owner, err);
}

int pod_owners_add_read(struct pod_owners_writer *writer, const struct pod_owner *owner,
                        struct pod_err *err)
{
    static const unsigned char zero = 0;
    const struct record record = {
        .length = (uint32_t)(RECORD_SIZE + owner->path_length + 1 + owner->packed_length),
        .flags = owner->flags,
        .uid = owner->uid,
        .gid = owner->gid,
        .mode = owner->mode,
        .major = owner->major,
        .minor = owner->minor,
        .path_length = (uint16_t)owner->path_length,
        .xattr_count = (uint16_t)owner->xattr_count};

    /* Records lie on multiples of eight: those of a file that somebody changed might not. */
    if (record.length % 8 || record.length > RECORD_MAX)
        return pod_fail_errno(err, POD_OWNERS, EBADMSG, owner->path);
    if (note_offset(writer, owner->flags, err) < 0 ||
        append(writer, &record, sizeof record, err) < 0 ||
        append(writer, owner->path, owner->path_length, err) < 0 ||
        append(writer, &zero, 1, err) < 0)
        return -1;
    return append(writer, owner->packed, owner->packed_length, err);
}

/* 1: RECORD is of PATH, or removes it. */
static int answers(const struct record *record, const char *path, size_t length)
{
    size_t own = record->path_length;

    if (own > length || memcmp(path_of(record), path, own) != 0)
        return 0;
    return own == length || (record->flags & POD_OWNER_REMOVED && (!own || path[own] == '/'));
}

/* Where in the index the last record of a device at PATH is, or SIZE_MAX. */
static size_t last_device(const struct pod_owners_writer *writer, const unsigned char *data,
                          const char *path, uint64_t *visits)
{
    size_t length = strlen(path);

    for (size_t i = writer->device_count; i-- > 0;) {
        const struct record *record = record_at(data, writer->index[writer->devices[i]]);

        ++*visits;
        if (record->path_length == length && memcmp(path_of(record), path, length) == 0)
            return writer->devices[i];
    }
    return SIZE_MAX;
}

int pod_owners_find_device(struct pod_owners_writer *writer, const char *path,
                           struct pod_owner *device, uint64_t *visits, struct pod_err *err)
{
    const unsigned char *data;
    size_t at;
    int holds;

    if (!writer->device_count)
        return 0;
    if (flush(writer, err) < 0)
        return -1;
    data = mmap(NULL, writer->offset, PROT_READ, MAP_SHARED, writer->fd, 0);
    if (data == MAP_FAILED)
        return pod_fail(err, POD_OWNERS, path);
    at = last_device(writer, data, path, visits);
    holds = at != SIZE_MAX;
    if (holds) {
        const struct record *record = record_at(data, writer->index[at]);

        memset(device, 0, sizeof *device);
        device->mode = record->mode;
        device->major = record->major;
        device->minor = record->minor;
        while (holds && ++at < writer->count) {
            ++*visits;
            holds = !answers(record_at(data, writer->index[at]), path, strlen(path));
        }
    }
    munmap((void *)(uintptr_t)data, writer->offset);
    return holds;
}

/* The removal of the same path or of one above it that came last before the records at hand: a
 * chain from the deepest
 * upwards. Offsets tell the age. */
struct removal {
    uint64_t offset;
    uint64_t newest; /* of it and those above */
};

/* Keeps of each path the last record, unless a removal of it or of a directory above came later.
 * Sorted order shows every removal before what lies below it; ROOM has a slot per component of a
 * path. */
static size_t drop_replaced(const unsigned char *data, uint64_t *index, size_t count,
                            struct removal *stack)
{
    size_t depth = 0;
    size_t kept = 0;

    for (size_t i = 0; i < count;) {
        const struct record *record = record_at(data, index[i]);
        uint64_t last = 0;    /* record of this path */
        uint64_t removal = 0; /* removal of this path */
        uint64_t newest;
        size_t next = i;

        while (depth && !lies_below(record, record_at(data, stack[depth - 1].offset)))
            depth--;
        for (; next < count; next++) {
            const struct record *other = record_at(data, index[next]);
            if (other->path_length != record->path_length ||
                memcmp(path_of(other), path_of(record), record->path_length) != 0)
                break;
            if (other->flags & POD_OWNER_REMOVED)
                removal = index[next];
            else
                last = index[next];
        }
        newest = depth ? stack[depth - 1].newest : 0;
        if (removal > newest)
            newest = removal;
        if (removal) {
            stack[depth].offset = removal;
            stack[depth++].newest = newest;
        }
        if (last > newest)
            index[kept++] = last;
        i = next;
    }
    return kept;
}

static int sort_file(struct pod_owners_writer *writer, struct pod_err *err)
{
    POD_AUTO_FREE struct removal *stack = NULL;
    unsigned char *data;

    if (!writer->count)
        return 0;
    stack = malloc((UINT16_MAX / 2 + 2) * sizeof *stack);
    if (!stack)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    data = mmap(NULL, writer->offset, PROT_READ, MAP_SHARED, writer->fd, 0);
    if (data == MAP_FAILED)
        return pod_fail(err, POD_OWNERS, "");
    sort_records(data, writer->index, writer->count);
    writer->count = drop_replaced(data, writer->index, writer->count, stack);
    munmap(data, writer->offset);
    return 0;
}

void pod_owners_count_copy(struct pod_owners_writer *writer)
{
    writer->copies++;
}

int pod_owners_end(struct pod_owners_writer *writer, struct pod_err *err)
{
    struct file_header header;

    if (flush(writer, err) < 0 || sort_file(writer, err) < 0)
        return -1;
    memset(&header, 0, sizeof header);
    memcpy(header.magic, POD_OWNERS_MAGIC, sizeof header.magic);
    header.version = POD_OWNERS_VERSION;
    header.header_size = HEADER_SIZE;
    header.count = writer->count;
    header.index = writer->offset;
    header.copies = writer->copies;
    header.size = writer->offset + writer->count * sizeof *writer->index;
    if (writer->count && write_all(writer->fd, writer->index, writer->count * sizeof *writer->index,
                                   header.index, err) < 0)
        return -1;
    return write_all(writer->fd, &header, sizeof header, 0, err);
}

void pod_owners_close(struct pod_owners_writer **writer)
{
    if (!*writer)
        return;
    free((*writer)->index);
    free((*writer)->devices);
    free(*writer);
    *writer = NULL;
}
