#include "pick.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../core/beneath.h"

#define PENDING_MAX ((size_t)3 * POD_PICK_DEPTH_MAX)

/* A folder that comes along only where something in it does. */
struct pending {
    char *path;
    size_t depth;
    int fd;
    struct stat st;
};

struct picking {
    struct pod_pick pick;
    struct pod_pack *pack;
    struct pod_job_result *result;
    const char *base; /* what one file is called, or "" */
    int root;
    char root_path[PATH_MAX];
    size_t root_length;
    struct pod_pick_item *item;
    char place[PATH_MAX]; /* where the item at hand is, below the root */
    size_t place_depth;
    char *full; /* an entry's path below the root */
    size_t full_room;
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    struct pod_sha256 sha;
};

/* ---- entries ----------------------------------------------------- */

static int emit(struct picking *picking, int fd, const struct stat *st, const char *path,
                const char *hashed, struct pod_err *err)
{
    picking->pack->hashed = hashed;
    return pod_pack_path(picking->pack, path, err) < 0 ||
                   pod_pack_entry(picking->pack, fd, st, err) < 0
               ? -1
               : 0;
}

static void forget_pending(struct picking *picking, size_t depth)
{
    while (picking->pending_count && picking->pending[picking->pending_count - 1].depth >= depth) {
        struct pending *last = &picking->pending[--picking->pending_count];

        free(last->path);
        close(last->fd);
    }
}

static int emit_pending(struct picking *picking, struct pod_err *err)
{
    int failed = 0;

    for (size_t i = 0; i < picking->pending_count && !failed; i++) {
        const struct pending *one = &picking->pending[i];

        failed = emit(picking, one->fd, &one->st, one->path, one->path, err) < 0;
    }
    forget_pending(picking, 0);
    return failed ? -1 : 0;
}

static int add_pending(struct picking *picking, const struct pod_walk_entry *entry,
                       struct pod_err *err)
{
    struct pending *one = &picking->pending[picking->pending_count];

    if (picking->pending_count == PENDING_MAX)
        return pod_fail_errno(err, POD_LIMIT, ENAMETOOLONG, entry->path);
    one->depth = entry->depth;
    one->st = entry->st;
    one->path = strdup(entry->path);
    one->fd = fcntl(entry->fd, F_DUPFD_CLOEXEC, 3);
    if (one->path && one->fd >= 0) {
        picking->pending_count++;
        return 0;
    }
    free(one->path);
    if (one->fd >= 0)
        close(one->fd);
    return pod_fail(err, POD_OPEN, entry->path);
}

static int set_full(struct picking *picking, const char *below, struct pod_err *err)
{
    size_t length = strlen(picking->place), more = strlen(below), wanted = length + more + 2;

    if (wanted > picking->full_room) {
        char *moved = realloc(picking->full, 2 * wanted);

        if (!moved)
            return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
        picking->full = moved;
        picking->full_room = 2 * wanted;
    }
    memcpy(picking->full, picking->place, length);
    if (length && more)
        picking->full[length++] = '/';
    memcpy(picking->full + length, below, more + 1);
    return 0;
}

/* Ours, which the image does not have. */
static int is_our_list(const struct picking *picking, const struct pod_walk_entry *entry)
{
    struct pod_walk_entry seen = *entry;

    seen.path = picking->full;
    return pod_pack_is_our_list(picking->pack, &seen);
}

static int on_entry(void *context, const struct pod_walk_entry *entry, struct pod_err *err)
{
    struct picking *picking = context;
    struct pod_pick *pick = &picking->pick;
    struct pod_matcher *wanted = &picking->item->wanted;
    int ignored, excluded, included = 1;

    forget_pending(picking, entry->depth);
    if (set_full(picking, entry->path, err) < 0 ||
        pod_matcher_at(&pick->ignored, picking->full, picking->place_depth + entry->depth, &ignored,
                       err) < 0 ||
        pod_matcher_at(&pick->excluded, entry->path, entry->depth, &excluded, err) < 0 ||
        (picking->item->parents &&
         pod_matcher_at(wanted, entry->path, entry->depth, &included, err) < 0))
        return -1;
    if (included && !excluded && !ignored) {
        if (is_our_list(picking, entry))
            return 0;
        return emit_pending(picking, err) < 0 ||
                       emit(picking, entry->fd, &entry->st, entry->path, entry->path, err) < 0
                   ? -1
                   : S_ISDIR(entry->st.st_mode);
    }
    if (!S_ISDIR(entry->st.st_mode) ||
        (ignored && !pod_matcher_may_hold(&pick->ignored, picking->full)) ||
        (excluded && !pod_matcher_may_hold(&pick->excluded, entry->path)) ||
        (!included && !pod_matcher_may_hold(wanted, entry->path)))
        return 0;
    return add_pending(picking, entry, err) < 0 ? -1 : 1;
}

