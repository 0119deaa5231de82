/* The image's owners, by the inodes of its layers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "err.h"
#include "layers.h"

#define SPECIALS_MAX 4096
#define WALK_LEVELS 64
#define WALK_ENTRIES 1000000
#define MARKED_ENTRIES 2000

/* ---- one record ----------------------------------------------------- */

int pod_layer_has_owner(const struct pod_owner *owner)
{
    return (owner->flags & (POD_OWNER_IDS | POD_OWNER_DEVICE)) != 0;
}

struct pod_owned pod_layer_owned(const struct pod_owner *owner)
{
    struct pod_owned owned = {.uid = owner->uid, .gid = owner->gid};

    if (owner->flags & POD_OWNER_DEVICE) {
        owned.device = owner->mode & S_IFMT;
        owned.major = owner->major;
        owned.minor = owner->minor;
    }
    return owned;
}

int pod_layer_map(const char *diff, struct pod_owners *owners)
{
    char path[4200];
    struct pod_err ignored;
    size_t length = strlen(diff);

    if (length < 5 || length > 4096 || strcmp(diff + length - 5, "/diff"))
        return -1;
    snprintf(path, sizeof path, "%.*s/owners", (int)length - 5, diff);
    POD_AUTO_FD int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    return file < 0 || pod_owners_map(file, owners, &ignored) ? -1 : 0;
}

/* ---- layers ----------------------------------------------------- */

static int is_special(uint32_t mode)
{
    return S_ISLNK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode);
}

static uint64_t mix_text(uint64_t hash, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = pod_table_mix(hash, (unsigned char)text[i]);
    return hash;
}

/* What copying up and renaming keep of NAME in DIRFD; 0: it is nothing special. */
static uint64_t looks_of(int dirfd, const char *name)
{
    char target[PATH_MAX];
    struct stat st;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) || !is_special(st.st_mode))
        return 0;
    uint64_t looks = pod_table_mix(st.st_mode & S_IFMT, (uint64_t)st.st_mtim.tv_sec);
    looks = pod_table_mix(looks, (uint64_t)st.st_mtim.tv_nsec);
    ssize_t length = S_ISLNK(st.st_mode) ? readlinkat(dirfd, name, target, sizeof target) : 0;
    looks = mix_text(looks, target, length > 0 ? (size_t)length : 0);
    return looks ? looks : 1;
}

static void add_special(struct pod_records *records, int tree, const struct pod_owner *owner)
{
    uint64_t looks = looks_of(tree, owner->path);
    uint32_t count = records->special_count;

    if (!looks || count == SPECIALS_MAX)
        return;
    if (!(count & (count - 1)) || !count) {
        size_t room = count ? 2 * (size_t)count : 1;
        struct pod_special *bigger = realloc(records->specials, room * sizeof *bigger);
        if (!bigger)
            return;
        records->specials = bigger;
    }
    records->specials[records->special_count++] = (struct pod_special){
        looks, mix_text(0, owner->path, owner->path_length), owner->uid, owner->gid};
}

static void read_layer(struct pod_records *records, const char *diff)
{
    struct pod_owners owners;
    POD_AUTO_FD int tree = open(diff, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (tree < 0 || pod_layer_map(diff, &owners))
        return;
    for (size_t i = 0; i < owners.count; i++) {
        struct pod_owner owner;
        struct stat st;
        pod_owners_at(&owners, i, &owner);
        /* The way there goes through no link: the extraction made these paths. */
        if (!pod_layer_has_owner(&owner) ||
            fstatat(tree, owner.path_length ? owner.path : ".", &st, AT_SYMLINK_NOFOLLOW))
            continue;
        struct pod_owned owned = pod_layer_owned(&owner);
        if (pod_records_add_layer(records, st.st_ino, &owned))
            break;
        if (is_special(st.st_mode))
            add_special(records, tree, &owner);
    }
    pod_owners_unmap(&owners);
}

void pod_layers_begin(struct pod_records *records, const struct pod_plan *plan)
{
    const char *diff = pod_plan_str(plan, POD_KEY_LOWERS);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_LOWERS);

    for (uint32_t i = 0; i < count; i++, diff += strlen(diff) + 1)
        read_layer(records, diff);
}

