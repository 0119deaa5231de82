#define _GNU_SOURCE 1

#include "tar_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ustar.h"

#define OCTAL_7 07777777u
#define OCTAL_11 077777777777ull

static int flush(struct pod_tar_out *out, struct pod_err *err)
{
    const unsigned char *at = out->buffer;

    while (out->used) {
        ssize_t put = write(out->fd, at, out->used);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return pod_fail(err, POD_WRITE, "archive");
        at += put;
        out->used -= (size_t)put;
    }
    return 0;
}

static int put(struct pod_tar_out *out, const void *data, size_t length, struct pod_err *err)
{
    const unsigned char *at = data;

    while (length) {
        size_t part = sizeof out->buffer - out->used;

        part = part < length ? part : length;
        if (at) {
            memcpy(out->buffer + out->used, at, part);
            at += part;
        } else {
            memset(out->buffer + out->used, 0, part);
        }
        out->used += part;
        out->bytes += part;
        length -= part;
        if (out->used == sizeof out->buffer && flush(out, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- PAX records ----------------------------------------------------- */

static int pax_room(struct pod_tar_out *out, size_t more, struct pod_err *err)
{
    size_t room = out->pax_room ? out->pax_room : 1024;
    char *moved;

    if (out->pax_used + more <= out->pax_room)
        return 0;
    while (room < out->pax_used + more)
        room *= 2;
    if (room > 4 * POD_TAR_SPECIAL_MAX)
        return pod_fail_errno(err, POD_LIMIT, E2BIG, "archive");
    moved = realloc(out->pax, room);
    if (!moved)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    out->pax = moved;
    out->pax_room = room;
    return 0;
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts its own digits. */
static int pax_add(struct pod_tar_out *out, const char *key, const char *name, const void *value,
                   size_t length, struct pod_err *err)
{
    size_t body = 1 + strlen(key) + strlen(name) + 1 + length + 1, total = body + 1;
    char digits[24];

    for (int again = 0; again < 3; again++)
        total = body + (size_t)snprintf(digits, sizeof digits, "%zu", total);
    if (pax_room(out, total + 1, err) < 0)
        return -1;
    out->pax_used +=
        (size_t)snprintf(out->pax + out->pax_used, total, "%s %s%s=", digits, key, name);
    memcpy(out->pax + out->pax_used, value, length);
    out->pax_used += length;
    out->pax[out->pax_used++] = '\n';
    return 0;
}

static int pax_number(struct pod_tar_out *out, const char *key, int64_t number, struct pod_err *err)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%lld", (long long)number);

    return pax_add(out, key, "", text, (size_t)length, err);
}

/* ---- header blocks ----------------------------------------------------- */

static void octal(char *field, size_t width, uint64_t number)
{
    field[--width] = '\0';
    while (width) {
        field[--width] = (char)('0' + (number & 7));
        number >>= 3;
    }
}

static int put_header(struct pod_tar_out *out, struct pod_tar_header *header, struct pod_err *err)
{
    const unsigned char *bytes = (const unsigned char *)header;
    unsigned sum = 0;

    memcpy(header->magic,
           "ustar\0"
           "00",
           8);
    memset(header->checksum, ' ', sizeof header->checksum);
    for (size_t i = 0; i < sizeof *header; i++)
        sum += bytes[i];
    octal(header->checksum, 7, sum);
    return put(out, header, sizeof *header, err);
}

/* PATH over name and prefix: 1, or 0 where it does not fit. */
static int split(struct pod_tar_header *header, const char *path, size_t length)
{
    size_t cut;

    if (length <= sizeof header->name) {
        memcpy(header->name, path, length);
        return 1;
    }
    for (cut = length - sizeof header->name - 1; cut < length; cut++)
        if (path[cut] == '/' && cut && cut + 1 < length)
            break;
    if (cut >= length || cut > sizeof header->prefix || length - cut - 1 > sizeof header->name)
        return 0;
    memcpy(header->prefix, path, cut);
    memcpy(header->name, path + cut + 1, length - cut - 1);
    return 1;
}

static int put_pax(struct pod_tar_out *out, struct pod_err *err)
{
    struct pod_tar_header header;

    if (!out->pax_used)
        return 0;
    if (out->pax_used > POD_TAR_SPECIAL_MAX)
        return pod_fail_errno(err, POD_LIMIT, E2BIG, "archive");
    memset(&header, 0, sizeof header);
    strcpy(header.name, "PaxHeaders/entry");
    octal(header.mode, sizeof header.mode, 0644);
    octal(header.uid, sizeof header.uid, 0);
    octal(header.gid, sizeof header.gid, 0);
    octal(header.size, sizeof header.size, out->pax_used);
    octal(header.mtime, sizeof header.mtime, 0);
    header.type = 'x';
    return put_header(out, &header, err) < 0 || put(out, out->pax, out->pax_used, err) < 0 ||
                   put(out, NULL, -out->pax_used & (POD_TAR_BLOCK_SIZE - 1), err) < 0
               ? -1
               : 0;
}

/* ---- entries ----------------------------------------------------- */

/* GNU 1.0: the map stands before the data, its size counts. Text of at most 22 bytes a number. */
static int sparse_map(const struct pod_tar_entry *entry, char **text, size_t *length,
                      struct pod_err *err)
{
    size_t room = 44 * entry->region_count + 24 + POD_TAR_BLOCK_SIZE, used;

    *text = calloc(1, room);
    if (!*text)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    used = (size_t)snprintf(*text, room, "%zu\n", entry->region_count);
    for (size_t i = 0; i < entry->region_count; i++)
        used += (size_t)snprintf(*text + used, room - used, "%llu\n%llu\n",
                                 (unsigned long long)entry->regions[i].offset,
                                 (unsigned long long)entry->regions[i].length);
    *length = used + (-used & (POD_TAR_BLOCK_SIZE - 1));
    return 0;
}

static int fits_ustar_name(const char *path, size_t length, const struct pod_tar_entry *entry)
{
    return !entry->sparse && length && path[0];
}

static int describe(struct pod_tar_out *out, struct pod_tar_header *header,
                    const struct pod_tar_entry *entry, const char *path, size_t length,
                    uint64_t size, struct pod_err *err)
{
    size_t link = entry->link ? strlen(entry->link) : 0;
    int64_t seconds = entry->seconds;

    if (!fits_ustar_name(path, length, entry) || !split(header, path, length)) {
        memcpy(header->name, entry->sparse ? "GNUSparseFile.0/entry" : "PaxHeaders/long",
               entry->sparse ? 21 : 15);
        if (pax_add(out, entry->sparse ? "GNU.sparse.name" : "path", "", path, length, err) < 0)
            return -1;
    }
    if (link <= sizeof header->link)
        memcpy(header->link, entry->link ? entry->link : "", link);
    else if (pax_add(out, "linkpath", "", entry->link, link, err) < 0)
        return -1;
    if (size > OCTAL_11 && pax_number(out, "size", (int64_t)size, err) < 0)
        return -1;
    if (entry->uid > OCTAL_7 && pax_number(out, "uid", entry->uid, err) < 0)
        return -1;
    if (entry->gid > OCTAL_7 && pax_number(out, "gid", entry->gid, err) < 0)
        return -1;
    if ((seconds < 0 || (uint64_t)seconds > OCTAL_11) && pax_number(out, "mtime", seconds, err) < 0)
        return -1;
    octal(header->mode, sizeof header->mode, entry->mode & 07777);
    octal(header->uid, sizeof header->uid, entry->uid > OCTAL_7 ? 0 : entry->uid);
    octal(header->gid, sizeof header->gid, entry->gid > OCTAL_7 ? 0 : entry->gid);
    octal(header->size, sizeof header->size, size > OCTAL_11 ? 0 : size);
    octal(header->mtime, sizeof header->mtime,
          seconds < 0 || (uint64_t)seconds > OCTAL_11 ? 0 : (uint64_t)seconds);
    octal(header->major, sizeof header->major, entry->major & OCTAL_7);
    octal(header->minor, sizeof header->minor, entry->minor & OCTAL_7);
    header->type = (char)entry->type;
    return 0;
}

static int further(struct pod_tar_out *out, const struct pod_tar_entry *entry, struct pod_err *err)
{
    if (entry->sparse && (pax_number(out, "GNU.sparse.major", 1, err) < 0 ||
                          pax_number(out, "GNU.sparse.minor", 0, err) < 0 ||
                          pax_number(out, "GNU.sparse.realsize", (int64_t)entry->size, err) < 0))
        return -1;
    for (size_t i = 0; i < entry->xattr_count; i++)
        if (pax_add(out, "SCHILY.xattr.", entry->xattrs[i].name, entry->xattrs[i].value,
                    entry->xattrs[i].length, err) < 0)
            return -1;
    return 0;
}

static int put_head(struct pod_tar_out *out, const struct pod_tar_entry *entry, const char *path,
                    size_t length, struct pod_err *err)
{
    struct pod_tar_header header;
    uint64_t size = entry->type == POD_TAR_FILE ? entry->stored : 0;
    POD_AUTO_FREE char *map = NULL;
    size_t map_length = 0;

    memset(&header, 0, sizeof header);
    out->pax_used = 0;
    if (entry->sparse && sparse_map(entry, &map, &map_length, err) < 0)
        return -1;
    if (describe(out, &header, entry, path, length, size + map_length, err) < 0 ||
        further(out, entry, err) < 0 || put_pax(out, err) < 0 || put_header(out, &header, err) < 0)
        return -1;
    out->left = size;
    out->padding = -size & (POD_TAR_BLOCK_SIZE - 1);
    return map_length ? put(out, map, map_length, err) : 0;
}

int pod_tar_out_entry(struct pod_tar_out *out, const struct pod_tar_entry *entry,
                      struct pod_err *err)
{
    size_t length = strlen(entry->path);
    POD_AUTO_FREE char *slashed = NULL;

    if (entry->type != POD_TAR_DIRECTORY || (length && entry->path[length - 1] == '/'))
        return put_head(out, entry, entry->path, length, err);
    slashed = malloc(length + 2);
    if (!slashed)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    memcpy(slashed, entry->path, length);
    strcpy(slashed + length, "/");
    return put_head(out, entry, slashed, length + 1, err);
}

int pod_tar_out_data(struct pod_tar_out *out, const void *data, size_t length, struct pod_err *err)
{
    size_t wanted = length < out->left ? length : (size_t)out->left;

    out->left -= wanted;
    return put(out, data, wanted, err);
}

int pod_tar_out_fill(struct pod_tar_out *out, struct pod_err *err)
{
    while (out->left) {
        size_t part = out->left < 1 << 20 ? (size_t)out->left : 1 << 20;

        out->left -= part;
        if (put(out, NULL, part, err) < 0)
            return -1;
    }
    size_t padding = (size_t)out->padding;
    out->padding = 0;
    return put(out, NULL, padding, err);
}

int pod_tar_out_finish(struct pod_tar_out *out, struct pod_err *err)
{
    return put(out, NULL, 2 * POD_TAR_BLOCK_SIZE, err) < 0 ? -1 : flush(out, err);
}

void pod_tar_out_free(struct pod_tar_out *out)
{
    free(out->pax);
    out->pax = NULL;
}
