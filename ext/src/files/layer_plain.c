/* Of a container without overlay: its tree beside the image's. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../core/beneath.h"
#include "layer_parts.h"

#define XATTR_LIST 65536

struct missing {
    struct layer *layer;
    const char *above;
    size_t depth; /* of what is in it */
    int fd; /* the directory, as it is now */
};

static int on_lower(void *context, const struct pod_walk_entry *entry, struct pod_err *err)
{
    struct missing *missing = context;
    struct stat st;

    if (!fstatat(missing->fd, entry->name, &st, AT_SYMLINK_NOFOLLOW))
        return 0;
    return pod_layer_tell_gone(missing->layer, missing->above, entry->name, missing->depth, err);
}

int pod_layer_tell_missing(struct layer *layer, const char *above, size_t depth, int fd,
                           struct pod_err *err)
{
    struct missing missing = {layer, above, depth + 1, -1};
    const struct pod_walker walker = {on_lower, NULL, &missing};
    struct pod_err ignored;

    if (layer->flat < 0)
        return 0;
    POD_AUTO_FD int here = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    POD_AUTO_FD int before =
        pod_open_beneath(layer->flat, *above ? above : ".", O_RDONLY | O_DIRECTORY, 0, &ignored);
    missing.fd = here;
    return here < 0 || before < 0 ? 0 : pod_walk(before, &walker, err);
}

static void owner_before(const struct layer *layer, const char *path, const struct stat *st,
                         struct pod_owned *owned)
{
    struct pod_owner owner;

    *owned = (struct pod_owned){.uid = st->st_uid, .gid = st->st_gid};
    if (!layer->has_owners || !pod_owners_find(&layer->owners, path, &owner))
        return;
    if (owner.flags & POD_OWNER_IDS) {
        owned->uid = owner.uid;
        owned->gid = owner.gid;
    }
    if (owner.flags & POD_OWNER_DEVICE) {
        owned->device = owner.mode & S_IFMT;
        owned->major = owner.major;
        owned->minor = owner.minor;
    }
}

static int same_owner(struct layer *layer, const struct pod_walk_entry *entry,
                      const struct stat *before)
{
    struct pod_owned was, is = {.uid = entry->st.st_uid, .gid = entry->st.st_gid};

    owner_before(layer, entry->path, before, &was);
    if (layer->view.has_records) {
        struct pod_owned found;

        if (pod_records_get(&layer->view.records, entry->fd, &found) || !layer->view.mapped)
            is = found;
    }
    return was.uid == is.uid && was.gid == is.gid && was.device == is.device &&
           was.major == is.major && was.minor == is.minor;
}

/* Those of FD that mean something elsewhere, as a sum that does not care for their order. */
static uint64_t sum_of_xattrs(int fd)
{
    static char names[XATTR_LIST], value[XATTR_LIST];
    char self[32];
    uint64_t sum = 0;

    snprintf(self, sizeof self, "self/fd/%d", fd);
    ssize_t length = listxattr(self, names, sizeof names - 1);
    if (length <= 0)
        return 0;
    names[length] = '\0';
    for (const char *at = names; at < names + length; at += strlen(at) + 1) {
        ssize_t size = pod_pack_wants_xattr(at) ? getxattr(self, at, value, sizeof value) : -1;
        uint64_t hash = 14695981039346656037u;

        for (const char *c = at; size >= 0 && *c; c++)
            hash = (hash ^ (unsigned char)*c) * 1099511628211u;
        for (ssize_t i = 0; i < size; i++)
            hash = (hash ^ (unsigned char)value[i]) * 1099511628211u;
        sum += size < 0 ? 0 : hash;
    }
    return sum;
}

static int same_link(int fd, int before)
{
    char one[PATH_MAX], other[PATH_MAX];
    ssize_t length = readlinkat(fd, "", one, sizeof one);

    return length >= 0 && readlinkat(before, "", other, sizeof other) == length &&
           !memcmp(one, other, (size_t)length);
}

/* TIMES: whether those count. FD: what was there before. */
static int is_same(struct layer *layer, const struct pod_walk_entry *entry, int fd,
                   const struct stat *before, int times)
{
    const struct stat *now = &entry->st;

    if (now->st_mode != before->st_mode || now->st_rdev != before->st_rdev ||
        !same_owner(layer, entry, before))
        return 0;
    if (S_ISLNK(now->st_mode))
        return same_link(entry->fd, fd);
    if (times && (now->st_mtim.tv_sec != before->st_mtim.tv_sec ||
                  now->st_mtim.tv_nsec != before->st_mtim.tv_nsec))
        return 0;
    if (S_ISREG(now->st_mode) &&
        (now->st_size != before->st_size || now->st_nlink != before->st_nlink))
        return 0;
    return (!S_ISREG(now->st_mode) && !S_ISDIR(now->st_mode)) ||
           sum_of_xattrs(entry->fd) == sum_of_xattrs(fd);
}

static int on_plain_directory(struct layer *layer, const struct pod_walk_entry *entry, int fd,
                              const struct stat *before, struct pod_err *err)
{
    int leads = pod_layer_leads_to_mount(layer, entry->path);
    int was = before && S_ISDIR(before->st_mode);

    layer->pending[entry->depth] =
        before ? was && is_same(layer, entry, fd, before, !leads) : leads > 0;
    if (!layer->pending[entry->depth] && pod_layer_tell(layer, entry, err) < 0)
        return -1;
    return was && pod_layer_tell_missing(layer, entry->path, entry->depth, entry->fd, err) < 0 ? -1
                                                                                               : 1;
}

int pod_layer_on_plain(void *context, const struct pod_walk_entry *entry, struct pod_err *err)
{
    struct layer *layer = context;
    struct pod_err ignored;
    struct stat st;
    POD_AUTO_FD int fd = layer->flat < 0 ? -1
                                         : pod_open_beneath(layer->flat, entry->path,
                                                            O_PATH | O_NOFOLLOW, 0, &ignored);
    const struct stat *before = fd < 0 || fstat(fd, &st) < 0 ? NULL : &st;

    if (layer->pack->root_mount && pod_pack_mount(entry->fd) != layer->pack->root_mount)
        return 0;
    if (pod_layer_is_reserved(layer, entry) || pod_pack_is_our_list(layer->pack, entry))
        return 0;
    if (S_ISDIR(entry->st.st_mode))
        return on_plain_directory(layer, entry, fd, before, err);
    if (!before && S_ISREG(entry->st.st_mode) && !entry->st.st_size &&
        pod_layer_leads_to_mount(layer, entry->path) == 2)
        return 0;
    if (before && is_same(layer, entry, fd, before, 1))
        return 0;
    return pod_layer_tell(layer, entry, err);
}
