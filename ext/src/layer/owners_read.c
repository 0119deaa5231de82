/* The owners record, read back. */
#define _GNU_SOURCE 1

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "owners_file.h"

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

/* The first record that is PATH or comes after it; after all that lies below PATH, when BEHIND. */
static size_t lower_bound(const struct pod_owners *owners, const char *path, size_t length,
                          int behind)
{
    size_t low = 0;
    size_t high = owners->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct record *record = record_at(owners->data, owners->index[middle]);
        size_t own = record->path_length;
        int order = compare_paths(path_of(record), own, path, length);

        if (behind && own >= length && memcmp(path_of(record), path, length) == 0 &&
            (own == length || !length || path_of(record)[length] == '/'))
            order = -1;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int pod_owners_range(const struct pod_owners *owners, const char *path, size_t length,
                     size_t *first, size_t *end)
{
    *first = lower_bound(owners, path, length, 0);
    *end = lower_bound(owners, path, length, 1);
    return *first < *end && record_at(owners->data, owners->index[*first])->path_length == length;
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
