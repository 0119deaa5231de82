/* plan.bin, and the tables in it. A plan is a file of the user's own, yet an escaped process could have written it. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../ext/src/core/plan.h"
#include "../../ext/src/helper/restart.h"
#include "fuzz.h"

static unsigned long look(const char *text)
{
    return text ? strlen(text) : 0;
}

static unsigned long read_key(const struct pod_plan *plan, enum pod_plan_key key, int type)
{
    const unsigned char *blob;
    unsigned long sum = 0;
    uint32_t length;
    char **words;

    if (!pod_plan_has(plan, key))
        return 0;
    switch (type) {
    case POD_TYPE_U64:
        return pod_plan_u64(plan, key);
    case POD_TYPE_STR:
        return look(pod_plan_str(plan, key));
    case POD_TYPE_STRV:
        words = pod_plan_strv(plan, key, 2);
        for (uint32_t i = 0; words && i < pod_plan_strv_count(plan, key); i++)
            sum += look(words[i]);
        free(words);
        return sum;
    default:
        blob = pod_plan_blob(plan, key, &length);
        for (uint32_t i = 0; i < length; i++)
            sum += blob[i];
        return sum;
    }
}

static unsigned long read_mounts(const struct pod_plan *plan)
{
    unsigned long sum = 0;
    uint32_t length;
    const struct pod_mount *mounts = pod_plan_blob(plan, POD_KEY_MOUNTS, &length);

    for (uint32_t i = 0; mounts && i < length / sizeof *mounts; i++)
        sum += look(pod_plan_string(plan, mounts[i].source)) +
               look(pod_plan_string(plan, mounts[i].target)) +
               look(pod_plan_string(plan, mounts[i].fstype)) +
               look(pod_plan_string(plan, mounts[i].data));
    return sum + look(pod_plan_string(plan, 0xffffffffu));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
#define TYPE_OF(number, name, type) {number, POD_TYPE_##type},
    static const struct {
        int key, type;
    } keys[] = {POD_KEYS(TYPE_OF)};
    static volatile unsigned long sum;
    struct pod_restart restart;
    struct pod_plan plan;
    struct pod_err err;
    int fd = fuzz_file(data, size);

    if (!pod_plan_open(fd, &plan, &err)) {
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            sum += read_key(&plan, (enum pod_plan_key)keys[i].key, keys[i].type);
        sum += read_mounts(&plan);
        pod_restart_init(&restart, &plan);
        CLAIM(restart.kind <= POD_RESTART_UNLESS_STOPPED);
    }
    if (plan.data)
        munmap((void *)(uintptr_t)plan.data, plan.size);
    close(fd);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, room);
    if (seed % 8)
        fuzz_mend_plan(data, size);
    return size;
}
