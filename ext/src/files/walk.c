#include "walk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../core/dents.h"
#include "links.h"

#define DENTS_SIZE 32768
#define OPEN_MAX_LEVELS 24

struct level {
    int fd; /* O_RDONLY, or -1 while closed */
    int unsorted;
    int64_t resume; /* unsorted: behind the entry at hand */
    size_t names; /* of `text` that is other levels' */
    size_t next, end; /* of `index` */
    size_t path_length;
    struct stat st;
};

struct walk {
    const struct pod_walker *walker;
    struct level *levels;
    size_t depth, room;
    char *text; /* names of all levels, each with its NUL */
    size_t used, text_room;
    uint32_t *index; /* of each level's names, sorted */
    size_t count, index_room;
    char *path;
    size_t path_room;
    _Alignas(struct pod_dent) char dents[DENTS_SIZE];
};

static struct level *top(struct walk *walk)
{
    return &walk->levels[walk->depth - 1];
}

static int grow(void **list, size_t wanted, size_t *room, size_t size, struct pod_err *err)
{
    size_t bigger = *room ? *room : 64;
    void *moved;

    if (wanted <= *room)
        return 0;
    while (bigger < wanted)
        bigger *= 2;
    moved = realloc(*list, bigger * size);
    if (!moved)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    *list = moved;
    *room = bigger;
    return 0;
}

