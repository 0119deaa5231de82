#define _GNU_SOURCE 1

#include "owners.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the owners record is little-endian and written as it lies in memory"
#endif

#define HEADER_SIZE 64
#define RECORD_SIZE 32
#define BUFFER_SIZE 65536
/* 65 535 attributes of 64 KiB do not come in one entry: the extended headers end at 1 MiB each. */
#define RECORD_MAX (4 << 20)

struct file_header {
    char magic[8];
    uint32_t version;
    uint32_t header_size;
    uint64_t count;
    uint64_t index;
    uint64_t size;
    uint64_t zero[3];
};
_Static_assert(sizeof(struct file_header) == HEADER_SIZE, "header layout");

struct record {
    uint32_t length;
    uint32_t flags;
    uint32_t uid;
    uint32_t gid;
    uint32_t mode;
    uint32_t major;
    uint32_t minor;
    uint16_t path_length;
    uint16_t xattr_count;
};
_Static_assert(sizeof(struct record) == RECORD_SIZE, "record layout");

struct pod_owners_writer {
    int fd;
    uint64_t offset; /* of the next record */
    uint64_t *index;
    size_t count;
    size_t room;
    size_t buffered;
    unsigned char buffer[BUFFER_SIZE];
};

/* ---- order ----------------------------------------------------- */

/* Bytewise, "/" below all, a prefix before what it begins. */
static int compare_paths(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t shorter = a_length < b_length ? a_length : b_length;
    size_t i = 0;

    while (i < shorter && a[i] == b[i])
        i++;
    if (i == shorter)
        return a_length < b_length ? -1 : a_length > b_length;
    if (a[i] == '/' || b[i] == '/')
        return a[i] == '/' ? -1 : 1;
    return (unsigned char)a[i] < (unsigned char)b[i] ? -1 : 1;
}

static const struct record *record_at(const unsigned char *data, uint64_t offset)
{
    return (const struct record *)(const void *)(data + offset);
}

static const char *path_of(const struct record *record)
{
    return (const char *)record + RECORD_SIZE;
}

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

static int note_offset(struct pod_owners_writer *writer, struct pod_err *err)
{
    if (writer->count == writer->room) {
        size_t wanted = writer->room ? writer->room * 2 : 256;
        uint64_t *bigger = realloc(writer->index, wanted * sizeof *bigger);

        if (!bigger)
            return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
        writer->index = bigger;
        writer->room = wanted;
    }
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
    if (note_offset(writer, err) < 0 || append(writer, &record, sizeof record, err) < 0 ||
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

static int lies_below(const struct record *record, const struct record *above)
{
    size_t length = above->path_length;

    return record->path_length > length && memcmp(path_of(record), path_of(above), length) == 0 &&
           (!length || path_of(record)[length] == '/');
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
    free(*writer);
    *writer = NULL;
}

/* ---- reading ----------------------------------------------------- */

static int record_is_sound(const unsigned char *data, uint64_t offset, uint64_t end)
{
    const struct record *record;
    uint64_t at = RECORD_SIZE;

    if (offset % 8 || offset < HEADER_SIZE || offset > end || end - offset < RECORD_SIZE)
        return 0;
    record = record_at(data, offset);
    if (record->length > end - offset || record->length < RECORD_SIZE + 1)
        return 0;
    at += record->path_length;
    if (at >= record->length || data[offset + at] != 0 ||
        memchr(path_of(record), '\0', record->path_length))
        return 0;
    at++;
    for (unsigned i = 0; i < record->xattr_count; i++) {
        uint16_t name_length;
        uint32_t value_length;

        if (record->length - at < 6)
            return 0;
        memcpy(&name_length, data + offset + at, 2);
        memcpy(&value_length, data + offset + at + 2, 4);
        at += 6;
        if (record->length - at < (uint64_t)name_length + value_length)
            return 0;
        at += (uint64_t)name_length + value_length;
    }
    return 1;
}

static int map_is_sound(struct pod_owners *owners)
{
    struct file_header header;

    if (owners->size < HEADER_SIZE)
        return 0;
    memcpy(&header, owners->data, sizeof header);
    if (memcmp(header.magic, POD_OWNERS_MAGIC, sizeof header.magic) != 0 ||
        header.version != POD_OWNERS_VERSION || header.header_size != HEADER_SIZE ||
        header.size != owners->size || header.index < HEADER_SIZE || header.index % 8 ||
        header.index > header.size || (header.size - header.index) / 8 != header.count ||
        (header.size - header.index) % 8)
        return 0;
    owners->count = header.count;
    owners->index = (const uint64_t *)(const void *)(owners->data + header.index);
    for (size_t i = 0; i < owners->count; i++)
        if (!record_is_sound(owners->data, owners->index[i], header.index))
            return 0;
    return 1;
}

int pod_owners_map(int fd, struct pod_owners *owners, struct pod_err *err)
{
    struct stat st;
    void *data;

    memset(owners, 0, sizeof *owners);
    if (fstat(fd, &st) < 0)
        return pod_fail(err, POD_OWNERS, "");
    if (!S_ISREG(st.st_mode) || st.st_size < HEADER_SIZE)
        return pod_fail_errno(err, POD_OWNERS, EBADMSG, "");
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return pod_fail(err, POD_OWNERS, "");
    owners->data = data;
    owners->size = (size_t)st.st_size;
    if (!map_is_sound(owners)) {
        pod_owners_unmap(owners);
        return pod_fail_errno(err, POD_OWNERS, EBADMSG, "");
    }
    return 0;
}

void pod_owners_unmap(struct pod_owners *owners)
{
    if (owners->data)
        munmap((void *)(uintptr_t)owners->data, owners->size);
    memset(owners, 0, sizeof *owners);
}

void pod_owners_at(const struct pod_owners *owners, size_t position, struct pod_owner *owner)
{
    const struct record *record = record_at(owners->data, owners->index[position]);

    memset(owner, 0, sizeof *owner);
    owner->path = path_of(record);
    owner->path_length = record->path_length;
    owner->flags = record->flags;
    owner->uid = record->uid;
    owner->gid = record->gid;
    owner->mode = record->mode;
    owner->major = record->major;
    owner->minor = record->minor;
    owner->xattr_count = record->xattr_count;
    owner->packed = (const unsigned char *)path_of(record) + record->path_length + 1;
    owner->packed_length = record->length - RECORD_SIZE - record->path_length - 1;
}

int pod_owners_find(const struct pod_owners *owners, const char *path, struct pod_owner *owner)
{
    size_t length = strlen(path);
    size_t low = 0;
    size_t high = owners->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order;

        pod_owners_at(owners, middle, owner);
        order = compare_paths(path, length, owner->path, owner->path_length);
        if (!order)
            return 1;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

int pod_owners_xattr(const struct pod_owner *owner, size_t *at, const char **name,
                     size_t *name_length, const unsigned char **value, size_t *value_length)
{
    uint16_t name_bytes;
    uint32_t value_bytes;

    if (*at + 6 > owner->packed_length)
        return 0;
    memcpy(&name_bytes, owner->packed + *at, 2);
    memcpy(&value_bytes, owner->packed + *at + 2, 4);
    if (!name_bytes || (uint64_t)name_bytes + value_bytes > owner->packed_length - *at - 6)
        return 0;
    *name = (const char *)owner->packed + *at + 6;
    *name_length = name_bytes;
    *value = owner->packed + *at + 6 + name_bytes;
    *value_length = value_bytes;
    *at += 6 + (size_t)name_bytes + value_bytes;
    return 1;
}