/* ---- sources ----------------------------------------------------- */

/* picking->place: where FD is, below the root. */
static int set_place(struct picking *picking, int fd, struct pod_err *err)
{
    char path[PATH_MAX];
    size_t root = picking->root_length;

    if (pod_job_path_of(fd, path, sizeof path) < 0)
        return pod_fail(err, POD_RESOLVE, picking->item->path);
    if (strncmp(path, picking->root_path, root) != 0 || (path[root] && path[root] != '/'))
        return pod_fail_errno(err, POD_RESOLVE, EXDEV, picking->item->path);
    strcpy(picking->place, path[root] ? path + root + 1 : "");
    return 0;
}

/* Whether picking->place is ignored, by itself or with a folder above it; entries below it can be asked for then. */
static int is_ignored(struct picking *picking, int *ignored, struct pod_err *err)
{
    char path[PATH_MAX];

    picking->place_depth = 0;
    *ignored = 0;
    for (size_t at = 0; picking->place[at]; at++) {
        char next = picking->place[at + 1];

        path[at] = picking->place[at];
        path[at + 1] = '\0';
        if (next && next != '/')
            continue;
        if (pod_matcher_at(&picking->pick.ignored, path, ++picking->place_depth, ignored, err) < 0)
            return -1;
    }
    return 0;
}

static int missing(const struct picking *picking, struct pod_err *err)
{
    const struct pod_pick_item *item = picking->item;
    const struct pod_match_pattern *pattern = item->wanted.patterns;
    char path[PATH_MAX];

    if (item->parts || (item->parents && pattern->form != POD_MATCH_EXACT))
        return 0; /* a wildcard that nothing fits takes nothing */
    if (!item->parents)
        return pod_fail_errno(err, POD_RESOLVE, ENOENT, item->path);
    snprintf(path, sizeof path, "%s%s%.*s", item->path, item->path[0] ? "/" : "",
             (int)pattern->text_length, pattern->text);
    return pod_fail_errno(err, POD_RESOLVE, ENOENT, path);
}

static int take_folder(struct picking *picking, int fd, int ignored, struct pod_err *err)
{
    const struct pod_walker walker = {on_entry, NULL, picking};
    uint64_t before = picking->result->entries;
    int failed;

    if (ignored && !pod_matcher_may_hold(&picking->pick.ignored, picking->place))
        return missing(picking, err);
    if (picking->pick.flags & POD_PICK_DIGEST)
        pod_sha256_add(&picking->sha, "folder", 7);
    failed = pod_walk(fd, &walker, err);
    forget_pending(picking, 0);
    if (!failed && picking->result->entries == before && (ignored || picking->item->parents))
        failed = missing(picking, err);
    return failed;
}

static int take_file(struct picking *picking, int fd, const struct stat *st, const char *name,
                     int ignored, struct pod_err *err)
{
    int excluded;

    if (ignored || picking->item->parents)
        return missing(picking, err);
    if (pod_matcher_at(&picking->pick.excluded, name, 1, &excluded, err) < 0)
        return -1;
    picking->result->items += !excluded;
    if (excluded || picking->pick.flags & POD_PICK_LOOK)
        return 0;
    if (picking->pick.flags & POD_PICK_DIGEST)
        pod_sha256_add(&picking->sha, "file", 5);
    return emit(picking, fd, st, picking->base[0] ? picking->base : name, name, err);
}

