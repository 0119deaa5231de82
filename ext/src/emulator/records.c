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

/* Bytes of the sidecar: what is written and read of it (700 000 changes); from where on it is worth being written anew. */
#define SIDECAR_MAX (32u << 20)
#define SIDECAR_TIDY (64u << 10)

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
    uint64_t mixed = row->ino * 0x9e3779b97f4a7c15ull;

    mixed = (mixed ^ mixed >> 32 ^ row->dev) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(mixed >> 40) & (size - 1);
}

/* The row of KEY's inode, whenever that was born: a number that is given again takes its old row over. */
static struct pod_record *find(const struct pod_record_table *table, const struct pod_record *key)
{
    if (!table->size)
        return NULL;
    for (uint32_t at = place_of(key, table->size);; at = (at + 1) & (table->size - 1)) {
        struct pod_record *row = &table->rows[at];
        if (!row->check || (row->ino == key->ino && row->dev == key->dev))
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

/* A record that was torn (the disk was full, the machine went down) moves those that were appended behind it: what is none is
 * passed over byte by byte, until one is found again. */
static size_t read_sidecar(struct pod_records *records)
{
    unsigned char room[64 * sizeof(struct pod_record)];
    size_t have = 0, total = 0, at;
    ssize_t got;

    while (total < SIDECAR_MAX &&
           (got = read(records->sidecar, room + have, sizeof room - have)) > 0) {
        have += (size_t)got;
        total += (size_t)got;
        for (at = 0; have - at >= sizeof(struct pod_record);) {
            struct pod_record row;
            memcpy(&row, room + at, sizeof row);
            int sound = row.check == check_of(&row);
            if (sound && put(&records->own, &row))
                return total;
            at += sound ? sizeof row : 1;
        }
        have -= at;
        memmove(room, room + at, have);
    }
    return total;
}

/* Writes the sidecar anew where most of it holds no more; the old one stays where that fails. */
static void tidy_sidecar(struct pod_records *records, int folder)
{
    struct pod_record rows[64];
    size_t count = 0;
    int failed = 0,
        fd = openat(folder, "owners.new",
                    O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

    for (uint32_t i = 0; fd >= 0 && !failed && i <= records->own.size; i++) {
        if (i < records->own.size && records->own.rows[i].check)
            rows[count++] = records->own.rows[i];
        size_t bytes = count * sizeof *rows;
        if (count < 64 && i < records->own.size)
            continue;
        failed = write(fd, rows, bytes) != (ssize_t)bytes;
        count = 0;
    }
    if (fd >= 0 && !failed && !renameat(folder, "owners.new", folder, "owners")) {
        close(records->sidecar);
        records->sidecar = fd;
    } else if (fd >= 0) {
        close(fd);
        unlinkat(folder, "owners.new", 0);
    }
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
    size_t bytes = records->sidecar >= 0 ? read_sidecar(records) : 0;
    if (bytes > SIDECAR_TIDY && bytes / sizeof(struct pod_record) > 2 * (size_t)records->own.count)
        tidy_sidecar(records, folder);
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

/* Digits as printf writes them, up to END: no sign, no blank, no zero before others. The byte behind them; NULL. */
static const char *read_number(const char *text, uint32_t *number)
{
    uint64_t value = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9' && value <= UINT32_MAX; at++)
        value = value * 10 + (uint64_t)(*at - '0');
    if (at == text || value > UINT32_MAX || (*text == '0' && at - text > 1))
        return NULL;
    *number = (uint32_t)value;
    return at;
}

int pod_owner_parse(const char *text, size_t length, struct pod_owned *owned)
{
    const char *at = text, *end = text + length;

    memset(owned, 0, sizeof *owned);
    if (!(at = read_number(at, &owned->uid)) || *at++ != ':' ||
        !(at = read_number(at, &owned->gid)))
        return 0;
    if (at == end)
        return 1;
    if (at[0] != ':' || (at[1] != 'c' && at[1] != 'b') || at[2] != ':')
        return 0;
    owned->device = at[1] == 'c' ? S_IFCHR : S_IFBLK;
    return (at = read_number(at + 3, &owned->major)) && *at++ == ':' &&
           (at = read_number(at, &owned->minor)) && at == end;
}

int pod_owner_text(const struct pod_owned *owned, char *text, size_t size)
{
    if (!owned->device)
        return snprintf(text, size, "%u:%u", owned->uid, owned->gid);
    return snprintf(text, size, "%u:%u:%c:%u:%u", owned->uid, owned->gid,
                    owned->device == S_IFCHR ? 'c' : 'b', owned->major, owned->minor);
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
            if (pod_owner_parse(text, (size_t)got, owned))
                return 1;
            memset(owned, 0, sizeof *owned);
        }
    }
    const struct pod_record *row = find(&records->own, &key);
    int known = row && row->check && row->born == key.born;
    if (!known && !key.dev) {
        row = find(&records->layers, &key);
        known = row && row->check;
    }
    if (!known)
        return 0;
    *owned = (struct pod_owned){row->uid, row->gid, row->device, row->major, row->minor};
    return 1;
}

static int write_attribute(int fd, const struct pod_owned *owned)
{
    char path[32], text[64];
    int length = pod_owner_text(owned, text, sizeof text);

    snprintf(path, sizeof path, "self/fd/%d", fd);
    return setxattr(path, POD_OWNER_XATTR, text, (size_t)length, 0) ? -errno : 0;
}

static void fill(struct pod_record *row, const struct pod_owned *owned)
{
    row->uid = owned->uid;
    row->gid = owned->gid;
    row->device = owned->device;
    row->major = owned->major;
    row->minor = owned->minor;
    row->check = check_of(row);
}

/* BEFORE: what is shown where the disk does not take it. */
static int write_row(struct pod_records *records, struct pod_record *row,
                     const struct pod_owned *before)
{
    row->check = check_of(row);
    int failed = put(&records->own, row);
    if (failed || records->sidecar < 0)
        return failed;
    int full = lseek(records->sidecar, 0, SEEK_CUR) >= (off_t)SIDECAR_MAX;
    ssize_t written = full ? 0 : write(records->sidecar, row, sizeof *row);
    if (written == (ssize_t)sizeof *row)
        return 0;
    failed = written < 0 ? -errno : -ENOSPC;
    struct pod_record back = *row;
    fill(&back, before);
    put(&records->own, &back); /* its place is there already */
    return failed;
}

/* What was copied up and can have no attribute (a link, a FIFO) shows its layer's inode now, and that of its copy once the
 * container is started anew: overlayfs had nowhere to note where it came from. So the copy gets the same record. The way to
 * it may have been changed meanwhile: it must be as old as what was opened. */
static int put_copy(struct pod_records *records, int fd, const struct pod_record *row,
                    const struct pod_owned *before)
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
    return write_row(records, &copy, before);
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
    fill(&row, owned);
    failed = write_row(records, &row, &now);
    return failed ? failed : put_copy(records, fd, &row, &now);
}
