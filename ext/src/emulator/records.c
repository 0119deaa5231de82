#include "records.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "beneath.h"

#define OVERFLOW_ID 65534

/* ---- tables ----------------------------------------------------- */

/* Without its birth: a number that is given again takes the row of its inode's over. */
static uint64_t fingerprint(const struct pod_look *look)
{
    return pod_table_mix(pod_table_mix((uint64_t)look->place, look->dev), look->ino);
}

static uint64_t layer_fingerprint(uint64_t ino)
{
    return pod_table_mix(~0ull, ino);
}

static int put(struct pod_records *records, struct pod_table *table, uint32_t max, uint64_t key,
               int64_t born, const struct pod_owned *owned)
{
    uint64_t device = 0;
    int failed = pod_table_reserve(table, max);

    if (owned->device)
        device = (owned->device == S_IFCHR ? 1ull : 3ull) << 62 | (uint64_t)owned->major << 32 |
                 owned->minor;
    if (!failed && (device || pod_table_get(&records->devices, key))) {
        failed = pod_table_reserve(&records->devices, max);
        if (!failed)
            pod_table_put(&records->devices, key, 0, device);
    }
    if (!failed)
        pod_table_put(table, key, (uint64_t)born, (uint64_t)owned->uid << 32 | owned->gid);
    return failed;
}

static int find(const struct pod_records *records, const struct pod_table *table, uint64_t key,
                int64_t born, struct pod_owned *owned)
{
    const struct pod_table_slot *slot = pod_table_get(table, key), *device;

    if (!slot || slot->mark != (uint64_t)born)
        return 0;
    *owned = (struct pod_owned){.uid = (uint32_t)(slot->value >> 32), .gid = (uint32_t)slot->value};
    device = pod_table_get(&records->devices, key);
    if (device && device->value) {
        owned->device = device->value >> 63 ? S_IFBLK : S_IFCHR;
        owned->major = (uint32_t)(device->value >> 32) & 0x3fffffff;
        owned->minor = (uint32_t)device->value;
    }
    return 1;
}

/* ---- sidecars ----------------------------------------------------- */

struct into {
    struct pod_records *records;
    int place;
};

static void take_row(void *context, const struct pod_record *row)
{
    struct into *into = context;
    struct pod_look look = {
        .place = into->place, .dev = row->dev, .ino = row->ino, .born = row->born};
    struct pod_owned owned = {row->uid, row->gid, row->device, row->major, row->minor};

    (void)pod_page_mark(into->records->page, row->ino);
    /* What finds no room any more is root's; who adds a row was told so. */
    (void)put(into->records, &into->records->own, POD_RECORDS_MAX, fingerprint(&look), look.born,
              &owned);
}

/* Rows of other emulators, and those of before. */
static void read_on(struct pod_records *records, int place)
{
    struct into into = {records, place};
    pod_sidecar_read(&records->sidecars[place], take_row, &into);
}

int pod_records_add(struct pod_records *records, const struct pod_look *look,
                    const struct pod_owned *owned)
{
    struct pod_record row = {.dev = look->dev,
                             .ino = look->ino,
                             .born = look->born,
                             .uid = owned->uid,
                             .gid = owned->gid,
                             .device = owned->device,
                             .major = owned->major,
                             .minor = owned->minor};
    int failed = pod_table_reserve(&records->own, POD_RECORDS_MAX);

    /* Before it is there: who looks meanwhile asks. */
    if (!failed)
        failed = pod_page_mark(records->page, look->ino);
    if (!failed)
        failed = pod_sidecar_add(&records->sidecars[look->place], &row);
    if (failed)
        return failed;
    /* In the file's order, where there is one: others may have added before. */
    if (records->sidecars[look->place].fd >= 0)
        read_on(records, look->place);
    else
        failed = put(records, &records->own, POD_RECORDS_MAX, fingerprint(look), look->born, owned);
    return failed;
}

