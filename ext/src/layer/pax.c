#define _GNU_SOURCE 1

#include "pax.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* Linux has no xattr names longer than that (xattr(7)). */
#define XATTR_NAME_MAX 255
#define XATTR_VALUE_MAX 65536
/* A list of names has 64 KiB at most, and a name ten bytes. */
#define XATTR_COUNT_MAX 4096

static int bad(struct pod_err *err, const char *key)
{
    return pod_fail_errno(err, POD_TAR_HEADER, EBADMSG, key);
}

int pod_parse_decimal(const char *text, size_t length, uint64_t *value)
{
    uint64_t sum = 0;

    if (!length)
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(text[i] - '0'), &sum))
            return -1;
    }
    *value = sum;
    return 0;
}

/* "[-]SECONDS[.FRACTION]"; more digits than nanoseconds have are cut off. */
static int parse_time(const char *text, size_t length, int64_t *seconds, uint32_t *nanoseconds)
{
    const char *dot = memchr(text, '.', length);
    int negative = length && text[0] == '-';
    size_t whole = (dot ? (size_t)(dot - text) : length) - (size_t)negative;
    uint64_t value;
    uint32_t fraction = 0;

    if (pod_parse_decimal(text + negative, whole, &value) < 0)
        return -1;
    if (value > INT64_MAX / 2)
        value = INT64_MAX / 2; /* the caller clamps further */
    if (dot) {
        size_t digits = length - (size_t)(dot - text) - 1;
        for (size_t i = 0; i < 9; i++)
            fraction = fraction * 10 + (i < digits && dot[1 + i] >= '0' && dot[1 + i] <= '9'
                                            ? (uint32_t)(dot[1 + i] - '0')
                                            : 0);
        for (size_t i = 0; i < digits; i++)
            if (dot[1 + i] < '0' || dot[1 + i] > '9')
                return -1;
    }
    *seconds = negative ? -(int64_t)value : (int64_t)value;
    if (negative && fraction) {
        *seconds -= 1;
        fraction = 1000000000 - fraction;
    }
    *nanoseconds = fraction;
    return 0;
}

/* A list that doubles; 0 or -1. */
static int grow(void **list, size_t count, size_t *room, size_t size)
{
    size_t wanted = *room ? *room * 2 : 16;
    void *bigger;

    if (count < *room)
        return 0;
    bigger = realloc(*list, wanted * size);
    if (!bigger)
        return -1;
    *list = bigger;
    *room = wanted;
    return 0;
}

int pod_pax_add_region(struct pod_pax *pax, uint64_t offset, uint64_t length, struct pod_err *err)
{
    if (pax->region_count == POD_TAR_REGIONS_MAX)
        return pod_fail_errno(err, POD_LIMIT, E2BIG, "regions of a sparse file");
    if (grow((void **)&pax->regions, pax->region_count, &pax->region_room, sizeof *pax->regions) <
        0)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    pax->regions[pax->region_count++] = (struct pod_tar_region){offset, length};
    return 0;
}

/* GNU.sparse.map, format 0.1: "offset,length,offset,length…". */
static int parse_map(struct pod_pax *pax, const char *text, size_t length, struct pod_err *err)
{
    uint64_t pair[2];
    int filled = 0;

    pax->has |= POD_PAX_SPARSE_MAP;
    pax->region_count = 0;
    while (length) {
        const char *comma = memchr(text, ',', length);
        size_t digits = comma ? (size_t)(comma - text) : length;

        if (pod_parse_decimal(text, digits, &pair[filled++]) < 0)
            return bad(err, "GNU.sparse.map");
        if (filled == 2) {
            filled = 0;
            if (pod_pax_add_region(pax, pair[0], pair[1], err) < 0)
                return -1;
        }
        digits += comma ? 1 : 0;
        text += digits;
        length -= digits;
    }
    return filled ? bad(err, "GNU.sparse.map") : 0;
}

/* "If the value field is zero length, it shall delete any … value of the same name" (pax Header
 * Block): then the header block counts. */
static int is_deletion(struct pod_pax *pax, unsigned flag, size_t length)
{
    pax->has = length ? pax->has | flag : pax->has & ~flag;
    pax->deleted = length ? pax->deleted & ~flag : pax->deleted | flag;
    return !length;
}

static int set_number(struct pod_pax *pax, unsigned flag, uint64_t *number, const char *value,
                      size_t length)
{
    if (is_deletion(pax, flag, length))
        return 0;
    return pod_parse_decimal(value, length, number);
}

static int set_string(const char **string, const char *value, size_t length)
{
    *string = length ? value : NULL;
    return memchr(value, '\0', length) ? -1 : 0;
}

/* Said twice (bsdtar writes both forms), the last holds. */
static int set_xattr(struct pod_pax *pax, const char *name, const char *value, size_t length,
                     struct pod_err *err)
{
    if (!name[0] || strlen(name) > XATTR_NAME_MAX || length > XATTR_VALUE_MAX)
        return bad(err, name);
    for (size_t i = 0; i < pax->xattr_count; i++) {
        if (strcmp(pax->xattrs[i].name, name) != 0)
            continue;
        pax->xattrs[i] = (struct pod_tar_xattr){name, (const unsigned char *)value, length};
        return 0;
    }
    if (pax->xattr_count == XATTR_COUNT_MAX)
        return pod_fail_errno(err, POD_LIMIT, E2BIG, name);
    if (grow((void **)&pax->xattrs, pax->xattr_count, &pax->xattr_room, sizeof *pax->xattrs) < 0)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    pax->xattrs[pax->xattr_count++] =
        (struct pod_tar_xattr){name, (const unsigned char *)value, length};
    return 0;
}

