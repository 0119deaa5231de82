#define _GNU_SOURCE 1

#include "tar.h"

#include <stdlib.h>
#include <string.h>

#include "pax.h"

#define BLOCK 512

/* POSIX ustar header; GNU and star lay other things over `prefix`. */
struct header {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[8]; /* "ustar\0" "00", or GNU's "ustar  \0" */
    char uname[32];
    char gname[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char pad[12]; /* star: "tar\0" in the last four */
};
_Static_assert(sizeof(struct header) == BLOCK, "header layout");

/* GNU's old sparse header: offsets within the block. */
enum {
    GNU_SPARSE = 386,     /* 4 × {offset[12], numbytes[12]} */
    GNU_IS_EXTENDED = 482,
    GNU_REAL_SIZE = 483,
    GNU_EXTRA_IS_EXTENDED = 504, /* an extension block: 21 × {…}, then this flag */
};

struct pod_tar {
    struct pod_source *source;
    const unsigned char *data; /* of the source's block not yet consumed */
    size_t length;
    uint64_t left;    /* of the entry's data */
    uint64_t padding; /* behind it */
    uint64_t position;
    char *long_name; /* GNU 'L' and 'K' */
    char *long_link;
    struct pod_pax global;
    struct pod_pax local;
    struct pod_tar_entry entry;
    struct pod_tar_xattr *xattrs; /* of both, where global has any */
    char name[sizeof(((struct header *)0)->prefix) + 1 + sizeof(((struct header *)0)->name) + 1];
    char link[sizeof(((struct header *)0)->link) + 1];
    unsigned char block[BLOCK];
};

static int fail(struct pod_tar *tar, enum pod_step step, int errnum, struct pod_err *err)
{
    return pod_fail_errno(err, step, errnum, tar->entry.path ? tar->entry.path : tar->name);
}

int pod_tar_open(struct pod_source *source, struct pod_tar **tar, struct pod_err *err)
{
    struct pod_tar *made = calloc(1, sizeof *made);

    if (!made)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    made->source = source;
    *tar = made;
    return 0;
}

void pod_tar_close(struct pod_tar **tar)
{
    if (!*tar)
        return;
    pod_pax_clear(&(*tar)->global);
    pod_pax_clear(&(*tar)->local);
    free((*tar)->long_name);
    free((*tar)->long_link);
    free((*tar)->xattrs);
    free(*tar);
    *tar = NULL;
}

/* Up to WANTED bytes of the stream; *length 0 at its end. */
static int take(struct pod_tar *tar, uint64_t wanted, const unsigned char **data, size_t *length,
                struct pod_err *err)
{
    if (!tar->length && pod_source_next(tar->source, &tar->data, &tar->length, err) < 0)
        return -1;
    *length = tar->length < wanted ? tar->length : (size_t)wanted;
    *data = tar->data;
    tar->data += *length;
    tar->length -= *length;
    tar->position += *length;
    return 0;
}

/* Exactly LENGTH bytes; 0 at a clean end of the stream (only when ATEND), else ENODATA. */
static int take_all(struct pod_tar *tar, void *target, size_t length, int atend,
                    struct pod_err *err)
{
    size_t done = 0;

