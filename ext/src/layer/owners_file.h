/* The layout of the owners record (owners.h) in memory, for its writer and its reader. */
#ifndef POD_OWNERS_FILE_H
#define POD_OWNERS_FILE_H

#include <string.h>

#include "owners.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the owners record is little-endian and written as it lies in memory"
#endif

#define HEADER_SIZE 64
#define RECORD_SIZE 32

struct file_header {
    char magic[8];
    uint32_t version;
    uint32_t header_size;
    uint64_t count;
    uint64_t index;
    uint64_t size;
    uint64_t copies;
    uint64_t zero[2];
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

/* Bytewise, "/" below all, a prefix before what it begins. */
static inline int compare_paths(const char *a, size_t a_length, const char *b, size_t b_length)
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

static inline const struct record *record_at(const unsigned char *data, uint64_t offset)
{
    return (const struct record *)(const void *)(data + offset);
}

static inline const char *path_of(const struct record *record)
{
    return (const char *)record + RECORD_SIZE;
}

static inline int lies_below(const struct record *record, const struct record *above)
{
    size_t length = above->path_length;

    return record->path_length > length && memcmp(path_of(record), path_of(above), length) == 0 &&
           (!length || path_of(record)[length] == '/');
}

#endif
