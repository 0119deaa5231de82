/* What a container's root file system has that its image has not, as a layer (image-spec layer.md): entries and whiteouts, in
 * the order of names, so that the same changes give the same bytes.
 *
 *   overlay       the upper folder is walked, nothing else. Each entry is taken as the container sees it, for what is recorded
 *                 of owners and devices is known by that; where ids are real only what may stand for a device is
 *   plain tree    the whole tree is walked beside the image's, flattened: what looks the same is the same
 *
 * A directory on the way to something is told of before it. What a start makes is not: mount points and the way to them,
 * unless something else in there is told of. Names that begin with ".wh." would be whiteouts: they are left out, and counted. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../core/beneath.h"
#include "../core/whiteout.h"
#include "layer_parts.h"

/* ---- mount points ----------------------------------------------------- */

int pod_layer_leads_to_mount(const struct layer *layer, const char *path)
{
    const char *target = pod_plan_str(layer->plan, POD_KEY_TARGETS);
    uint32_t count = pod_plan_strv_count(layer->plan, POD_KEY_TARGETS);
    size_t size = strlen(path);
    int found = 0;

    for (uint32_t i = 0; i < count; i++, target += strlen(target) + 1) {
        const char *below = target + strspn(target, "/");

        if (strncmp(below, path, size) != 0 || (below[size] && below[size] != '/'))
            continue;
        if (!below[size + strspn(below + size, "/")])
            return 2;
        found = 1;
    }
    return found;
}

/* ---- what was there before ----------------------------------------------------- */

enum look { MISSING, HIDDEN, FOUND };

/* PATH in one layer. HIDDEN: and not in those below it either. */
static enum look look_in(int lower, const char *path, struct stat *st)
{
    char prefix[PATH_MAX];
    struct pod_err ignored;
    enum look otherwise = MISSING;

    for (size_t end = 0; strlen(path) < sizeof prefix; end++) {
        end += strcspn(path + end, "/");
        memcpy(prefix, path, end);
        prefix[end] = '\0';
        POD_AUTO_FD int fd = pod_open_beneath(lower, prefix, O_PATH | O_NOFOLLOW, 0, &ignored);
        if (fd < 0 || fstat(fd, st) < 0)
            return otherwise;
        if (pod_is_whiteout_node(st))
            return HIDDEN;
        if (!path[end])
            return FOUND;
        if (!S_ISDIR(st->st_mode))
            return HIDDEN;
        POD_AUTO_FD int here = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (here >= 0 && pod_is_opaque(here))
            otherwise = HIDDEN;
    }
    return otherwise;
}

/* The tree that shows PATH; -1: none. */
static int lower_with(const struct layer *layer, const char *path, struct stat *st)
{
    for (uint32_t i = 0; i < layer->lower_count; i++) {
        enum look look = look_in(layer->lowers[i], path, st);

        if (look != MISSING)
            return look == FOUND ? layer->lowers[i] : -1;
    }
    return -1;
}

static int was_there(const struct layer *layer, const char *path, struct stat *st)
{
    return lower_with(layer, path, st) >= 0;
}

/* ---- telling ----------------------------------------------------- */

/* The file called PATH as it is to be told of; -1 where it cannot be opened. OWN: what the walk found, or -1. */
static int open_told(struct layer *layer, const char *path, int own, struct stat *st,
                     struct pod_err *err)
{
    int records = layer->view.has_records;
    int seen = layer->upper < 0 ||
               (records && (!layer->view.mapped || (S_ISREG(st->st_mode) && !st->st_size)));
    int fd = !seen && own >= 0 ? fcntl(own, F_DUPFD_CLOEXEC, 3)
                               : pod_open_beneath(seen ? layer->view.root : layer->upper, path,
                                                  O_PATH | O_NOFOLLOW, 0, err);

    if (fd < 0 && !seen && own >= 0)
        return pod_fail(err, POD_OPEN, path);
    if (fd >= 0 && (fstat(fd, st) < 0 || (layer->pack->root_mount && seen &&
                                          pod_pack_mount(fd) != layer->pack->root_mount))) {
        pod_cleanup_fd(&fd);
        return pod_fail_errno(err, POD_STAT, ENOENT, path);
    }
    return fd;
}

/* Whoever is at work in there took it away, or put something else on the way to it. */
static int is_gone(const struct pod_err *err)
{
    return err->errnum == ENOENT || err->errnum == ENOTDIR || err->errnum == ELOOP ||
           err->errnum == EXDEV || err->errnum == ESTALE;
}

static int tell_one(struct layer *layer, const char *path, int own, const struct stat *found,
                    struct pod_err *err)
{
    struct stat st = *found;
    POD_AUTO_FD int fd = open_told(layer, path, own, &st, err);

    if (fd < 0)
        return is_gone(err) ? 0 : -1;
    return pod_pack_path(layer->pack, path, err) < 0 ||
                   pod_pack_entry(layer->pack, fd, &st, err) < 0
               ? -1
               : 0;
}