    while (done < length) {
        const unsigned char *data;
        size_t got;

        if (take(tar, length - done, &data, &got, err) < 0)
            return -1;
        if (!got)
            return atend && !done ? 0 : fail(tar, POD_TAR_DATA, ENODATA, err);
        memcpy((char *)target + done, data, got);
        done += got;
    }
    return 1;
}

static int skip(struct pod_tar *tar, uint64_t count, struct pod_err *err)
{
    while (count) {
        const unsigned char *data;
        size_t got;

        if (take(tar, count, &data, &got, err) < 0)
            return -1;
        if (!got)
            return fail(tar, POD_TAR_DATA, ENODATA, err);
        count -= got;
    }
    return 0;
}

int pod_tar_data(struct pod_tar *tar, const unsigned char **data, size_t *length,
                 struct pod_err *err)
{
    *length = 0;
    if (!tar->left)
        return 0;
    if (take(tar, tar->left, data, length, err) < 0)
        return -1;
    if (!*length)
        return fail(tar, POD_TAR_DATA, ENODATA, err);
    tar->left -= *length;
    return 0;
}

/* Octal digits among blanks and NULs, or GNU's base-256 (first bit set, two's complement). Negative
 * numbers and those of more than 63 bits are refused. An empty field is 0. */
static int parse_number(const char *field, size_t width, uint64_t *value)
{
    const unsigned char *bytes = (const unsigned char *)field;
    uint64_t sum = 0;
    size_t at = 0;

    if (bytes[0] & 0x80) {
        if (bytes[0] != 0x80)
            return -1;
        for (at = 1; at < width; at++) {
            if (sum >> 55)
                return -1;
            sum = sum << 8 | bytes[at];
        }
        *value = sum;
        return 0;
    }
    while (at < width && (bytes[at] == ' ' || bytes[at] == '\0'))
        at++;
    for (; at < width && bytes[at] != ' ' && bytes[at] != '\0'; at++) {
        if (bytes[at] < '0' || bytes[at] > '7')
            return -1;
        sum = sum << 3 | (uint64_t)(bytes[at] - '0'); /* 12 digits at most */
    }
    for (; at < width; at++)
        if (bytes[at] != ' ' && bytes[at] != '\0')
            return -1;
    *value = sum;
    return 0;
}

/* mtime may be negative in base-256 (before 1970). */
static int parse_header_time(const char *field, int64_t *seconds)
{
    const unsigned char *bytes = (const unsigned char *)field;
    uint64_t value;

    if (bytes[0] == 0xff) {
        value = UINT64_MAX;
        for (size_t at = 4; at < 12; at++)
            value = value << 8 | bytes[at];
        *seconds = (int64_t)value < 0 ? (int64_t)value : 0;
        return 0;
    }
    if (parse_number(field, 12, &value) < 0)
        return -1;
    *seconds = (int64_t)value;
    return 0;
}

static int checksum_fits(const struct header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    uint64_t wanted;
    int64_t as_unsigned = 0;
    int64_t as_signed = 0;

    for (size_t i = 0; i < BLOCK; i++) {
        int blank = i >= offsetof(struct header, checksum) && i < offsetof(struct header, type);
        as_unsigned += blank ? ' ' : bytes[i];
        as_signed += blank ? ' ' : (signed char)bytes[i]; /* old Sun and HP tars */
    }
    return parse_number(header->checksum, sizeof header->checksum, &wanted) == 0 &&
           ((int64_t)wanted == as_unsigned || (int64_t)wanted == as_signed);
}

static size_t field_length(const char *field, size_t width)
{
    const char *end = memchr(field, '\0', width);

    return end ? (size_t)(end - field) : width;
}

static void read_names(struct pod_tar *tar, const struct header *header)
{
    size_t name = field_length(header->name, sizeof header->name);
    size_t link = field_length(header->link, sizeof header->link);
    size_t prefix = 0;

    if (memcmp(header->magic, "ustar", 6) == 0) {
        int star = memcmp(header->pad + 8, "tar", 4) == 0;
        prefix = field_length(header->prefix, star ? 131 : sizeof header->prefix);
    }
    if (prefix) {
        memcpy(tar->name, header->prefix, prefix);
        tar->name[prefix++] = '/';
    }
    memcpy(tar->name + prefix, header->name, name);
    tar->name[prefix + name] = '\0';
    memcpy(tar->link, header->link, link);
    tar->link[link] = '\0';
}

/* The body of a header about another entry, as malloc'd text with a NUL behind it. */
static int read_special(struct pod_tar *tar, uint64_t size, char **text, struct pod_err *err)
{
    if (size > POD_TAR_SPECIAL_MAX)
        return fail(tar, POD_LIMIT, E2BIG, err);
    *text = malloc((size_t)size + 1);
    if (!*text)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    (*text)[size] = '\0';
    if ((size && take_all(tar, *text, (size_t)size, 0, err) < 0) ||
        skip(tar, -size & (BLOCK - 1), err) < 0) {
        free(*text);
        *text = NULL;
        return -1;
    }
    return 0;
}

static int read_long(struct pod_tar *tar, uint64_t size, char **name, struct pod_err *err)
{
    free(*name);
    *name = NULL;
    return read_special(tar, size, name, err);
}

static int read_pax(struct pod_tar *tar, uint64_t size, struct pod_pax *pax, struct pod_err *err)
{
    char *text = NULL;

    pod_pax_clear(pax);
    if (read_special(tar, size, &text, err) < 0)
        return -1;
    return pod_pax_parse(pax, text, (size_t)size, err);
}

/* A name, a size or a sparse map for every entry to come makes no sense but to confuse readers. */
static int check_global(struct pod_tar *tar, struct pod_err *err)
{
    const struct pod_pax *pax = &tar->global;

    if (pax->path || pax->link || pax->sparse_name ||
        pax->has & ~(unsigned)(POD_PAX_UID | POD_PAX_GID | POD_PAX_MTIME))
        return fail(tar, POD_TAR_HEADER, EBADMSG, err);
    return 0;
}

static int parse_regions(struct pod_tar *tar, const unsigned char *at, int count,
                         struct pod_err *err)
{
    for (; count; count--, at += 24) {
        uint64_t offset;
        uint64_t length;

        if (!at[0])
            break;
        if (parse_number((const char *)at, 12, &offset) < 0 ||
            parse_number((const char *)at + 12, 12, &length) < 0)
            return fail(tar, POD_TAR_HEADER, EBADMSG, err);
        if (pod_pax_add_region(&tar->local, offset, length, err) < 0)
            return -1;
    }
    return 0;
}

/* GNU's old sparse format ('S'): four regions in the header, 21 in each extension block. */
static int read_gnu_sparse(struct pod_tar *tar, struct pod_err *err)
{
    int more = tar->block[GNU_IS_EXTENDED];

    tar->entry.sparse = 1;
    if (parse_number((const char *)tar->block + GNU_REAL_SIZE, 12, &tar->entry.size) < 0)
        return fail(tar, POD_TAR_HEADER, EBADMSG, err);
    if (parse_regions(tar, tar->block + GNU_SPARSE, 4, err) < 0)
        return -1;
    for (unsigned blocks = 0; more; blocks++) {
        if (blocks > POD_TAR_REGIONS_MAX / 21)
            return fail(tar, POD_LIMIT, E2BIG, err);
        if (take_all(tar, tar->block, BLOCK, 0, err) < 0 ||
            parse_regions(tar, tar->block, 21, err) < 0)
            return -1;
        more = tar->block[GNU_EXTRA_IS_EXTENDED];
    }
    return 0;
}

/* A decimal line of the map that PAX sparse 1.0 has in front of the data. Taken by blocks of
 * 512. */
static int read_map_number(struct pod_tar *tar, size_t *at, uint64_t *value, struct pod_err *err)
{
    uint64_t sum = 0;

    for (int digits = 0;; digits++) {
        unsigned char byte;

        if (*at == BLOCK) {
            if (tar->left < BLOCK)
                return fail(tar, POD_TAR_HEADER, EBADMSG, err);
            if (take_all(tar, tar->block, BLOCK, 0, err) < 0)
                return -1;
            tar->left -= BLOCK;
            *at = 0;
        }
        byte = tar->block[(*at)++];
        if (byte == '\n' && digits)
            break;
        if (byte < '0' || byte > '9' || digits > 18)
            return fail(tar, POD_TAR_HEADER, EBADMSG, err);
        sum = sum * 10 + (uint64_t)(byte - '0');
    }
    *value = sum;
    return 0;
}

static int read_pax_map(struct pod_tar *tar, struct pod_err *err)
{
    size_t at = BLOCK;
    uint64_t count;

    if (read_map_number(tar, &at, &count, err) < 0)
        return -1;
    if (count > POD_TAR_REGIONS_MAX)
        return fail(tar, POD_LIMIT, E2BIG, err);
    tar->local.region_count = 0;
    for (; count; count--) {
        uint64_t offset;
        uint64_t length;

        if (read_map_number(tar, &at, &offset, err) < 0 ||
            read_map_number(tar, &at, &length, err) < 0 ||
            pod_pax_add_region(&tar->local, offset, length, err) < 0)
            return -1;
    }
    return 0;
}

/* Regions ascend, do not overlap, lie inside the file, and hold as many bytes as the archive
 * has. */
static int check_regions(struct pod_tar *tar, struct pod_err *err)
{
    uint64_t end = 0;
    uint64_t sum = 0;

    for (size_t i = 0; i < tar->local.region_count; i++) {
        const struct pod_tar_region *region = &tar->local.regions[i];

        if (region->offset < end || region->offset > tar->entry.size ||
            region->length > tar->entry.size - region->offset)
            return fail(tar, POD_TAR_HEADER, EBADMSG, err);
        end = region->offset + region->length;
        sum += region->length;
    }
    if (sum != tar->left)
        return fail(tar, POD_TAR_HEADER, EBADMSG, err);
    tar->entry.regions = tar->local.regions;
    tar->entry.region_count = tar->local.region_count;
    return 0;
}

static int read_sparse(struct pod_tar *tar, char type, struct pod_err *err)
{
    const struct pod_pax *pax = &tar->local;

    if (type == 'S') {
        if (read_gnu_sparse(tar, err) < 0)
            return -1;
    } else if (pax->has & (POD_PAX_SPARSE_MAP | POD_PAX_SPARSE_MAJOR_1)) {
        if (!(pax->has & POD_PAX_SPARSE_SIZE))
            return fail(tar, POD_TAR_HEADER, EBADMSG, err);
        tar->entry.sparse = 1;
        tar->entry.size = pax->sparse_size;
        if (pax->has & POD_PAX_SPARSE_MAJOR_1 && read_pax_map(tar, err) < 0)
            return -1;
    } else {
        return 0;
    }
    return check_regions(tar, err);
}

/* Global attributes come first, so that the entry's own win where the caller sets them in order. */
static int join_xattrs(struct pod_tar *tar, struct pod_err *err)
{
    size_t global = tar->global.xattr_count;
    size_t local = tar->local.xattr_count;

    tar->entry.xattrs = global ? tar->global.xattrs : tar->local.xattrs;
    tar->entry.xattr_count = global + local;
    if (!global || !local)
        return 0;
    free(tar->xattrs);
    tar->xattrs = malloc((global + local) * sizeof *tar->xattrs);
    if (!tar->xattrs)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    memcpy(tar->xattrs, tar->global.xattrs, global * sizeof *tar->xattrs);
    memcpy(tar->xattrs + global, tar->local.xattrs, local * sizeof *tar->xattrs);
    tar->entry.xattrs = tar->xattrs;
    return 0;
}

/* What tells about an owner: the entry's extended header, the global one, the header block.
 * (uint32_t)-1 means "leave as it is" to chown(2), so it is refused like everything larger. */
static int pick_id(const struct pod_tar *tar, unsigned flag, const char *field, uint32_t *id)
{
    const struct pod_pax *pax = tar->local.has & flag    ? &tar->local
                                : tar->global.has & flag ? &tar->global
                                                         : NULL;
    uint64_t value;

    if (pax)
        value = flag == POD_PAX_UID ? pax->uid : pax->gid;
    else if (parse_number(field, 8, &value) < 0)
        return -1;
    if (value >= UINT32_MAX)
        return -1;
    *id = (uint32_t)value;
    return 0;
}

static int pick_time(struct pod_tar *tar, const char *field)
{
    const struct pod_pax *pax = tar->local.has & POD_PAX_MTIME    ? &tar->local
                                : tar->global.has & POD_PAX_MTIME ? &tar->global
                                                                  : NULL;

    tar->entry.nanoseconds = 0;
    if (!pax)
        return parse_header_time(field, &tar->entry.seconds);
    tar->entry.seconds = pax->seconds;
    tar->entry.nanoseconds = pax->nanoseconds;
    return 0;
}

static void pick_names(struct pod_tar *tar)
{
    const struct pod_pax *pax = &tar->local;

    tar->entry.path = pax->sparse_name ? pax->sparse_name
                      : pax->path      ? pax->path
                      : tar->long_name ? tar->long_name
                                       : tar->name;
    tar->entry.link = pax->link ? pax->link : tar->long_link ? tar->long_link : tar->link;
}

/* 1: an entry; 0: one to be passed over. */
static int pick_type(struct pod_tar *tar, char type, struct pod_err *err)
{
    size_t length = strlen(tar->entry.path);

    switch (type) {
    case '\0': /* v7: a directory is a file whose name ends so */
    case '0':
    case '7':
    case 'S':
        tar->entry.type = length && tar->entry.path[length - 1] == '/' && type != 'S'
                              ? POD_TAR_DIRECTORY
                              : POD_TAR_FILE;
        return 1;
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
        tar->entry.type = (enum pod_tar_type)type;
        return 1;
    case 'D': /* GNU incremental: a directory with a list of names as data */
        tar->entry.type = POD_TAR_DIRECTORY;
        return 1;
    case 'V': /* GNU volume label */
        return 0;
    default:
        return fail(tar, POD_TAR_HEADER, ENOTSUP, err);
    }
}

/* The header that stands for an entry, after those about it. 1: it is in tar->entry; 0: to be
 * passed over. */
static int read_entry(struct pod_tar *tar, uint64_t size, struct pod_err *err)
{
    struct header header;
    struct pod_tar_entry *entry = &tar->entry;
    uint64_t mode = 0;
    uint64_t major = 0;
    uint64_t minor = 0;
    int kept;

    memcpy(&header, tar->block, sizeof header);
    memset(entry, 0, sizeof *entry);
    pick_names(tar);
    kept = pick_type(tar, header.type, err);
    if (kept < 0)
        return -1;
    if (tar->local.has & POD_PAX_SIZE)
        size = tar->local.size;
    /* Links, devices, FIFOs have no data, whatever `size` says (Go's archive/tar reads them so, and
     * so Docker). */
    if (entry->type != POD_TAR_FILE && header.type != 'D' && kept && header.type != '\0' &&
        header.type != '0' && header.type != '7')
        size = 0;
    if (size > INT64_MAX / 2 || parse_number(header.mode, sizeof header.mode, &mode) < 0 ||
        pick_id(tar, POD_PAX_UID, header.uid, &entry->uid) < 0 ||
        pick_id(tar, POD_PAX_GID, header.gid, &entry->gid) < 0 || pick_time(tar, header.mtime) < 0)
        return fail(tar, POD_TAR_HEADER, EBADMSG, err);
    if ((entry->type == POD_TAR_CHAR || entry->type == POD_TAR_BLOCK) &&
        (parse_number(header.major, 8, &major) < 0 || parse_number(header.minor, 8, &minor) < 0 ||
         major > UINT32_MAX || minor > UINT32_MAX))
        return fail(tar, POD_TAR_HEADER, EBADMSG, err);
    entry->mode = (uint32_t)(mode & 07777);
    entry->major = (uint32_t)major;
    entry->minor = (uint32_t)minor;
    entry->size = size;
    tar->left = size;
    tar->padding = -size & (BLOCK - 1);
    if (entry->type == POD_TAR_FILE && read_sparse(tar, header.type, err) < 0)
        return -1;
    entry->stored = tar->left;
    if (kept && !entry->path[0])
        return fail(tar, POD_TAR_PATH, EINVAL, err);
    return join_xattrs(tar, err) < 0 ? -1 : kept;
}

/* A header about the entry that follows. 1: it was one; 0: it is the entry itself. */
static int read_about(struct pod_tar *tar, char type, uint64_t size, struct pod_err *err)
{
    int failed;

    if (type == 'x' || type == 'X') {
        failed = read_pax(tar, size, &tar->local, err);
    } else if (type == 'g') {
        failed = read_pax(tar, size, &tar->global, err);
        if (!failed)
            failed = check_global(tar, err);
    } else if (type == 'L') {
        failed = read_long(tar, size, &tar->long_name, err);
    } else if (type == 'K') {
        failed = read_long(tar, size, &tar->long_link, err);
    } else {
        return 0;
    }
    return failed ? -1 : 1;
}

static int is_zero(const unsigned char *block)
{
    return block[0] == 0 && memcmp(block, block + 1, BLOCK - 1) == 0;
}

/* Two zero blocks end an archive, or the stream does; what follows them (blocking factors, garbage)
 * is only hashed. */
static int finish(struct pod_tar *tar, struct pod_err *err)
{
    int got = take_all(tar, tar->block, BLOCK, 1, err);

    if (got < 0)
        return -1;
    if (got && !is_zero(tar->block))
        return fail(tar, POD_TAR_HEADER, EBADMSG, err);
    for (;;) {
        const unsigned char *data;
        size_t length;

        if (take(tar, UINT64_MAX, &data, &length, err) < 0)
            return -1;
        if (!length)
            return 0;
    }
}

static void forget(struct pod_tar *tar)
{
    pod_pax_clear(&tar->local);
    free(tar->long_name);
    free(tar->long_link);
    tar->long_name = NULL;
    tar->long_link = NULL;
}

int pod_tar_next(struct pod_tar *tar, const struct pod_tar_entry **entry, struct pod_err *err)
{
    if (skip(tar, tar->left, err) < 0 || skip(tar, tar->padding, err) < 0)
        return -1;
    tar->left = tar->padding = 0;
    tar->entry.path = NULL;
    forget(tar);
    for (int headers = 0; headers <= POD_TAR_HEADERS_MAX; headers++) {
        struct header header;
        uint64_t size;
        int got = take_all(tar, tar->block, BLOCK, 1, err);

        if (got <= 0)
            return got;
        if (is_zero(tar->block))
            return finish(tar, err);
        memcpy(&header, tar->block, sizeof header);
        read_names(tar, &header);
        if (!checksum_fits(&header) || parse_number(header.size, sizeof header.size, &size) < 0)
            return fail(tar, POD_TAR_HEADER, EBADMSG, err);
        got = read_about(tar, header.type, size, err);
        if (got < 0)
            return -1;
        if (got)
            continue;
        got = read_entry(tar, size, err);
        if (got < 0)
            return -1;
        if (got) {
            *entry = &tar->entry;
            return 1;
        }
        if (skip(tar, tar->left, err) < 0 || skip(tar, tar->padding, err) < 0)
            return -1;
        tar->left = tar->padding = 0;
        tar->entry.path = NULL;
        forget(tar);
    }
    return fail(tar, POD_LIMIT, E2BIG, err);
}