/* %XX in place; 0 or -1. */
static int decode_percent(char *text)
{
    static const char digits[] = "0123456789ABCDEF0123456789abcdef";
    char *to = text;

    for (const char *from = text; *from; from++) {
        const char *high = *from == '%' && from[1] ? strchr(digits, from[1]) : NULL;
        const char *low = high && from[2] ? strchr(digits, from[2]) : NULL;

        if (*from == '%' && !low)
            return -1;
        if (low) {
            *to++ = (char)((high - digits) % 16 << 4 | (low - digits) % 16);
            from += 2;
            if (!to[-1])
                return -1;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return 0;
}

/* RFC 4648, section 4, with or without "=" at the end; in place. The length of what it says, or
 * -1. */
static ssize_t decode_base64(char *text, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0;
    unsigned count = 0;
    size_t made = 0;

    while (length && text[length - 1] == '=')
        length--;
    for (size_t i = 0; i < length; i++) {
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;

        if (!digit)
            return -1;
        bits = (bits << 6 | (unsigned)(digit - digits)) & 0xffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            text[made++] = (char)(bits >> count);
        }
    }
    return (ssize_t)made;
}

/* libarchive's form: the name as in an URL, the value in base64. */
static int set_libarchive_xattr(struct pod_pax *pax, char *name, char *value, size_t length,
                                struct pod_err *err)
{
    ssize_t decoded = decode_base64(value, length);

    if (decoded < 0 || decode_percent(name) < 0)
        return bad(err, "LIBARCHIVE.xattr");
    return set_xattr(pax, name, value, (size_t)decoded, err);
}

/* The formats 0.0 (pairs of records), 0.1 (a map) and 1.0 (the map is in front of the data). */
static int set_sparse(struct pod_pax *pax, const char *key, const char *value, size_t length,
                      struct pod_err *err)
{
    uint64_t number = 0;
    int malformed = pod_parse_decimal(value, length, &number);

    if (!strcmp(key, "name")) {
        malformed = set_string(&pax->sparse_name, value, length);
    } else if (!strcmp(key, "map")) {
        return parse_map(pax, value, length, err);
    } else if (!strcmp(key, "size") || !strcmp(key, "realsize")) {
        pax->has |= POD_PAX_SPARSE_SIZE;
        pax->sparse_size = number;
    } else if (!strcmp(key, "major")) {
        malformed |= number > 1;
        if (number == 1)
            pax->has |= POD_PAX_SPARSE_MAJOR_1;
    } else if (!strcmp(key, "offset") && !malformed) {
        pax->has |= POD_PAX_SPARSE_MAP;
        malformed = pax->sparse_offset_open;
        pax->sparse_offset_open = 1;
        if (!malformed && pod_pax_add_region(pax, number, 0, err) < 0)
            return -1;
    } else if (!strcmp(key, "numbytes") && !malformed) {
        malformed = !pax->sparse_offset_open;
        pax->sparse_offset_open = 0;
        if (!malformed)
            pax->regions[pax->region_count - 1].length = number;
    }
    return malformed ? bad(err, key) : 0;
}

/* One record; KEY and VALUE are NUL-terminated in place. Keys we have no use for (atime, uname,
 * comment…) pass by. */
static int set_record(struct pod_pax *pax, char *key, char *value, size_t length,
                      struct pod_err *err)
{
    int malformed = 0;

    if (!strcmp(key, "path"))
        malformed = set_string(&pax->path, value, length);
    else if (!strcmp(key, "linkpath"))
        malformed = set_string(&pax->link, value, length);
    else if (!strcmp(key, "size"))
        malformed = set_number(pax, POD_PAX_SIZE, &pax->size, value, length);
    else if (!strcmp(key, "uid"))
        malformed = set_number(pax, POD_PAX_UID, &pax->uid, value, length);
    else if (!strcmp(key, "gid"))
        malformed = set_number(pax, POD_PAX_GID, &pax->gid, value, length);
    else if (!strncmp(key, "GNU.sparse.", 11))
        return set_sparse(pax, key + 11, value, length, err);
    else if (!strncmp(key, "SCHILY.xattr.", 13))
        return set_xattr(pax, key + 13, value, length, err);
    else if (!strncmp(key, "LIBARCHIVE.xattr.", 17))
        return set_libarchive_xattr(pax, key + 17, value, length, err);
    else if (!strcmp(key, "mtime")) {
        if (!is_deletion(pax, POD_PAX_MTIME, length))
            malformed = parse_time(value, length, &pax->seconds, &pax->nanoseconds);
    }
    return malformed ? bad(err, key) : 0;
}

int pod_pax_parse(struct pod_pax *pax, char *text, size_t length, struct pod_err *err)
{
    char *at = text;
    char *end = text + length;

    pax->text = text;
    while (at < end) {
        size_t left = (size_t)(end - at);
        char *space = memchr(at, ' ', left < 20 ? left : 20);
        char *equals;
        uint64_t size;

        if (!space || pod_parse_decimal(at, (size_t)(space - at), &size) < 0 || size > left ||
            size < (uint64_t)(space - at) + 3 || at[size - 1] != '\n')
            return bad(err, "extended header");
        equals = memchr(space, '=', (size_t)(at + size - space));
        if (!equals || equals == space + 1 || memchr(space, '\0', (size_t)(equals - space)))
            return bad(err, "extended header");
        *equals = '\0';
        at += size;
        at[-1] = '\0';
        if (set_record(pax, space + 1, equals + 1, (size_t)(at - 1 - (equals + 1)), err) < 0)
            return -1;
    }
    return pax->sparse_offset_open ? bad(err, "GNU.sparse.offset") : 0;
}

void pod_pax_clear(struct pod_pax *pax)
{
    free(pax->text);
    free(pax->regions);
    free(pax->xattrs);
    memset(pax, 0, sizeof *pax);
}
