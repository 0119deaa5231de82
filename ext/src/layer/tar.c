#define _GNU_SOURCE 1

#include "tar.h"

#include <stdlib.h>
#include <string.h>

#include "tar_reader.h"

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

static void read_names(struct pod_tar *tar, const struct pod_tar_header *header)
{
    size_t name = pod_tar_field_length(header->name, sizeof header->name);
    size_t link = pod_tar_field_length(header->link, sizeof header->link);
    size_t prefix = 0;

    if (memcmp(header->magic, "ustar", 6) == 0) {
        int star = memcmp(header->pad + 8, "tar", 4) == 0;
        prefix = pod_tar_field_length(header->prefix, star ? 131 : sizeof header->prefix);
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
        return pod_tar_fail(tar, POD_LIMIT, E2BIG, err);
    *text = malloc((size_t)size + 1);
    if (!*text)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    (*text)[size] = '\0';
    if ((size && pod_tar_take(tar, *text, (size_t)size, 0, err) < 0) ||
        pod_tar_skip(tar, -size & (POD_TAR_BLOCK_SIZE - 1), err) < 0) {
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
        return pod_tar_fail(tar, POD_TAR_HEADER, EBADMSG, err);
    return 0;
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

/* What tells: the entry's extended header, else the global one, else (NULL) the header block. */
static const struct pod_pax *pick_header(const struct pod_tar *tar, unsigned flag)
{
    if (tar->local.has & flag)
        return &tar->local;
    return tar->global.has & flag && !(tar->local.deleted & flag) ? &tar->global : NULL;
}

/* An owner.
 * (uint32_t)-1 means "leave as it is" to chown(2), so it is refused like everything larger. */
static int pick_id(const struct pod_tar *tar, unsigned flag, const char *field, uint32_t *id)
{
    const struct pod_pax *pax = pick_header(tar, flag);
    uint64_t value;

    if (pax)
        value = flag == POD_PAX_UID ? pax->uid : pax->gid;
    else if (pod_tar_number(field, 8, &value) < 0)
        return -1;
    if (value >= UINT32_MAX)
        return -1;
    *id = (uint32_t)value;
    return 0;
}

static int pick_time(struct pod_tar *tar, const char *field)
{
    const struct pod_pax *pax = pick_header(tar, POD_PAX_MTIME);

    tar->entry.nanoseconds = 0;
    if (!pax)
        return pod_tar_time(field, &tar->entry.seconds);
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
        return pod_tar_fail(tar, POD_TAR_HEADER, ENOTSUP, err);
    }
}

/* The header that stands for an entry, after those about it. 1: it is in tar->entry; 0: to be
 * passed over. */
static int read_entry(struct pod_tar *tar, uint64_t size, struct pod_err *err)
{
    struct pod_tar_header header;
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
    if (size > INT64_MAX / 2 || pod_tar_number(header.mode, sizeof header.mode, &mode) < 0 ||
        pick_id(tar, POD_PAX_UID, header.uid, &entry->uid) < 0 ||
        pick_id(tar, POD_PAX_GID, header.gid, &entry->gid) < 0 || pick_time(tar, header.mtime) < 0)
        return pod_tar_fail(tar, POD_TAR_HEADER, EBADMSG, err);
    if ((entry->type == POD_TAR_CHAR || entry->type == POD_TAR_BLOCK) &&
        (pod_tar_number(header.major, 8, &major) < 0 ||
         pod_tar_number(header.minor, 8, &minor) < 0 || major > UINT32_MAX || minor > UINT32_MAX))
        return pod_tar_fail(tar, POD_TAR_HEADER, EBADMSG, err);
    entry->mode = (uint32_t)(mode & 07777);
    entry->major = (uint32_t)major;
    entry->minor = (uint32_t)minor;
    entry->size = size;
    tar->left = size;
    tar->padding = -size & (POD_TAR_BLOCK_SIZE - 1);
    if (entry->type == POD_TAR_FILE && pod_tar_read_sparse(tar, header.type, err) < 0)
        return -1;
    entry->stored = tar->left;
    if (kept && !entry->path[0])
        return pod_tar_fail(tar, POD_TAR_PATH, EINVAL, err);
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
    return block[0] == 0 && memcmp(block, block + 1, POD_TAR_BLOCK_SIZE - 1) == 0;
}

/* Two zero blocks end an archive, or the stream does; what follows them (blocking factors, garbage)
 * is only hashed. */
static int finish(struct pod_tar *tar, struct pod_err *err)
{
    int got = pod_tar_take(tar, tar->block, POD_TAR_BLOCK_SIZE, 1, err);

    if (got < 0)
        return -1;
    if (got && !is_zero(tar->block))
        return pod_tar_fail(tar, POD_TAR_HEADER, EBADMSG, err);
    for (;;) {
        const unsigned char *data;
        size_t length;

        if (pod_tar_some(tar, UINT64_MAX, &data, &length, err) < 0)
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
    if (pod_tar_skip(tar, tar->left, err) < 0 || pod_tar_skip(tar, tar->padding, err) < 0)
        return -1;
    tar->left = tar->padding = 0;
    tar->entry.path = NULL;
    forget(tar);
    for (int headers = 0; headers <= POD_TAR_HEADERS_MAX; headers++) {
        struct pod_tar_header header;
        uint64_t size;
        int got = pod_tar_take(tar, tar->block, POD_TAR_BLOCK_SIZE, 1, err);

        if (got <= 0)
            return got;
        if (is_zero(tar->block))
            return finish(tar, err);
        memcpy(&header, tar->block, sizeof header);
        read_names(tar, &header);
        if (!pod_tar_checksum_fits(&header) ||
            pod_tar_number(header.size, sizeof header.size, &size) < 0)
            return pod_tar_fail(tar, POD_TAR_HEADER, EBADMSG, err);
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
        if (pod_tar_skip(tar, tar->left, err) < 0 || pod_tar_skip(tar, tar->padding, err) < 0)
            return -1;
        tar->left = tar->padding = 0;
        tar->entry.path = NULL;
        forget(tar);
    }
    return pod_tar_fail(tar, POD_LIMIT, E2BIG, err);
}
