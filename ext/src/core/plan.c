#include "plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef POD_BUILD_ID
#error "POD_BUILD_ID must be defined by the build"
#endif

#define HEADER_SIZE 56u
#define ENTRY_SIZE 16u
#define CHECK_AT 52u

#define POD_KEY_TYPE(number, name, type) [number] = POD_TYPE_##type,
static const uint8_t key_types[POD_KEY_MAX] = {POD_KEYS(POD_KEY_TYPE)};
#undef POD_KEY_TYPE

static uint32_t get32(const char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static int bad(struct pod_err *err, const char *what)
{
    return pod_fail_errno(err, POD_PLAN, EINVAL, what);
}

static int check_entry(struct pod_plan *plan, const char *entry, struct pod_err *err)
{
    uint32_t key = get32(entry), type = get32(entry + 4), offset = get32(entry + 8);
    uint32_t length = get32(entry + 12);

    if (key == 0 || key >= POD_KEY_MAX || !key_types[key])
        return bad(err, "unknown key");
    if (type != key_types[key])
        return bad(err, "type of a key");
    if (plan->offset[key])
        return bad(err, "key given twice");
    if (offset < HEADER_SIZE || offset % 8 || offset > plan->size || length > plan->size - offset)
        return bad(err, "offset of a key");
    if (type == POD_TYPE_U64 && length != 8)
        return bad(err, "length of a number");
    if (type == POD_TYPE_STR && (length == 0 || strnlen(plan->data + offset, length) != length - 1))
        return bad(err, "string without its end");
    if (type == POD_TYPE_STRV && length && plan->data[offset + length - 1])
        return bad(err, "strings without their end");
    plan->offset[key] = offset;
    plan->length[key] = length;
    return 0;
}

static int check_mounts(const struct pod_plan *plan, struct pod_err *err)
{
    uint32_t length, strings;
    const struct pod_mount *mounts = pod_plan_blob(plan, POD_KEY_MOUNTS, &length);
    const char *text = pod_plan_blob(plan, POD_KEY_STRINGS, &strings);

    if (!mounts)
        return 0;
    if (length % sizeof *mounts || !text || !strings || text[strings - 1])
        return bad(err, "mount table");
    for (uint32_t i = 0; i < length / sizeof *mounts; i++)
        if (mounts[i].source >= strings || mounts[i].target >= strings ||
            mounts[i].fstype >= strings || mounts[i].data >= strings)
            return bad(err, "string of a mount");
    return 0;
}

int pod_plan_open(int fd, struct pod_plan *plan, struct pod_err *err)
{
    struct stat st;
    void *data;

    memset(plan, 0, sizeof *plan);
    if (fstat(fd, &st))
        return pod_fail(err, POD_PLAN, "plan.bin");
    if (st.st_size < (off_t)HEADER_SIZE || st.st_size > (off_t)POD_PLAN_MAX)
        return bad(err, "size");
    data = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return pod_fail(err, POD_PLAN, "plan.bin");
    plan->data = data;
    plan->size = (uint32_t)st.st_size;
    if (memcmp(plan->data, "PODPLAN\n", 8) || get32(plan->data + 8) != POD_PLAN_VERSION)
        return bad(err, "magic or version");
    if (get32(plan->data + 12) != plan->size)
        return bad(err, "size");
    if (memcmp(plan->data + 16, POD_BUILD_ID, 32))
        return bad(err, "written by another build");
    uint32_t count = get32(plan->data + 48);
    if (count > POD_KEY_MAX || HEADER_SIZE + count * ENTRY_SIZE > plan->size)
        return bad(err, "number of entries");
    for (uint32_t i = 0; i < count; i++)
        if (check_entry(plan, plan->data + HEADER_SIZE + i * ENTRY_SIZE, err))
            return -1;
    return check_mounts(plan, err);
}

int pod_plan_is_whole(const struct pod_plan *plan)
{
    uint64_t state = 0, word;

    for (uint32_t at = 0; at + sizeof word <= plan->size; at += sizeof word) {
        memcpy(&word, plan->data + at, sizeof word);
        if (at == CHECK_AT - 4)
            word = (uint32_t)word;
        state = (state ^ word) * 0x9e3779b97f4a7c15ull;
        state ^= state >> 32;
    }
    return plan->size % sizeof word == 0 && get32(plan->data + CHECK_AT) == (uint32_t)state;
}

int pod_plan_has(const struct pod_plan *plan, enum pod_plan_key key)
{
    return plan->offset[key] != 0;
}

uint64_t pod_plan_u64(const struct pod_plan *plan, enum pod_plan_key key)
{
    uint64_t value = 0;
    if (plan->offset[key])
        memcpy(&value, plan->data + plan->offset[key], sizeof value);
    return value;
}

const char *pod_plan_str(const struct pod_plan *plan, enum pod_plan_key key)
{
    return plan->offset[key] ? plan->data + plan->offset[key] : NULL;
}

const void *pod_plan_blob(const struct pod_plan *plan, enum pod_plan_key key, uint32_t *length)
{
    *length = plan->length[key];
    return plan->offset[key] ? plan->data + plan->offset[key] : NULL;
}

uint32_t pod_plan_strv_count(const struct pod_plan *plan, enum pod_plan_key key)
{
    uint32_t count = 0;
    const char *at = pod_plan_str(plan, key);
    const char *end = at ? at + plan->length[key] : NULL;

    for (; at < end; at += strlen(at) + 1)
        count++;
    return count;
}

char **pod_plan_strv(const struct pod_plan *plan, enum pod_plan_key key, uint32_t extra)
{
    uint32_t count = pod_plan_strv_count(plan, key);
    char **vector = calloc((size_t)count + extra + 1, sizeof *vector);
    const char *at = pod_plan_str(plan, key);

    if (!vector)
        return NULL;
    for (uint32_t i = 0; i < count; i++, at += strlen(at) + 1)
        vector[i] = (char *)(uintptr_t)at;
    return vector;
}

const char *pod_plan_string(const struct pod_plan *plan, uint32_t offset)
{
    uint32_t length;
    const char *text = pod_plan_blob(plan, POD_KEY_STRINGS, &length);
    return text && offset < length ? text + offset : "";
}
