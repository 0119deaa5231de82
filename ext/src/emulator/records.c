#include "records.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../layer/owners.h"
#include "beneath.h"

static uint32_t check_of(const struct pod_record *row)
{
    const uint32_t *words = (const uint32_t *)(const void *)row;
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < offsetof(struct pod_record, check) / sizeof *words; i++)
        hash = (hash ^ words[i]) * 16777619u;
    return (hash ^ hash >> 15) | 1; /* never that of a free row */
}

static uint32_t place_of(const struct pod_record *row, uint32_t size)
{
    uint64_t mixed = (row->ino ^ row->dev << 32 ^ (uint64_t)row->born) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(mixed >> 40) & (size - 1);
}

static struct pod_record *find(const struct pod_record_table *table, const struct pod_record *key)
{
    if (!table->size)
        return NULL;
    for (uint32_t at = place_of(key, table->size);; at = (at + 1) & (table->size - 1)) {
        struct pod_record *row = &table->rows[at];
        if (!row->check || (row->ino == key->ino && row->dev == key->dev && row->born == key->born))
            return row;
    }
}

static int grow(struct pod_record_table *table)
{
    struct pod_record_table bigger = {.size = table->size ? table->size * 2 : 256};

    bigger.rows = calloc(bigger.size, sizeof *bigger.rows);
    if (!bigger.rows)
        return -ENOMEM;
    for (uint32_t i = 0; i < table->size; i++)
        if (table->rows[i].check)
            *find(&bigger, &table->rows[i]) = table->rows[i];
    bigger.count = table->count;
    free(table->rows);
    *table = bigger;
    return 0;
}

static int put(struct pod_record_table *table, const struct pod_record *row)
{
    struct pod_record *place = find(table, row);

    if (!place || !place->check) {
        if (table->count == POD_RECORDS_MAX)
            return -ENOSPC;
        if (table->count * 4 >= table->size * 3 && grow(table))
            return -ENOMEM;
        place = find(table, row);
        table->count++;
    }
    *place = *row;
    return 0;
}

static void read_sidecar(struct pod_records *records)
{
    struct pod_record rows[64];
    ssize_t got;

    while ((got = read(records->sidecar, rows, sizeof rows)) > 0)
        for (size_t i = 0; i < (size_t)got / sizeof *rows; i++)
            if (rows[i].check == check_of(&rows[i]) && put(&records->own, &rows[i]))
                return;
}

/* One layer: DIFF is its tree, the record lies beside it. */
static void read_layer(struct pod_records *records, const char *diff)
{
    char path[4200];
    struct pod_owners owners;
    struct pod_err ignored;
    size_t length = strlen(diff);

    if (length < 5 || length > 4096 || strcmp(diff + length - 5, "/diff"))
        return;
    snprintf(path, sizeof path, "%.*s/owners", (int)length - 5, diff);
    POD_AUTO_FD int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    POD_AUTO_FD int tree = open(diff, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (file < 0 || tree < 0 || pod_owners_map(file, &owners, &ignored))
        return;
    for (size_t i = 0; i < owners.count; i++) {
        struct pod_owner owner;
        struct stat st;
        pod_owners_at(&owners, i, &owner);
        /* The way there goes through no link: the extraction made these paths. */
        if (!(owner.flags & (POD_OWNER_IDS | POD_OWNER_DEVICE)) ||
            fstatat(tree, owner.path_length ? owner.path : ".", &st, AT_SYMLINK_NOFOLLOW))
            continue;
        struct pod_record row = {.ino = st.st_ino, .uid = owner.uid, .gid = owner.gid};
        if (owner.flags & POD_OWNER_DEVICE) {
            row.device = owner.mode & S_IFMT;
            row.major = owner.major;
            row.minor = owner.minor;
        }
        row.check = check_of(&row);
        if (put(&records->layers, &row))
            break;
    }
    pod_owners_unmap(&owners);
}

void pod_records_begin(struct pod_records *records, const struct pod_plan *plan, int folder)
{
    const char *diff = pod_plan_str(plan, POD_KEY_LOWERS);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_LOWERS);

    memset(records, 0, sizeof *records);
    records->sidecar =
        openat(folder, "owners", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (records->sidecar >= 0)
        read_sidecar(records);
    const char *upper = pod_plan_str(plan, POD_KEY_UPPER);
    records->upper = upper ? open(upper, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    for (uint32_t i = 0; i < count; i++, diff += strlen(diff) + 1)
        read_layer(records, diff);
}

static int key_of(const struct pod_records *records, int fd, struct pod_record *key, uint32_t *mode)
{
    struct statx st;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st))
        return -errno;
    memset(key, 0, sizeof *key);
    key->dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
    if (key->dev == records->root_dev)
        key->dev = 0;
    key->ino = st.stx_ino;
    if (st.stx_mask & STATX_BTIME)
        key->born = st.stx_btime.tv_sec * 1000000000ll + st.stx_btime.tv_nsec;
    *mode = st.stx_mode;
    return 0;
}