static int is_dots(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static int by_name(const void *one, const void *other, void *context)
{
    const struct walk *walk = context;
    return strcmp(walk->text + *(const uint32_t *)one, walk->text + *(const uint32_t *)other);
}

/* 1: they do not fit. */
static int read_names(struct walk *walk, struct level *level, struct pod_err *err)
{
    for (;;) {
        long length = syscall(SYS_getdents64, level->fd, walk->dents, DENTS_SIZE);

        if (length <= 0)
            return length < 0 && errno != ENOENT ? pod_fail(err, POD_READ, walk->path) : 0;
        for (long at = 0; at < length;) {
            const struct pod_dent *dent = (const struct pod_dent *)(const void *)(walk->dents + at);
            size_t size = strlen(dent->name) + 1;

            at += dent->reclen;
            if (is_dots(dent->name))
                continue;
            if (walk->used + size > POD_WALK_NAMES_MAX)
                return 1;
            if (grow((void **)&walk->text, walk->used + size, &walk->text_room, 1, err) < 0 ||
                grow((void **)&walk->index, walk->count + 1, &walk->index_room, sizeof *walk->index,
                     err) < 0)
                return -1;
            memcpy(walk->text + walk->used, dent->name, size);
            walk->index[walk->count++] = (uint32_t)walk->used;
            walk->used += size;
        }
    }
}

/* FD is taken over in any case. */
static int add_level(struct walk *walk, int fd, size_t path_length, struct pod_err *err)
{
    struct level level = {.fd = fd, .names = walk->used, .next = walk->count};
    int unsorted;

    level.path_length = path_length;
    if (walk->depth == POD_WALK_DEPTH_MAX || fstat(fd, &level.st) < 0 ||
        grow((void **)&walk->levels, walk->depth + 1, &walk->room, sizeof level, err) < 0) {
        close(fd);
        return walk->depth == POD_WALK_DEPTH_MAX
                   ? pod_fail_errno(err, POD_LIMIT, ENAMETOOLONG, walk->path)
                   : pod_fail(err, POD_STAT, walk->path);
    }
    unsorted = read_names(walk, &level, err);
    level.unsorted = unsorted > 0;
    if (unsorted > 0) {
        walk->used = level.names;
        walk->count = level.next;
    }
    level.end = walk->count;
    if (walk->depth >= OPEN_MAX_LEVELS)
        pod_cleanup_fd(&walk->levels[walk->depth - OPEN_MAX_LEVELS].fd);
    if (walk->depth >= OPEN_MAX_LEVELS)
        walk->levels[walk->depth - OPEN_MAX_LEVELS].fd = -1;
    walk->levels[walk->depth++] = level;
    if (unsorted < 0)
        return -1;
    if (level.end - level.next > 1)
        qsort_r(walk->index + level.next, level.end - level.next, sizeof *walk->index, by_name,
                walk);
    return 0;
}

static int leave(struct walk *walk, struct pod_err *err)
{
    struct level *level = top(walk);
    struct level *above = walk->depth > 1 ? level - 1 : NULL;

    if (above && above->fd < 0) {
        struct stat st;

        above->fd = openat(level->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (above->fd < 0 || fstat(above->fd, &st) < 0)
            return pod_fail(err, POD_OPEN, walk->path);
        if (st.st_ino != above->st.st_ino || st.st_dev != above->st.st_dev)
            return pod_fail_errno(err, POD_READ, ESTALE, walk->path);
    }
    walk->used = level->names;
    walk->count = above ? above->end : 0;
    pod_cleanup_fd(&level->fd);
    walk->depth--;
    if (walk->depth)
        walk->path[top(walk)->path_length] = '\0';
    return walk->depth && walk->walker->left ? walk->walker->left(walk->walker->context, err) : 0;
}

/* The entry NAME of the directory at hand: 1 where a directory was gone into. */
static int visit(struct walk *walk, const char *name, struct pod_err *err)
{
    struct level *level = top(walk);
    size_t length = level->path_length, size = strlen(name) + 1;
    struct pod_walk_entry entry = {.parent = level->fd, .depth = walk->depth};
    int wanted, inner;
    POD_AUTO_FD int fd = -1;

    if (grow((void **)&walk->path, length + size + 1, &walk->path_room, 1, err) < 0)
        return -1;
    if (length)
        walk->path[length++] = '/';
    memcpy(walk->path + length, name, size);
    entry.path = walk->path;
    entry.name = walk->path + length;
    length += size - 1;
    fd = openat(level->fd, entry.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &entry.st) < 0)
        return errno == ENOENT ? 0 : pod_fail(err, POD_OPEN, walk->path);
    entry.fd = fd;
    wanted = walk->walker->entry(walk->walker->context, &entry, err);
    if (wanted <= 0 || !S_ISDIR(entry.st.st_mode))
        return wanted < 0 ? -1 : 0;
    inner = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (inner < 0)
        return pod_fail(err, POD_OPEN, walk->path);
    return add_level(walk, inner, length, err) < 0 ? -1 : 1;
}

/* 1: a directory was gone into; 0: this one is done. */
static int visit_sorted(struct walk *walk, struct pod_err *err)
{
    while (top(walk)->next < top(walk)->end) {
        const char *name = walk->text + walk->index[top(walk)->next++];
        char copy[256]; /* the buffer may move */
        int entered;

        memcpy(copy, name, strnlen(name, sizeof copy - 1) + 1);
        copy[sizeof copy - 1] = '\0';
        entered = visit(walk, copy, err);
        if (entered)
            return entered;
    }
    return 0;
}

static int visit_unsorted(struct walk *walk, struct pod_err *err)
{
    struct level *level = top(walk);

    if (lseek(level->fd, level->resume, SEEK_SET) < 0)
        return pod_fail(err, POD_READ, walk->path);
    for (;;) {
        long length = syscall(SYS_getdents64, level->fd, walk->dents, DENTS_SIZE);

        if (length <= 0)
            return length < 0 ? pod_fail(err, POD_READ, walk->path) : 0;
        for (long at = 0; at < length;) {
            const struct pod_dent *dent = (const struct pod_dent *)(const void *)(walk->dents + at);
            int entered;

            at += dent->reclen;
            top(walk)->resume = dent->off;
            entered = is_dots(dent->name) ? 0 : visit(walk, dent->name, err);
            if (entered)
                return entered;
        }
    }
}

int pod_walk(int fd, const struct pod_walker *walker, struct pod_err *err)
{
    struct walk *walk = calloc(1, sizeof *walk);
    int failed, first;

    if (!walk)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    walk->walker = walker;
    failed = grow((void **)&walk->path, 1, &walk->path_room, 1, err);
    if (!failed)
        walk->path[0] = '\0';
    first = failed ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!failed)
        failed = first < 0 ? pod_fail(err, POD_OPEN, ".") : add_level(walk, first, 0, err);
    while (!failed && walk->depth) {
        int entered = top(walk)->unsorted ? visit_unsorted(walk, err) : visit_sorted(walk, err);

        failed = entered < 0 || (!entered && leave(walk, err) < 0) ? -1 : 0;
    }
    while (walk->depth)
        pod_cleanup_fd(&walk->levels[--walk->depth].fd);
    free(walk->levels);
    free(walk->text);
    free(walk->index);
    free(walk->path);
    free(walk);
    return failed;
}

/* ---- sizes ----------------------------------------------------- */

struct sum {
    uint64_t bytes;
    struct pod_links links;
};

static int add_size(void *context, const struct pod_walk_entry *entry, struct pod_err *err)
{
    struct sum *sum = context;

    (void)err;
    if (S_ISDIR(entry->st.st_mode))
        return 1;
    if (S_ISREG(entry->st.st_mode) &&
        (entry->st.st_nlink < 2 || !pod_links_find(&sum->links, &entry->st, "")))
        sum->bytes += (uint64_t)entry->st.st_size;
    return 0;
}

int pod_tree_size(int fd, uint64_t *bytes, struct pod_err *err)
{
    struct sum sum = {0};
    const struct pod_walker walker = {add_size, NULL, &sum};
    int failed = pod_walk(fd, &walker, err);

    pod_links_free(&sum.links);
    *bytes = sum.bytes;
    return failed;
}