/* The directories that lead to PATH, which are DEPTH - 1, where they are not told of yet. */
static int tell_way(struct layer *layer, const char *path, size_t depth, struct pod_err *err)
{
    static const struct stat directory = {.st_mode = S_IFDIR};
    const char *slash = path;

    for (size_t level = 1; level < depth && (slash = strchr(slash, '/')); level++, slash++) {
        POD_AUTO_FREE char *above =
            layer->pending[level] ? strndup(path, (size_t)(slash - path)) : NULL;

        if (layer->pending[level] && !above)
            return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
        if (above && tell_one(layer, above, -1, &directory, err) < 0)
            return -1;
        layer->pending[level] = 0;
    }
    return 0;
}

int pod_layer_tell(struct layer *layer, const struct pod_walk_entry *entry, struct pod_err *err)
{
    return tell_way(layer, entry->path, entry->depth, err) < 0 ||
                   tell_one(layer, entry->path, entry->fd, &entry->st, err) < 0
               ? -1
               : 0;
}

/* An empty file in the directory ABOVE ("" is the top), that says: NAME is gone. */
static int put_whiteout(struct layer *layer, const char *above, const char *name,
                        struct pod_err *err)
{
    struct pod_tar_entry entry = {.type = POD_TAR_FILE, .link = "", .mode = 0600};
    POD_AUTO_FREE char *path =
        malloc(strlen(above) + strlen(name) + 2 + POD_WHITEOUT_PREFIX_LENGTH);

    if (!path)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    strcpy(path, above);
    strcat(path, *above ? "/" POD_WHITEOUT_PREFIX : POD_WHITEOUT_PREFIX);
    strcat(path, name);
    entry.path = path;
    layer->pack->result->entries++;
    return pod_tar_out_entry(&layer->pack->out, &entry, err);
}

int pod_layer_tell_gone(struct layer *layer, const char *above, const char *name, size_t depth,
                        struct pod_err *err)
{
    POD_AUTO_FREE char *path = malloc(strlen(above) + strlen(name) + 2);

    if (!path)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    strcpy(path, above);
    strcat(path, *above ? "/" : "");
    strcat(path, name);
    return tell_way(layer, path, depth, err) < 0 || put_whiteout(layer, above, name, err) < 0 ? -1
                                                                                              : 0;
}

static int tell_gone(struct layer *layer, const struct pod_walk_entry *entry, struct pod_err *err)
{
    size_t length = strlen(entry->path) - strlen(entry->name);
    POD_AUTO_FREE char *above = strndup(entry->path, length ? length - 1 : 0);

    if (!above)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    return pod_layer_tell_gone(layer, above, entry->name, entry->depth, err);
}

int pod_layer_is_reserved(struct layer *layer, const struct pod_walk_entry *entry)
{
    if (!pod_is_whiteout_name(entry->name))
        return 0;
    pod_job_omit(layer->pack->result, &layer->pack->result->reserved, entry->path);
    return 1;
}

/* ---- overlay ----------------------------------------------------- */

/* Bytes of the owner's attribute; 0: there is none. */
static size_t read_owner(int fd, char *text, size_t size)
{
    char self[32];

    snprintf(self, sizeof self, "self/fd/%d", fd);
    ssize_t got = getxattr(self, POD_OWNER_XATTR, text, size);
    return got < 0 ? 0 : (size_t)got;
}

/* Whether the directory FD has the owner's attribute, or none, as PATH has it in the tree LOWER. */
static int has_same_owner(int fd, int lower, const char *path)
{
    char now[64], before[64];
    struct pod_err ignored;
    size_t length = read_owner(fd, now, sizeof now);
    POD_AUTO_FD int was = pod_open_beneath(lower, path, O_PATH | O_NOFOLLOW, 0, &ignored);

    return was >= 0 && read_owner(was, before, sizeof before) == length &&
           !memcmp(now, before, length);
}

/* A directory that leads to a mount point, as the image has it but for its times, or that a start has made. */
static int is_a_starts(struct layer *layer, const struct pod_walk_entry *entry)
{
    struct stat st;
    int lower;

    if (!pod_layer_leads_to_mount(layer, entry->path))
        return 0;
    lower = lower_with(layer, entry->path, &st);
    if (lower < 0)
        return 1;
    return st.st_mode == entry->st.st_mode && st.st_uid == entry->st.st_uid &&
           st.st_gid == entry->st.st_gid && has_same_owner(entry->fd, lower, entry->path);
}

