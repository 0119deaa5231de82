#include "flatten.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "../core/copytree.h"
#include "owners.h"

/* The record of one layer, and which of its entries (a bit each) no longer hold. */
struct layer {
    struct pod_owners owners;
    unsigned char *dead;
};

struct merge {
    struct layer *layers;
    int current; /* the one that is being copied */
    int too_deep; /* levels below what a record's path can name */
    size_t length;
    char path[PATH_MAX]; /* of the directory at hand, in the target */
};

static void kill(struct layer *layer, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        layer->dead[i / 8] |= (unsigned char)(1u << i % 8);
}

/* What lower layers said of PATH, or (ABOVE) only of what lies below it, or (ONLY) only of itself. */
static void forget(struct merge *merge, size_t length, int above, int only)
{
    for (int i = 0; i < merge->current; i++) {
        size_t first;
        size_t end;
        int found = pod_owners_range(&merge->layers[i].owners, merge->path, length, &first, &end);

        if (only)
            end = first + (size_t)found;
        kill(&merge->layers[i], above && found ? first + 1 : first, end);
    }
}

/* PATH with NAME behind it; 0 where that is longer than any path in a record. */
static size_t join(struct merge *merge, const char *name)
{
    size_t length = merge->length;
    size_t more = strlen(name);

    if (merge->too_deep || length + more + 2 > sizeof merge->path)
        return 0;
    if (length && more)
        merge->path[length++] = '/';
    memcpy(merge->path + length, name, more + 1);
    return length + more;
}

static void leave(struct merge *merge)
{
    if (merge->too_deep) {
        merge->too_deep--;
        return;
    }
    while (merge->length && merge->path[merge->length - 1] != '/')
        merge->length--;
    merge->length -= merge->length > 0;
}

static int on_event(void *context, enum pod_copy_event event, const char *name, struct pod_err *err)
{
    struct merge *merge = context;
    size_t joined;

    (void)err;
    if (event == POD_COPY_LEFT) {
        leave(merge);
        return 0;
    }
    if (event == POD_COPY_EMPTIED) {
        if (!merge->too_deep)
            forget(merge, merge->length, 1, 0);
        return 0;
    }
    joined = join(merge, name);
    if (event == POD_COPY_ENTERED) {
        if (joined || !name[0])
            forget(merge, merge->length = joined, 0, 1);
        else
            merge->too_deep++;
    } else if (joined) {
        forget(merge, joined, 0, 0);
    }
    return 0;
}

static int write_record(struct merge *merge, int count, int fd, struct pod_err *err)
{
    struct pod_owners_writer *writer = NULL;
    int failed = pod_owners_begin(fd, &writer, err);

    for (int i = 0; i < count && !failed; i++) {
        const struct layer *layer = &merge->layers[i];

        for (size_t at = 0; at < layer->owners.count && !failed; at++) {
            struct pod_owner owner;

            pod_owners_at(&layer->owners, at, &owner);
            if (owner.flags && !(layer->dead[at / 8] & 1u << at % 8))
                failed = pod_owners_add_read(writer, &owner, err);
        }
    }
    if (!failed)
        failed = pod_owners_end(writer, err);
    pod_owners_close(&writer);
    return failed;
}

static int copy_layers(const struct pod_flatten *flatten, struct merge *merge, struct pod_err *err)
{
    const struct pod_copy_watch watch = {on_event, merge};

    for (int i = 0; i < flatten->count; i++) {
        struct layer *layer = &merge->layers[i];

        merge->current = i;
        if (pod_owners_map(flatten->owners_fds[i], &layer->owners, err) < 0)
            return -1;
        layer->dead = calloc(1, layer->owners.count / 8 + 1);
        if (!layer->dead)
            return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
        merge->length = 0;
        merge->too_deep = 0;
        if (pod_copytree_watched(flatten->layer_fds[i], flatten->target_fd,
                                 POD_COPY_WHITEOUTS | POD_COPY_OWNERS, &watch, err) < 0)
            return -1;
    }
    return write_record(merge, flatten->count, flatten->owners_fd, err);
}

static int merge_layers(const struct pod_flatten *flatten, struct pod_err *err)
{
    struct merge *merge = calloc(1, sizeof *merge);
    int failed = -1;

    if (merge)
        merge->layers = calloc((size_t)flatten->count + 1, sizeof *merge->layers);
    if (merge && merge->layers)
        failed = copy_layers(flatten, merge, err);
    else
        pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    for (int i = 0; merge && merge->layers && i < flatten->count; i++) {
        pod_owners_unmap(&merge->layers[i].owners);
        free(merge->layers[i].dead);
    }
    if (merge)
        free(merge->layers);
    free(merge);
    return failed;
}

int pod_flatten(const struct pod_flatten *flatten, struct pod_err *err)
{
    if (flatten->owners_fds)
        return merge_layers(flatten, err);
    for (int i = 0; i < flatten->count; i++)
        if (pod_copytree(flatten->layer_fds[i], flatten->target_fd,
                         POD_COPY_WHITEOUTS | POD_COPY_OWNERS, err) < 0)
            return -1;
    return 0;
}
