#include "creds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "page_writer.h"

#define NONE 0xffffffffu
#define SLOTS (POD_CREDS_MAX * 2)

static size_t size_of(const struct pod_creds *creds)
{
    return offsetof(struct pod_creds, groups) + creds->group_count * sizeof *creds->groups;
}

/* FNV-1a over the words. */
static uint32_t hash_of(const struct pod_creds *creds)
{
    const uint32_t *words = (const uint32_t *)(const void *)creds;
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < size_of(creds) / sizeof *words; i++)
        hash = (hash ^ words[i]) * 16777619u;
    return hash ^ hash >> 15;
}

int pod_creds_begin(struct pod_creds_table *table, const struct pod_creds *root)
{
    table->count = table->bytes = 0;
    table->page = NULL;
    table->sets = calloc(POD_CREDS_MAX, sizeof(struct pod_creds *));
    table->slots = calloc(SLOTS, sizeof *table->slots);
    if (!table->sets || !table->slots)
        return -1;
    return pod_creds_intern(table, root) ? -1 : 0;
}

int pod_creds_intern(struct pod_creds_table *table, const struct pod_creds *creds)
{
    uint32_t slot = hash_of(creds) % SLOTS;
    size_t size = size_of(creds);

    for (; table->slots[slot]; slot = (slot + 1) % SLOTS) {
        const struct pod_creds *found = table->sets[table->slots[slot] - 1];
        if (found->group_count == creds->group_count && !memcmp(found, creds, size))
            return (int)table->slots[slot] - 1;
    }
    if (table->count == POD_CREDS_MAX || table->bytes + size > POD_CREDS_BYTES)
        return -1;
    struct pod_creds *made = malloc(size);
    if (!made)
        return -1;
    memcpy(made, creds, size);
    if (pod_page_ids(table->page, table->count, made)) {
        free(made);
        return -1;
    }
    table->bytes += (uint32_t)size;
    table->sets[table->count] = made;
    table->slots[slot] = ++table->count;
    return (int)table->count - 1;
}

const struct pod_creds *pod_creds_of(const struct pod_creds_table *table, uint64_t slack)
{
    uint64_t token = slack - POD_SLACK_BASE;
    return table->sets[slack >= POD_SLACK_BASE && token < table->count ? token : 0];
}

int pod_creds_capable(const struct pod_creds *creds)
{
    return !creds->uid[POD_ID_EFFECTIVE] || (creds->flags & POD_CREDS_CAPABLE);
}

int pod_creds_in_group(const struct pod_creds *creds, uint32_t gid)
{
    for (uint32_t i = 0; i < creds->group_count; i++)
        if (creds->groups[i] == gid)
            return 1;
    return creds->gid[POD_ID_FS] == gid;
}

enum { SOME_ROOT = 1, EFFECTIVE_ROOT = 2 };

static int roots(const struct pod_creds *creds)
{
    const uint32_t *ids = creds->uid;
    int some = !ids[POD_ID_REAL] || !ids[POD_ID_EFFECTIVE] || !ids[POD_ID_SAVED];

    return (some ? SOME_ROOT : 0) | (ids[POD_ID_EFFECTIVE] ? 0 : EFFECTIVE_ROOT);
}

/* capabilities(7), "Effect of user ID changes on capabilities"; BEFORE: roots() of then. Who asked to keep them raises them
 * again by capset(2), which nobody looks at. */
static void after_change(struct pod_creds *creds, int before)
{
    int lost = before & ~roots(creds);

    if (!(creds->flags & POD_CREDS_KEEP))
        creds->flags &= lost ? ~(uint32_t)POD_CREDS_CAPABLE : ~0u;
    else if (lost & SOME_ROOT)
        creds->flags |= POD_CREDS_CAPABLE;
}

static int may(const struct pod_creds *creds, const uint32_t *ids, uint32_t id, int saved)
{
    return pod_creds_capable(creds) || id == ids[POD_ID_REAL] || id == ids[POD_ID_EFFECTIVE] ||
           (saved && id == ids[POD_ID_SAVED]);
}

int pod_creds_set(struct pod_creds *creds, int uids, uint32_t id)
{
    uint32_t *ids = uids ? creds->uid : creds->gid;
    int before = roots(creds);

    if (id == NONE)
        return -EINVAL;
    if (pod_creds_capable(creds))
        ids[POD_ID_REAL] = ids[POD_ID_SAVED] = id;
    else if (id != ids[POD_ID_REAL] && id != ids[POD_ID_SAVED])
        return -EPERM;
    ids[POD_ID_EFFECTIVE] = ids[POD_ID_FS] = id;
    after_change(creds, before);
    return 0;
}

int pod_creds_setre(struct pod_creds *creds, int uids, uint32_t real, uint32_t effective)
{
    uint32_t *ids = uids ? creds->uid : creds->gid, old_real = ids[POD_ID_REAL];
    int before = roots(creds);

    if (real != NONE && !may(creds, ids, real, 0))
        return -EPERM;
    if (effective != NONE && !may(creds, ids, effective, 1))
        return -EPERM;
    if (real != NONE)
        ids[POD_ID_REAL] = real;
    if (effective != NONE)
        ids[POD_ID_EFFECTIVE] = effective;
    if (real != NONE || (effective != NONE && effective != old_real))
        ids[POD_ID_SAVED] = ids[POD_ID_EFFECTIVE];
    ids[POD_ID_FS] = ids[POD_ID_EFFECTIVE];
    after_change(creds, before);
    return 0;
}

int pod_creds_setres(struct pod_creds *creds, int uids, const uint32_t ids[3])
{
    uint32_t *now = uids ? creds->uid : creds->gid;
    int before = roots(creds);

    /* Nothing to do: then the id for files stays as well. */
    if ((ids[0] == NONE || ids[0] == now[POD_ID_REAL]) &&
        (ids[2] == NONE || ids[2] == now[POD_ID_SAVED]) &&
        (ids[1] == NONE || (ids[1] == now[POD_ID_EFFECTIVE] && ids[1] == now[POD_ID_FS])))
        return 0;
    for (int i = 0; i < 3; i++)
        if (ids[i] != NONE && !may(creds, now, ids[i], 1))
            return -EPERM;
    for (int i = 0; i < 3; i++)
        if (ids[i] != NONE)
            now[i] = ids[i];
    now[POD_ID_FS] = now[POD_ID_EFFECTIVE];
    after_change(creds, before);
    return 0;
}

void pod_creds_setfs(struct pod_creds *creds, int uids, uint32_t id)
{
    uint32_t *ids = uids ? creds->uid : creds->gid;

    if (id != NONE && (may(creds, ids, id, 1) || id == ids[POD_ID_FS]))
        ids[POD_ID_FS] = id;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

int pod_creds_setgroups(struct pod_creds *creds, const uint32_t *groups, uint32_t count)
{
    if (!pod_creds_capable(creds))
        return -EPERM;
    if (count > POD_CREDS_GROUPS)
        return count > 65536 ? -EINVAL : -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        if (groups[i] == NONE)
            return -EINVAL;
    if (count)
        memcpy(creds->groups, groups, count * sizeof *groups);
    creds->group_count = count;
    qsort(creds->groups, count, sizeof *groups, by_number); /* as getgroups(2) shows them */
    return 0;
}