static int is_opaque(const struct pod_walk_entry *entry)
{
    POD_AUTO_FD int fd = openat(entry->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && pod_is_opaque(fd);
}

static int on_upper(void *context, const struct pod_walk_entry *entry, struct pod_err *err)
{
    struct layer *layer = context;
    struct stat st;

    if (pod_is_whiteout_node(&entry->st))
        return tell_gone(layer, entry, err);
    if (pod_layer_is_reserved(layer, entry) || pod_pack_is_our_list(layer->pack, entry))
        return 0;
    if (!S_ISDIR(entry->st.st_mode)) {
        int made = S_ISREG(entry->st.st_mode) && !entry->st.st_size &&
                   pod_layer_leads_to_mount(layer, entry->path) == 2 &&
                   !was_there(layer, entry->path, &st);
        return made ? 0 : pod_layer_tell(layer, entry, err);
    }
    int opaque = is_opaque(entry);
    layer->pending[entry->depth] = !opaque && is_a_starts(layer, entry);
    if (layer->pending[entry->depth])
        return 1;
    if (pod_layer_tell(layer, entry, err) < 0)
        return -1;
    return opaque && put_whiteout(layer, entry->path,
                                  &POD_WHITEOUT_OPAQUE[POD_WHITEOUT_PREFIX_LENGTH], err) < 0
               ? -1
               : 1;
}

/* The top itself, only where it is not as it was: an entry for it would have every layer set it again. */
static int tell_top(struct layer *layer, struct pod_err *err)
{
    struct pod_owned owned = {0};
    struct stat now, before = {.st_mode = S_IFDIR | 0755};

    if (fstat(layer->view.root, &now) < 0)
        return pod_fail(err, POD_STAT, "/");
    if (layer->lower_count && fstat(layer->lowers[0], &before) < 0)
        return pod_fail(err, POD_STAT, "/");
    if (layer->flat >= 0 && fstat(layer->flat, &before) < 0)
        return pod_fail(err, POD_STAT, "/");
    if (layer->view.has_records && !layer->view.mapped)
        pod_records_get(&layer->view.records, layer->view.root, &owned);
    if (now.st_mode == before.st_mode && now.st_uid == before.st_uid &&
        now.st_gid == before.st_gid && !owned.uid && !owned.gid)
        return 0;
    return pod_pack_path(layer->pack, ".", err) < 0 ||
                   pod_pack_entry(layer->pack, layer->view.root, &now, err) < 0
               ? -1
               : 0;
}

/* ---- the job ----------------------------------------------------- */

/* Where the host's paths are still there. */
static int open_trees(struct layer *layer, struct pod_err *err)
{
    const char *upper = pod_plan_str(layer->plan, POD_KEY_UPPER);
    const char *flat = pod_plan_str(layer->plan, POD_KEY_FLAT);
    const char *lower = pod_plan_str(layer->plan, POD_KEY_LOWERS);
    char path[PATH_MAX];

    if (upper && (layer->upper = open(upper, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        return pod_fail(err, POD_OPEN, upper);
    layer->lower_count = upper ? pod_plan_strv_count(layer->plan, POD_KEY_LOWERS) : 0;
    layer->lowers = calloc(layer->lower_count + 1, sizeof *layer->lowers);
    if (!layer->lowers)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    for (uint32_t i = 0; i < layer->lower_count; i++, lower += strlen(lower) + 1)
        if ((layer->lowers[i] = open(lower, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
            return pod_fail(err, POD_OPEN, lower);
    if (!flat || upper)
        return 0;
    snprintf(path, sizeof path, "%s/diff", flat);
    layer->flat = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (layer->flat < 0)
        return pod_fail(err, POD_OPEN, path);
    snprintf(path, sizeof path, "%s/owners", flat);
    POD_AUTO_FD int owners = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (owners < 0)
        return 0;
    layer->has_owners = 1;
    return pod_owners_map(owners, &layer->owners, err);
}

static int write_layer(struct layer *layer, struct pod_err *err)
{
    const struct pod_walker walker = {layer->upper < 0 ? pod_layer_on_plain : on_upper, NULL,
                                      layer};

    if (layer->view.whole)
        layer->pack->root_mount = pod_pack_mount(layer->view.root);
    if (tell_top(layer, err) < 0)
        return -1;
    if (layer->upper < 0 && pod_layer_tell_missing(layer, "", 0, layer->view.root, err) < 0)
        return -1;
    return pod_walk(layer->upper < 0 ? layer->view.root : layer->upper, &walker, err) < 0 ||
                   pod_tar_out_finish(&layer->pack->out, err) < 0
               ? -1
               : 0;
}

int pod_job_layer(const struct pod_job *job, struct pod_job_result *result, struct pod_err *err)
{
    POD_AUTO_FREE struct layer *layer = calloc(1, sizeof *layer);
    POD_AUTO_FREE struct pod_pack *pack = calloc(1, sizeof *pack);

    if (!layer || !pack)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    layer->plan = job->plan;
    layer->pack = pack;
    layer->upper = layer->flat = -1;
    if (open_trees(layer, err) < 0 ||
        pod_view_open(job->plan, POD_VIEW_BARE, &layer->view, err) < 0)
        return -1;
    pack->job = job;
    pack->view = &layer->view;
    pack->result = result;
    pack->out.fd = job->stream;
    pack->latest = pod_plan_u64(job->plan, POD_KEY_LATEST);
    int failed = write_layer(layer, err);
    result->bytes = pack->out.bytes;
    pod_pack_free(pack);
    return failed;
}