/* FD, which was called NAME. */
static int take(struct picking *picking, int fd, const char *name, struct pod_err *err)
{
    struct stat st;
    int ignored;

    if (fstat(fd, &st) < 0)
        return pod_fail(err, POD_STAT, name);
    if (set_place(picking, fd, err) < 0 || is_ignored(picking, &ignored, err) < 0)
        return -1;
    /* What has several names is told by each source for itself: another one may replace what it would lead to. */
    pod_links_free(&picking->pack->links);
    picking->result->mode = st.st_mode;
    if (!S_ISDIR(st.st_mode))
        return take_file(picking, fd, &st, name, ignored, err);
    picking->result->items++;
    picking->result->folders++;
    return picking->pick.flags & POD_PICK_LOOK ? 0 : take_folder(picking, fd, ignored, err);
}

static int on_name(void *context, const struct pod_walk_entry *entry, struct pod_err *err)
{
    struct picking *picking = context;
    const struct pod_pick_item *item = picking->item;
    char name[NAME_MAX + 1];

    if (!pod_match_name(&item->names[entry->depth - 1], picking->pick.ignored.active, entry->name,
                        strlen(entry->name)))
        return 0;
    if (entry->depth < item->parts)
        return S_ISDIR(entry->st.st_mode);
    strncpy(name, entry->name, sizeof name - 1);
    name[sizeof name - 1] = '\0';
    if (!S_ISLNK(entry->st.st_mode))
        return take(picking, entry->fd, name, err);
    if (set_place(picking, entry->fd, err) < 0)
        return -1;
    POD_AUTO_FD int fd = pod_open_in_root(picking->root, picking->place, O_PATH, 0, err);
    return fd < 0 ? -1 : take(picking, fd, name, err);
}

static int take_item(struct picking *picking, struct pod_err *err)
{
    const struct pod_walker walker = {on_name, NULL, picking};
    const char *path = picking->item->path, *slash = strrchr(path, '/');
    POD_AUTO_FD int fd = pod_open_in_root(picking->root, path[0] ? path : ".", O_PATH, 0, err);
    struct stat st;

    if (!picking->item->parts)
        return fd < 0 ? -1 : take(picking, fd, slash ? slash + 1 : path, err);
    if (fd < 0)
        return err->errnum == ENOENT || err->errnum == ENOTDIR ? 0 : -1;
    return fstat(fd, &st) || !S_ISDIR(st.st_mode) ? 0 : pod_walk(fd, &walker, err);
}

/* ---- all ----------------------------------------------------- */

static int take_all(struct picking *picking, struct pod_err *err)
{
    if (pod_job_path_of(picking->root, picking->root_path, sizeof picking->root_path) < 0)
        return pod_fail(err, POD_RESOLVE, ".");
    picking->root_length = strlen(picking->root_path);
    if (picking->root_length == 1)
        picking->root_length = 0; /* "/" */
    for (uint32_t i = 0; i < picking->pick.item_count; i++) {
        picking->item = &picking->pick.items[i];
        if (take_item(picking, err) < 0)
            return -1;
    }
    return picking->pack->job->stream < 0 ? 0 : pod_tar_out_finish(&picking->pack->out, err);
}

int pod_job_pick(const struct pod_job *job, struct pod_view *view, struct pod_job_result *result,
                 struct pod_err *err)
{
    POD_AUTO_FREE struct pod_pack *pack = calloc(1, sizeof *pack);
    POD_AUTO_FREE struct picking *picking = calloc(1, sizeof *picking);
    struct pod_job here = *job;
    int failed;

    if (!pack || !picking)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    picking->base = job->base;
    here.base = "";
    pack->job = &here;
    pack->view = view;
    pack->result = picking->result = result;
    pack->out.fd = job->stream;
    picking->pack = pack;
    picking->root = view ? view->root : job->dirfd;
    failed = pod_pick_read(job->request, job->request_size, &picking->pick, err) < 0;
    pack->pick = &picking->pick;
    if (picking->pick.flags & POD_PICK_DIGEST) {
        pod_sha256_begin(&picking->sha);
        pack->sha = &picking->sha;
    }
    failed = failed || take_all(picking, err) < 0;
    if (pack->sha)
        pod_sha256_end(pack->sha, result->digest);
    result->bytes = pack->out.bytes;
    forget_pending(picking, 0);
    free(picking->full);
    pod_pack_free(pack);
    pod_pick_free(&picking->pick);
    return failed ? -1 : 0;
}
