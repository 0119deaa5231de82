/* plan.bin of a prepared start: the file's own entries, with this start's id, name, arguments, lock and window. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "prepared.h"

#define HEADER_SIZE 56u
#define ENTRY_SIZE 16u

static uint32_t get32(const char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Id and name in place, in our copy of the file. No NUL may come or go, and the header stays as it is. */
static int patch(const struct pod_instance *instance)
{
    const struct pod_plan *plan = instance->plan;
    uint32_t size, begin = HEADER_SIZE + ENTRY_SIZE * get32(plan->data + 48);
    const struct pod_patch *patches = pod_plan_blob(plan, POD_KEY_P_PATCHES, &size);

    for (uint32_t i = 0; patches && i < size / sizeof *patches; i++) {
        const struct pod_patch *one = patches + i;
        int is_name = one->kind == POD_PATCH_NAME;
        const char *value = is_name ? instance->name : instance->id;
        if (one->offset < begin || one->offset > plan->size ||
            one->length > plan->size - one->offset || one->length > strlen(value) ||
            (is_name && one->length != strlen(value)) ||
            memchr(plan->data + one->offset, '\0', one->length))
            return -1;
        memcpy((char *)(uintptr_t)plan->data + one->offset, value, one->length);
    }
    return 0;
}

static uint64_t window(void)
{
    struct winsize size;

    for (int fd = 0; fd < 3; fd++)
        if (ioctl(fd, TIOCGWINSZ, &size) == 0)
            return (uint64_t)size.ws_row << 16 | size.ws_col;
    return 0;
}

static void add_strings(struct pod_text *text, char **words)
{
    for (; *words; words++)
        pod_text_add(text, *words, strlen(*words) + 1);
}

/* All but the last of EXPLAIN, which names the program; then the program of this start. */
static void add_explain(struct pod_text *text, const struct pod_instance *instance)
{
    POD_AUTO_FREE char **words = pod_plan_strv(instance->plan, POD_KEY_EXPLAIN, 0);
    char **end = words;

    while (end && *end)
        end++;
    if (!end || end == words) {
        text->failed = 1;
        return;
    }
    end[-1] = instance->argv[0];
    add_strings(text, words);
}

static void add_value(struct pod_text *text, const struct pod_instance *instance, uint32_t key)
{
    const struct pod_plan *plan = instance->plan;
    int own = pod_plan_u64(plan, POD_KEY_P_FLAGS) & POD_PREPARED_ARGS;
    uint64_t number = key == POD_KEY_LOCK ? (uint64_t)instance->lock : 0;

    if (key == POD_KEY_WINSIZE)
        number = window();
    if (key == POD_KEY_LOCK || key == POD_KEY_WINSIZE)
        pod_text_add(text, &number, sizeof number);
    else if (key == POD_KEY_ARGV && own)
        add_strings(text, instance->argv);
    else if (key == POD_KEY_EXPLAIN && own)
        add_explain(text, instance);
    else if (!pod_prepared_turn(instance, key, text))
        pod_text_add(text, plan->data + plan->offset[key], plan->length[key]);
}

static int is_for_client(uint32_t key)
{
    return key < POD_KEY_P_PREFIX || key > POD_KEY_P_PATCHES;
}

static int compose(const struct pod_instance *instance, struct pod_text *text)
{
    static const char zeros[POD_KEY_MAX * ENTRY_SIZE];
    const char *source = instance->plan->data;
    uint32_t entries[POD_KEY_MAX][4], count = 0;
    uint32_t total = get32(source + 48);

    for (uint32_t i = 0; i < total; i++)
        count += is_for_client(get32(source + HEADER_SIZE + i * ENTRY_SIZE));
    pod_text_add(text, source, HEADER_SIZE);
    pod_text_add(text, zeros, count * ENTRY_SIZE);
    count = 0;
    for (uint32_t i = 0; i < total; i++) {
        const char *entry = source + HEADER_SIZE + i * ENTRY_SIZE;
        uint32_t key = get32(entry);
        if (!is_for_client(key))
            continue;
        pod_text_add(text, zeros, -text->used % 8);
        uint32_t offset = (uint32_t)text->used;
        add_value(text, instance, key);
        uint32_t row[4] = {key, get32(entry + 4), offset, (uint32_t)text->used - offset};
        memcpy(entries[count++], row, sizeof row);
    }
    pod_text_add(text, zeros, -text->used % 8);
    if (text->failed || text->used > POD_PLAN_MAX)
        return -1;
    uint32_t size = (uint32_t)text->used;
    memcpy(text->bytes + 12, &size, sizeof size);
    memcpy(text->bytes + 48, &count, sizeof count);
    memcpy(text->bytes + HEADER_SIZE, entries, count * ENTRY_SIZE);
    return 0;
}

int pod_prepared_memory(const char *name, unsigned flags, unsigned newer)
{
    int fd = memfd_create(name, flags | newer);

    return fd < 0 && errno == EINVAL ? memfd_create(name, flags) : fd;
}

int pod_prepared_plan(const struct pod_instance *instance)
{
    struct pod_text text = {0};
    int fd = -1;

    if (patch(instance) == 0 && compose(instance, &text) == 0) {
        fd = pod_prepared_memory("pod-plan", 0, POD_MEMORY_NOEXEC_SEAL);
        if (fd >= 0 && write(fd, text.bytes, text.used) != (ssize_t)text.used) {
            close(fd);
            fd = -1;
        }
    }
    free(text.bytes);
    return fd;
}