int pod_records_add_layer(struct pod_records *records, uint64_t ino, const struct pod_owned *owned)
{
    int failed = pod_page_mark(records->page, ino);

    return failed ? failed
                  : put(records, &records->layers, POD_LAYER_RECORDS_MAX, layer_fingerprint(ino), 0,
                        owned);
}

int pod_records_known(const struct pod_records *records, const struct pod_look *look)
{
    const struct pod_table_slot *slot = pod_table_get(&records->own, fingerprint(look));
    return slot && slot->mark == (uint64_t)look->born;
}

void pod_records_begin(struct pod_records *records, const struct pod_plan *plan, int folder,
                       struct pod_page_file *page)
{
    const char *upper = pod_plan_str(plan, POD_KEY_UPPER);

    memset(records, 0, sizeof *records);
    records->page = page;
    records->real = !(pod_plan_u64(plan, POD_KEY_FLAGS) & POD_PLAN_SINGLE_ID);
    records->fresh = faccessat(folder, "owners", F_OK, AT_SYMLINK_NOFOLLOW) && errno == ENOENT;
    pod_places_begin(records, plan, folder);
    for (int i = 0; i < records->places; i++)
        read_on(records, i);
    records->upper = upper ? open(upper, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    pod_layers_begin(records, plan);
}

void pod_records_settle(struct pod_records *records, int rootfd)
{
    pod_places_settle(records, rootfd);
    pod_layers_adopt(records);
}

void pod_records_end(struct pod_records *records)
{
    for (int i = 0; i < records->places; i++)
        pod_cleanup_fd(&records->sidecars[i].fd);
    pod_cleanup_fd(&records->upper);
    pod_table_free(&records->own);
    pod_table_free(&records->layers);
    pod_table_free(&records->devices);
    free(records->specials);
}

/* ---- one file ----------------------------------------------------- */

static int place_of(const struct pod_records *records, uint64_t mount)
{
    for (int i = 0; mount && i < records->mount_count; i++)
        if (records->mounts[i].id == mount)
            return records->mounts[i].place;
    return POD_PLACE_CONTAINER;
}

/* Numbers of devices differ from start to start, and from host to host of a shared disk. */
static uint64_t dev_of(const struct pod_records *records, int place, int fd, const struct statx *st)
{
    uint64_t dev = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
    struct statfs fs;
    uint64_t id = 0;

    if (place == POD_PLACE_CONTAINER) {
        uint64_t mount = pod_statx_mount(st);
        return dev == records->root_dev || (mount && mount == records->root_mount) ? 0 : dev;
    }
    if (place == POD_PLACE_BINDS) {
        _Static_assert(sizeof fs.f_fsid == sizeof id, "a file system's id has 64 bits");
        if (!fstatfs(fd, &fs))
            memcpy(&id, &fs.f_fsid, sizeof id);
        return id;
    }
    return dev == records->devs[place] ? 0 : dev;
}

int pod_records_look(const struct pod_records *records, int fd, struct pod_look *look)
{
    struct statx st;

    memset(&st, 0, sizeof st);
    /* The function is of glibc 2.28. */
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME | POD_STATX_MOUNT,
                &st))
        return -errno;
    memset(look, 0, sizeof *look);
    look->place = place_of(records, pod_statx_mount(&st));
    look->dev = dev_of(records, look->place, fd, &st);
    look->ino = st.stx_ino;
    if (st.stx_mask & STATX_BTIME)
        look->born = st.stx_btime.tv_sec * 1000000000ll + st.stx_btime.tv_nsec;
    look->mode = st.stx_mode;
    look->uid = st.stx_uid;
    look->gid = st.stx_gid;
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

static int read_attribute(int fd, struct pod_owned *owned)
{
    char path[32], text[64];

    snprintf(path, sizeof path, "self/fd/%d", fd);
    ssize_t got = getxattr(path, POD_OWNER_XATTR, text, sizeof text - 1);
    if (got <= 0)
        return 0;
    text[got] = '\0';
    if (pod_owner_parse(text, (size_t)got, owned))
        return 1;
    memset(owned, 0, sizeof *owned);
    return 0;
}