/* The attribute's text; anything else than what is written here is no record. */
static int parse(const char *text, struct pod_owned *owned)
{
    char kind;
    int used = 0;

    memset(owned, 0, sizeof *owned);
    if (sscanf(text, "%u:%u%n", &owned->uid, &owned->gid, &used) == 2 && !text[used])
        return 1;
    if (sscanf(text, "%u:%u:%c:%u:%u%n", &owned->uid, &owned->gid, &kind, &owned->major,
               &owned->minor, &used) != 5 ||
        text[used] || (kind != 'c' && kind != 'b'))
        return 0;
    owned->device = kind == 'c' ? S_IFCHR : S_IFBLK;
    return 1;
}

int pod_records_get(struct pod_records *records, int fd, struct pod_owned *owned)
{
    char path[32], text[64];
    struct pod_record key;
    uint32_t mode;

    memset(owned, 0, sizeof *owned);
    if (key_of(records, fd, &key, &mode))
        return 0;
    if (S_ISREG(mode) || S_ISDIR(mode)) {
        snprintf(path, sizeof path, "self/fd/%d", fd);
        ssize_t got = getxattr(path, POD_OWNER_XATTR, text, sizeof text - 1);
        if (got > 0) {
            text[got] = '\0';
            if (parse(text, owned))
                return 1;
        }
    }
    const struct pod_record *row = find(&records->own, &key);
    if ((!row || !row->check) && !key.dev) {
        key.born = 0;
        row = find(&records->layers, &key);
    }
    if (!row || !row->check)
        return 0;
    *owned = (struct pod_owned){row->uid, row->gid, row->device, row->major, row->minor};
    return 1;
}

static int write_attribute(int fd, const struct pod_owned *owned)
{
    char path[32], text[64];
    int length;

    snprintf(path, sizeof path, "self/fd/%d", fd);
    if (owned->device)
        length = snprintf(text, sizeof text, "%u:%u:%c:%u:%u", owned->uid, owned->gid,
                          owned->device == S_IFCHR ? 'c' : 'b', owned->major, owned->minor);
    else
        length = snprintf(text, sizeof text, "%u:%u", owned->uid, owned->gid);
    return setxattr(path, POD_OWNER_XATTR, text, (size_t)length, 0) ? -errno : 0;
}

static int write_row(struct pod_records *records, struct pod_record *row)
{
    row->check = check_of(row);
    int failed = put(&records->own, row);
    if (!failed && records->sidecar >= 0 && write(records->sidecar, row, sizeof *row) < 0)
        failed = -errno;
    return failed;
}

/* What was copied up and can have no attribute (a link, a FIFO) shows its layer's inode now, and that of its copy once the
 * container is started anew: overlayfs had nowhere to note where it came from. So the copy gets the same record. The way to
 * it may have been changed meanwhile: it must be as old as what was opened. */
static int put_copy(struct pod_records *records, int fd, const struct pod_record *row)
{
    char link[32], path[4096];
    struct pod_err ignored;
    struct pod_record copy;
    uint32_t mode;

    snprintf(link, sizeof link, "self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (row->dev || records->upper < 0 || length < 2 || length == (ssize_t)sizeof path - 1)
        return 0;
    path[length] = '\0';
    POD_AUTO_FD int found =
        pod_open_beneath(records->upper, path + 1, O_PATH | O_NOFOLLOW, 0, &ignored);
    if (found < 0 || key_of(records, found, &copy, &mode) || copy.born != row->born ||
        copy.ino == row->ino)
        return 0;
    uint64_t ino = copy.ino;
    copy = *row;
    copy.ino = ino;
    return write_row(records, &copy);
}

int pod_records_set(struct pod_records *records, int fd, const struct pod_owned *owned)
{
    struct pod_owned now;
    struct pod_record row;
    uint32_t mode;
    int failed = key_of(records, fd, &row, &mode);

    pod_records_get(records, fd, &now);
    if (failed || !memcmp(&now, owned, sizeof now))
        return failed;
    if (S_ISREG(mode) || S_ISDIR(mode)) {
        failed = write_attribute(fd, owned);
        if (failed != -ENOTSUP && failed != -EPERM)
            return failed;
    }
    row.uid = owned->uid;
    row.gid = owned->gid;
    row.device = owned->device;
    row.major = owned->major;
    row.minor = owned->minor;
    failed = write_row(records, &row);
    return failed ? failed : put_copy(records, fd, &row);
}
