/* A map of 64 bits to twice 64 bits, 24 bytes a slot at up to 7/8 full: what a hundred thousand records take is all that an
 * emulator is large. Keys are fingerprints of longer ones, mixed well; 0 is kept for free slots. */
#ifndef POD_TABLE_H
#define POD_TABLE_H

#include <stdint.h>

struct pod_table_slot {
    uint64_t key, mark, value;
};

struct pod_table {
    struct pod_table_slot *slots;
    uint32_t size, count;
};

/* Mixes WORD into a fingerprint that began with any number. */
uint64_t pod_table_mix(uint64_t fingerprint, uint64_t word);
/* Room for one more key: 0, -ENOSPC beyond MAX keys, or -ENOMEM. */
int pod_table_reserve(struct pod_table *table, uint32_t max);
/* Sets or replaces; pod_table_reserve went before. */
void pod_table_put(struct pod_table *table, uint64_t key, uint64_t mark, uint64_t value);
/* NULL where it is not there; holds until the next reserve. */
const struct pod_table_slot *pod_table_get(const struct pod_table *table, uint64_t key);
void pod_table_free(struct pod_table *table);

#endif
