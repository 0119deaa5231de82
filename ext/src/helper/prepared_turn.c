/* Where affinity holds --cpus each start has processors of its own, as core/runtime/limits.py chooses them: of those that are
 * ours as many in a row as are asked for, the id says which is the first. */
#define _GNU_SOURCE 1

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limiting.h"
#include "prepared.h"

#define LIST "\"affinity\":["

static int has(const unsigned char *mask, unsigned number)
{
    return mask[number / 8] >> number % 8 & 1;
}

/* How many MASK has; SIZE: its bytes. */
static unsigned ours(unsigned char *mask, long *size)
{
    unsigned count = 0;

    *size = pod_limits_affinity(0, mask);
    for (long i = 0; i < *size; i++)
        count += (unsigned)__builtin_popcount(mask[i]);
    return count;
}

unsigned pod_prepared_processors(void)
{
    unsigned char mask[POD_MASK_MAX];
    long size;

    return ours(mask, &size);
}

/* Takes those away from MASK whose turn it is not. */
static void choose(unsigned char *mask, long size, unsigned count, unsigned first, unsigned whole)
{
    for (unsigned number = 0, place = 0; number < (unsigned)size * 8; number++) {
        if (!has(mask, number))
            continue;
        if ((place + count - first) % count >= whole)
            mask[number / 8] &= (unsigned char)~(1u << number % 8);
        place++;
    }
}

static void add_numbers(struct pod_text *text, const unsigned char *mask, long size)
{
    char word[16];
    const char *comma = "";

    for (unsigned number = 0; number < (unsigned)size * 8; number++) {
        if (!has(mask, number))
            continue;
        snprintf(word, sizeof word, "%s%u", comma, number);
        pod_text_add_words(text, word);
        comma = ",";
    }
}

/* The recorded JSON with other numbers. */
static void add_limits(struct pod_text *text, const struct pod_plan *plan,
                       const unsigned char *mask, long size)
{
    const char *words = pod_plan_str(plan, POD_KEY_LIMITS);
    const char *list = words ? strstr(words, LIST) : NULL;
    const char *end = list ? strchr(list, ']') : NULL;

    if (!end) {
        text->failed = 1;
        return;
    }
    pod_text_add(text, words, (size_t)(list - words) + strlen(LIST));
    add_numbers(text, mask, size);
    pod_text_add(text, end, strlen(end) + 1);
}

int pod_prepared_turn(const struct pod_instance *instance, uint32_t key, struct pod_text *text)
{
    unsigned whole = (unsigned)(pod_plan_u64(instance->plan, POD_KEY_P_FLAGS) >> POD_PREPARED_TURN);
    unsigned char mask[POD_MASK_MAX];
    char digits[9] = {0};
    unsigned count;
    long size;

    if (!whole || (key != POD_KEY_AFFINITY && key != POD_KEY_LIMITS))
        return 0;
    count = ours(mask, &size);
    if (whole >= count) { /* since they were counted */
        text->failed = 1;
        return 1;
    }
    memcpy(digits, instance->id, 8);
    choose(mask, size, count, (unsigned)(strtoul(digits, NULL, 16) % count), whole);
    if (key == POD_KEY_LIMITS) {
        add_limits(text, instance->plan, mask, size);
    } else {
        while (size > 8 && !memcmp(mask + size - 8, "\0\0\0\0\0\0\0", 8))
            size -= 8;
        pod_text_add(text, mask, (size_t)size);
    }
    return 1;
}
