/* Mutated archives into pod_extract, with sanitizers: fuzz_layer SEED ROUNDS SCRATCH [SAMPLE…]
 *
 * Deterministic for a SEED. Each round takes a sample (plain, gzip or zstd), flips, cuts, repeats
 * and splices bytes, mends the checksums of headers half of the time, and extracts into SCRATCH,
 * which is emptied in between. It fails by sanitizer, by a crash, or when something stands beside
 * the root afterwards. Built by test_fuzz.py. */
#define _GNU_SOURCE 1

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extract.h"
#include "flatten.h"
#include "owners.h"
#include "rmtree.h"

#define SAMPLE_MAX (1 << 20)

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void mend(unsigned char *data, size_t length)
{
    for (size_t at = 0; at + 512 <= length; at += 512) {
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

static size_t mutate(unsigned char *data, size_t length, uint64_t *random)
{
    static const unsigned char odd[] = {0,    '/', '.', '0', '7', '=', '\n', 0x80,
                                        0xff, ' ', 'x', 'S', 'L', '1', '5'};

    for (unsigned count = (unsigned)(next_random(random) % 24); count && length > 8; count--) {
        size_t at = next_random(random) % length;
        size_t other = next_random(random) % length;
        size_t span = next_random(random) % 600;

        switch (next_random(random) % 6) {
        case 0:
            data[at] ^= (unsigned char)(1u << next_random(random) % 8);
            break;
        case 1:
        case 2:
            data[at] = odd[next_random(random) % sizeof odd];
            break;
        case 3: /* a header's fields, or another block, elsewhere */
            at &= ~(size_t)511;
            other &= ~(size_t)511;
            span = length - (at > other ? at : other) < 512 ? 0 : 512;
            memmove(data + at, data + other, span);
            break;
        case 4:
            if (at + span < length && other + span < length)
                memmove(data + at, data + other, span);
            break;
        default:
            if (next_random(random) % 8 == 0)
                length = at + 1;
        }
    }
    if (next_random(random) % 2)
        mend(data, length);
    return length;
}

static int try_one(const unsigned char *data, size_t length, int scratch, unsigned round)
{
    struct pod_extract_options options = {
        .max_bytes = 8 << 20, .max_entries = 1000, .follow = -1, .mapped = (int)(round % 2)};
    struct pod_extract_result result;
    struct pod_owners owners;
    struct pod_err err;
    struct pod_flatten flat = {.count = 1};
    int target;
    int source = memfd_create("source", MFD_CLOEXEC);
    int failed;

    if (source < 0 || write(source, data, length) != (ssize_t)length ||
        lseek(source, 0, SEEK_SET) != 0 || mkdirat(scratch, "root", 0755) < 0 ||
        mkdirat(scratch, "flat", 0755) < 0)
        return -1;
    options.dialect = (enum pod_dialect)(round % 3);
    options.threads = round / 6 % 2;
    options.root_fd = openat(scratch, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    options.owners_fd = memfd_create("owners", MFD_CLOEXEC);
    target = openat(scratch, "flat", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    failed = pod_extract(source, &options, &result, &err);
    if (!failed && pod_owners_map(options.owners_fd, &owners, &err) < 0)
        abort(); /* what we wrote we must be able to read */
    if (!failed)
        pod_owners_unmap(&owners);
    flat.layer_fds = &options.root_fd;
    flat.owners_fds = &options.owners_fd;
    flat.target_fd = target;
    flat.owners_fd = memfd_create("flat", MFD_CLOEXEC);
    if (!failed && options.dialect != POD_DIALECT_PLAIN && pod_flatten(&flat, &err) < 0 &&
        err.errnum != ENAMETOOLONG)
        fprintf(stderr, "flatten: %s %s %s\n", pod_step_name(err.step), strerror(err.errnum),
                err.path);
    close(source);
    close(flat.owners_fd);
    close(target);
    close(options.root_fd);
    close(options.owners_fd);
    if (pod_rmtree(scratch, "root", &err) < 0 || pod_rmtree(scratch, "flat", &err) < 0)
        abort();
    return !failed;
}

static int is_empty(int scratch)
{
    DIR *dir = fdopendir(openat(scratch, ".", O_RDONLY | O_DIRECTORY));
    int count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count == 2;
}

int main(int count, char **words)
{
    uint64_t random = strtoull(words[1], NULL, 10) * 2654435761u + 88172645463325252u;
    unsigned rounds = (unsigned)atoi(words[2]);
    int scratch = open(words[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unsigned char *data = malloc(SAMPLE_MAX);
    unsigned taken = 0;

    if (scratch < 0 || !data)
        return 2;
    for (unsigned round = 0; round < rounds; round++) {
        int fd =
            open(words[4 + next_random(&random) % (unsigned)(count - 4)], O_RDONLY | O_CLOEXEC);
        ssize_t length = read(fd, data, SAMPLE_MAX);
        int result;

        close(fd);
        if (length <= 0)
            return 2;
        result = try_one(data, mutate(data, (size_t)length, &random), scratch, round);
        if (result < 0 || !is_empty(scratch))
            return 3;
        taken += (unsigned)result;
    }
    printf("%u rounds, %u archives taken\n", rounds, taken);
    free(data);
    return 0;
}
