/* The request of a pick, and what it says of owners and modes. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pick.h"

#define LIST_MAX 65536u

static int read_count(struct pod_request *request, uint32_t *count, size_t size, void **list,
                      struct pod_err *err)
{
    if (pod_request_number(request, count, err) < 0)
        return -1;
    if (*count > LIST_MAX)
        return pod_fail_errno(err, POD_INTERNAL, EINVAL, "request");
    *list = calloc(*count + 1, size);
    return *list ? 0 : pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
}

static int read_item(struct pod_request *request, struct pod_pick_item *item, struct pod_err *err)
{
    const char *path;
    uint32_t length;

    if (pod_request_text(request, &path, &length, err) < 0)
        return -1;
    item->path = strndup(path, length);
    if (!item->path)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    if (read_count(request, &item->parts, sizeof *item->names, (void **)&item->names, err) < 0)
        return -1;
    for (uint32_t i = 0; i < item->parts; i++)
        if (pod_match_read_states(request, &item->names[i], err) < 0)
            return -1;
    if (pod_request_number(request, &item->parents, err) < 0)
        return -1;
    return pod_matcher_read(request, &item->wanted, err);
}

int pod_pick_read(const void *data, size_t size, struct pod_pick *pick, struct pod_err *err)
{
    const unsigned char *bytes = data;
    struct pod_request request = {bytes, bytes + size};

    if (pod_request_number(&request, &pick->flags, err) < 0 ||
        pod_request_number(&request, &pick->uid, err) < 0 ||
        pod_request_number(&request, &pick->gid, err) < 0 ||
        read_count(&request, &pick->change_count, sizeof *pick->changes, (void **)&pick->changes,
                   err) < 0)
        return -1;
    for (uint32_t i = 0; i < pick->change_count; i++) {
        struct pod_pick_change *change = &pick->changes[i];

        if (pod_request_number(&request, &change->how, err) < 0 ||
            pod_request_number(&request, &change->where, err) < 0 ||
            pod_request_number(&request, &change->bits, err) < 0 ||
            pod_request_number(&request, &change->from, err) < 0)
            return -1;
    }
    if (pod_matcher_read(&request, &pick->ignored, err) < 0 ||
        pod_matcher_read(&request, &pick->excluded, err) < 0 ||
        read_count(&request, &pick->item_count, sizeof *pick->items, (void **)&pick->items, err) <
            0)
        return -1;
    for (uint32_t i = 0; i < pick->item_count; i++)
        if (read_item(&request, &pick->items[i], err) < 0)
            return -1;
    return 0;
}

void pod_pick_free(struct pod_pick *pick)
{
    for (uint32_t i = 0; pick->items && i < pick->item_count; i++) {
        struct pod_pick_item *item = &pick->items[i];

        for (uint32_t part = 0; item->names && part < item->parts; part++)
            free(item->names[part].states);
        free(item->names);
        free(item->path);
        pod_matcher_free(&item->wanted);
    }
    free(pick->items);
    free(pick->changes);
    pod_matcher_free(&pick->ignored);
    pod_matcher_free(&pick->excluded);
}

/* The bits that CHANGE sets where it may. */
static uint32_t bits_of(const struct pod_pick_change *change, uint32_t mode, int is_folder)
{
    uint32_t three;

    switch (change->from) {
    case 0:
        return change->bits;
    case 'X':
        return is_folder || mode & 0111 ? change->bits | 0111 : change->bits;
    default:
        three = mode >> (change->from == 'u' ? 6 : change->from == 'g' ? 3 : 0) & 7;
        return change->bits | three << 6 | three << 3 | three;
    }
}

void pod_pick_adjust(const struct pod_pick *pick, struct pod_tar_entry *entry)
{
    int is_folder = entry->type == POD_TAR_DIRECTORY;

    if (pick->uid != POD_PICK_KEEP) {
        entry->uid = pick->uid;
        entry->gid = pick->gid;
    }
    for (uint32_t i = 0; entry->type != POD_TAR_SYMLINK && i < pick->change_count; i++) {
        const struct pod_pick_change *change = &pick->changes[i];
        uint32_t bits = bits_of(change, entry->mode, is_folder) & change->where;

        if (change->how == '-')
            entry->mode &= ~bits;
        else
            entry->mode = (change->how == '=' ? entry->mode & ~change->where : entry->mode) | bits;
    }
}