/* ---- copied up in an earlier run ---------------------------------------------- */

/* VISIT is told of every entry in DIRFD with mix_text of the way there. LEFT: of so many; MISSED: there were more, or a
 * folder that nobody looked into. */
struct walk {
    struct pod_records *records;
    void (*visit)(struct pod_records *records, int dirfd, const struct dirent *entry,
                  uint64_t path);
    int left, missed;
};

/* PATH: mix_text of the way there, with its slash. */
static void walk_below(struct walk *walk, int parent, const char *name, uint64_t path, int level)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (!dir) {
        pod_cleanup_fd(&fd);
        walk->missed = 1;
        return;
    }
    while ((entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (walk->left-- <= 0) {
            walk->missed = 1;
            break;
        }
        uint64_t here = mix_text(path, entry->d_name, strlen(entry->d_name));
        walk->visit(walk->records, fd, entry, here);
        if (entry->d_type == DT_DIR && level < WALK_LEVELS)
            walk_below(walk, fd, entry->d_name, mix_text(here, "/", 1), level + 1);
        else if (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)
            walk->missed = 1;
    }
    closedir(dir);
}

/* The owner of the layer's file that looks like this and had this PATH, or of all that look like it; 0 where there is none,
 * or several with different owners. */
static int find_special(const struct pod_records *records, uint64_t looks, uint64_t path,
                        struct pod_owned *owned)
{
    int found = 0, differ = 0;

    for (uint32_t i = 0; i < records->special_count; i++) {
        const struct pod_special *one = &records->specials[i];
        if (one->looks != looks)
            continue;
        differ |= found && (one->uid != owned->uid || one->gid != owned->gid);
        *owned = (struct pod_owned){.uid = one->uid, .gid = one->gid};
        found = 1;
        if (one->path == path)
            return 1;
    }
    return found && !differ;
}

static void adopt_entry(struct pod_records *records, int dirfd, const struct dirent *entry,
                        uint64_t path)
{
    const char *name = entry->d_name;
    struct pod_owned owned;
    struct pod_look look;

    if (entry->d_type == DT_DIR || entry->d_type == DT_REG)
        return;
    uint64_t looks = looks_of(dirfd, name);
    if (!looks || !find_special(records, looks, path, &owned))
        return;
    POD_AUTO_FD int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || pod_records_look(records, fd, &look))
        return;
    look.place = POD_PLACE_CONTAINER; /* as overlayfs will show it */
    look.dev = 0;
    if (!pod_records_known(records, &look))
        (void)pod_records_add(records, &look, &owned);
}

/* Tells programs of ENTRY in DIRFD where it has the owner's attribute. */
static void mark_entry(struct pod_records *records, int dirfd, const struct dirent *entry,
                       uint64_t path)
{
    char self[32];
    struct stat st;

    (void)path;
    if (entry->d_type != DT_DIR && entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN)
        return;
    POD_AUTO_FD int fd = openat(dirfd, entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    snprintf(self, sizeof self, "self/fd/%d", fd);
    if (fd >= 0 && getxattr(self, POD_OWNER_XATTR, NULL, 0) > 0 && !fstat(fd, &st))
        (void)pod_page_mark(records->page, st.st_ino);
}

/* An earlier run, which had no emulator, may have copied up what has an attribute of its layer's. */
static void mark_copies(struct pod_records *records)
{
    struct walk walk = {.records = records, .visit = mark_entry, .left = MARKED_ENTRIES};

    walk_below(&walk, records->upper, ".", 0, 0);
    if (walk.missed)
        records->fresh = 0;
}

void pod_layers_adopt(struct pod_records *records)
{
    struct walk walk = {.records = records, .visit = adopt_entry, .left = WALK_ENTRIES};

    if (records->fresh && records->page && records->upper >= 0)
        mark_copies(records);
    if (records->special_count && records->upper >= 0)
        walk_below(&walk, records->upper, ".", 0, 0);
    free(records->specials);
    records->specials = NULL;
    records->special_count = 0;
}
