#include "names.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS 16384 /* 128 KiB */
#define NAMES_MAX (SLOTS / 2)
#define PROBES_MAX 32

struct pod_names {
    uint64_t directories; /* numbers given out */
    uint64_t forgotten;   /* those up to this one are unknown */
    size_t count;
    uint64_t slots[SLOTS]; /* hashes, 0 where free; by linear probing */
};

int pod_names_open(struct pod_names **names, struct pod_err *err)
{
    *names = calloc(1, sizeof **names);
    return *names ? 0 : pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
}

void pod_names_close(struct pod_names **names)
{
    free(*names);
    *names = NULL;
}

uint64_t pod_names_begin_directory(struct pod_names *names)
{
    return ++names->directories;
}

int pod_names_are_full(const struct pod_names *names)
{
    return names->count == NAMES_MAX;
}

void pod_names_forget(struct pod_names *names)
{
    names->forgotten = names->directories;
    names->count = 0;
    memset(names->slots, 0, sizeof names->slots);
}

/* FNV-1a, stirred (the last step of MurmurHash3), so that its low bits depend on all of the name. */
static uint64_t hash(uint64_t directory, const char *name)
{
    uint64_t value = UINT64_C(0xcbf29ce484222325) ^ directory * UINT64_C(0x9e3779b97f4a7c15);

    for (; *name; name++)
        value = (value ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    value = (value ^ value >> 33) * UINT64_C(0xff51afd7ed558ccd);
    value ^= value >> 33;
    return value ? value : 1;
}

enum pod_name pod_names_note(struct pod_names *names, uint64_t directory, const char *name)
{
    uint64_t wanted;

    if (directory <= names->forgotten)
        return POD_NAME_UNKNOWN;
    wanted = hash(directory, name);
    for (size_t i = 0; i < PROBES_MAX; i++) {
        uint64_t *slot = &names->slots[(wanted + i) % SLOTS];

        if (*slot == wanted)
            return POD_NAME_SEEN;
        if (!*slot) {
            *slot = wanted;
            names->count++;
            return POD_NAME_FRESH;
        }
    }
    return POD_NAME_SEEN;
}