static int has_attributes(uint32_t mode)
{
    return S_ISREG(mode) || S_ISDIR(mode);
}

/* Whether what is recorded about it is believed: not on files of somebody else on the host, whose id is mapped to nothing. */
static int is_ours(const struct pod_records *records, const struct pod_look *look)
{
    return records->real ? look->uid != OVERFLOW_ID : !look->uid;
}

static void find_anything(struct pod_records *records, int fd, const struct pod_look *look,
                          struct pod_owned *owned)
{
    memset(owned, 0, sizeof *owned);
    if (is_ours(records, look)) {
        if (has_attributes(look->mode) && read_attribute(fd, owned))
            return;
        if (look->place != POD_PLACE_CONTAINER)
            read_on(records, look->place);
        if (find(records, &records->own, fingerprint(look), look->born, owned))
            return;
    }
    if (look->place == POD_PLACE_CONTAINER && !look->dev)
        (void)find(records, &records->layers, layer_fingerprint(look->ino), 0, owned);
}

static void find_record(struct pod_records *records, int fd, const struct pod_look *look,
                        struct pod_owned *owned)
{
    find_anything(records, fd, look, owned);
    if (records->real) {
        owned->uid = look->uid;
        owned->gid = look->gid;
    }
}

int pod_records_get(struct pod_records *records, int fd, struct pod_owned *owned)
{
    struct pod_look look;

    memset(owned, 0, sizeof *owned);
    if (pod_records_look(records, fd, &look))
        return 0;
    find_record(records, fd, &look, owned);
    return owned->uid != look.uid || owned->gid != look.gid || owned->device;
}

static int write_attribute(int fd, const struct pod_owned *owned)
{
    char path[32], text[64];
    int length = pod_owner_text(owned, text, sizeof text);

    snprintf(path, sizeof path, "self/fd/%d", fd);
    return setxattr(path, POD_OWNER_XATTR, text, (size_t)length, 0) ? -errno : 0;
}

/* What was copied up and can have no attribute (a link, a FIFO) shows its layer's inode now, and that of its copy once the
 * container is started anew: overlayfs had nowhere to note where it came from. So the copy gets the same record. The way to
 * it may have been changed meanwhile: it must be as old as what was opened. */
static int add_copy(struct pod_records *records, int fd, const struct pod_look *look,
                    const struct pod_owned *owned)
{
    char link[32], path[4096];
    struct pod_err ignored;
    struct pod_look copy;

    snprintf(link, sizeof link, "self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (look->place != POD_PLACE_CONTAINER || look->dev || records->upper < 0 || length < 2 ||
        length == (ssize_t)sizeof path - 1)
        return 0;
    path[length] = '\0';
    POD_AUTO_FD int found =
        pod_open_beneath(records->upper, path + 1, O_PATH | O_NOFOLLOW, 0, &ignored);
    if (found < 0 || pod_records_look(records, found, &copy) || copy.born != look->born ||
        copy.ino == look->ino)
        return 0;
    copy.place = POD_PLACE_CONTAINER;
    copy.dev = 0;
    return pod_records_add(records, &copy, owned);
}

int pod_records_set(struct pod_records *records, int fd, const struct pod_owned *owned)
{
    struct pod_owned now;
    struct pod_look look;
    int failed = pod_records_look(records, fd, &look);

    if (failed)
        return failed;
    find_record(records, fd, &look, &now);
    if (!memcmp(&now, owned, sizeof now))
        return 0;
    if (!is_ours(records, &look))
        return -EPERM;
    if (has_attributes(look.mode)) {
        failed = pod_page_mark(records->page, look.ino);
        if (!failed)
            failed = write_attribute(fd, owned);
        if (failed != -ENOTSUP && failed != -EPERM)
            return failed;
    }
    failed = pod_records_add(records, &look, owned);
    return failed ? failed : add_copy(records, fd, &look, owned);
}
