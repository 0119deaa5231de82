/* A prepared start: whether what it rests on is as it was, the plan and the files that come of it. The bytes are the file. The
 * files that it names are only looked at. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../ext/src/helper/prepared_make.c"
#include "fuzz.h"

static int scratch = -1;
static char folder[64];

static void begin(void)
{
    char link[64];
    ssize_t length;

    if (scratch >= 0)
        return;
    scratch = fuzz_scratch();
    snprintf(link, sizeof link, "/proc/self/fd/%d", scratch);
    length = readlink(link, folder, sizeof folder - 1);
    CLAIM(length > 0);
    folder[length] = '\0';
}

static void make_plan(const struct pod_instance *instance)
{
    struct pod_plan written;
    struct pod_err err;
    int fd = pod_prepared_plan(instance);

    if (fd < 0)
        return;
    /* Its reader trusts it no more than this one. */
    pod_plan_open(fd, &written, &err);
    if (written.data)
        munmap((void *)(uintptr_t)written.data, written.size);
    close(fd);
}

static void make_files(struct pod_instance *instance)
{
    for (size_t i = 0; i < COUNT(FILES); i++) {
        write_template(instance, i, folder);
        unlinkat(scratch, FILES[i], 0);
    }
    /* What is looked up without being made. */
    if (!find_places(instance))
        for (int i = 0; i < PLACES; i++)
            CLAIM(strlen(instance->places[i]) < instance->plan->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *words[] = {(char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c",
                            (char *)(uintptr_t) "exit \"3\"\\", NULL};
    struct pod_plan plan;
    struct pod_err err;
    int fd = fuzz_file(data, size);

    begin();
    if (!pod_plan_open(fd, &plan, &err)) {
        struct pod_instance *instance = calloc(1, sizeof *instance);
        CLAIM(instance);
        instance->plan = &plan;
        instance->lock = -1;
        instance->name = "some_name";
        instance->args = words + (size & 1);
        instance->argv = words + (size >> 1 & 3);
        memset(instance->id, 'a', 64);
        timestamp(instance->created, sizeof instance->created);
        pod_prepared_holds(&plan);
        make_files(instance);
        if (instance->argv[0])
            make_plan(instance);
        free(instance);
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
