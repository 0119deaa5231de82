#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../ext/src/core/plan.h"
#include "../../ext/src/core/rmtree.h"
#include "fuzz.h"

static char scratch[64];

int fuzz_file(const void *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    CLAIM(fd >= 0 && write(fd, data, size) == (ssize_t)size && !lseek(fd, 0, SEEK_SET));
    return fd;
}

static void remove_scratch(void)
{
    struct pod_err ignored;
    int above = open(access("/dev/shm", W_OK) ? "/var/tmp" : "/dev/shm", O_RDONLY | O_DIRECTORY);

    pod_rmtree(above, strrchr(scratch, '/') + 1, &ignored);
    close(above);
}

int fuzz_scratch(void)
{
    int fd;

    snprintf(scratch, sizeof scratch, "%s/pod-fuzz-XXXXXX",
             access("/dev/shm", W_OK) ? "/var/tmp" : "/dev/shm");
    CLAIM(mkdtemp(scratch));
    atexit(remove_scratch);
    fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLAIM(fd >= 0);
    return fd;
}

char *fuzz_text(const uint8_t **data, size_t *size)
{
    size_t length = strnlen((const char *)*data, *size);
    char *text = malloc(length + 1);

    CLAIM(text);
    memcpy(text, *data, length);
    text[length] = '\0';
    length += length < *size; /* the NUL */
    *data += length;
    *size -= length;
    return text;
}

void fuzz_mend_archive(uint8_t *data, size_t size)
{
    for (size_t at = 0; at + 512 <= size; at += 512) {
        unsigned sum = 8 * ' ';
        char text[9];

        if (memcmp(data + at + 257, "ustar", 5) != 0)
            continue;
        for (size_t i = 0; i < 512; i++)
            sum += i < 148 || i >= 156 ? data[at + i] : 0;
        snprintf(text, sizeof text, "%06o", sum);
        memcpy(data + at + 148, text, 7);
        data[at + 155] = ' ';
    }
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

void fuzz_mend_plan(uint8_t *data, size_t size)
{
    uint32_t count;

    if (size < 56)
        return;
    memcpy(data, "PODPLAN\n", 8);
    put32(data + 8, POD_PLAN_VERSION);
    put32(data + 12, (uint32_t)size);
    memcpy(data + 16, POD_BUILD_ID, 32);
    memcpy(&count, data + 48, sizeof count);
    put32(data + 48, count % 32);
    count %= 32;
    /* Offsets are multiples of eight: three of four mutations would only find that out. */
    for (uint32_t i = 0; i < count && 56 + 16 * (i + 1) <= size; i++)
        data[56 + 16 * i + 8] &= 0xf8;
}
