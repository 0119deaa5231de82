#include "table.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#define SMALLEST 256u /* a page */

/* The finishing steps of 64-bit hashes: every bit of WORD reaches every bit of the result. */
uint64_t pod_table_mix(uint64_t fingerprint, uint64_t word)
{
    uint64_t mixed = (fingerprint ^ word) + 0x9e3779b97f4a7c15ull;

    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebull;
    return mixed ^ mixed >> 31;
}

static uint64_t stored(uint64_t key)
{
    return key ? key : 1;
}

static struct pod_table_slot *find(const struct pod_table *table, uint64_t key)
{
    uint32_t at = (uint32_t)(key >> 32) & (table->size - 1);

    while (table->slots[at].key && table->slots[at].key != key)
        at = (at + 1) & (table->size - 1);
    return &table->slots[at];
}

int pod_table_reserve(struct pod_table *table, uint32_t max)
{
    struct pod_table bigger = {.size = table->size ? table->size * 2 : SMALLEST};

    if (table->count >= max)
        return -ENOSPC;
    if ((uint64_t)(table->count + 1) * 8 <= (uint64_t)table->size * 7)
        return 0;
    /* Not malloc: what was outgrown goes back at once, and nothing is touched before it is used. */
    bigger.slots = mmap(NULL, bigger.size * sizeof *bigger.slots, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bigger.slots == MAP_FAILED)
        return -ENOMEM;
    for (uint32_t i = 0; i < table->size; i++)
        if (table->slots[i].key)
            *find(&bigger, table->slots[i].key) = table->slots[i];
    bigger.count = table->count;
    pod_table_free(table);
    *table = bigger;
    return 0;
}

void pod_table_put(struct pod_table *table, uint64_t key, uint64_t mark, uint64_t value)
{
    struct pod_table_slot *slot = find(table, stored(key));

    table->count += !slot->key;
    *slot = (struct pod_table_slot){stored(key), mark, value};
}

const struct pod_table_slot *pod_table_get(const struct pod_table *table, uint64_t key)
{
    const struct pod_table_slot *slot = table->size ? find(table, stored(key)) : NULL;

    return slot && slot->key ? slot : NULL;
}

void pod_table_free(struct pod_table *table)
{
    if (table->slots)
        munmap(table->slots, table->size * sizeof *table->slots);
    *table = (struct pod_table){0};
}
