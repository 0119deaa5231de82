/* gzip, zstd and plain: a layer's stored bytes, decompressed. Once from a file that is whole, once from one that grows: both
 * must say the same. The first byte chooses the sizes of reads and of growth. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../../ext/src/layer/decode.h"
#include "fuzz.h"

#define BYTES_MAX (1u << 20)

struct outcome {
    uint64_t hash, bytes;
    int failed, whole;
    unsigned char digest[POD_SHA256_SIZE];
    uint64_t stored;
};

static struct outcome decode(const struct pod_input *input, size_t room)
{
    struct outcome outcome = {.hash = 14695981039346656037u};
    struct pod_decoder *decoder = NULL;
    unsigned char *out = malloc(room);
    struct pod_err err;
    size_t length = room;

    CLAIM(out);
    outcome.failed = pod_decoder_open(input, &decoder, &err);
    while (!outcome.failed && length == room && outcome.bytes < BYTES_MAX) {
        outcome.failed = pod_decoder_next(decoder, out, room, &length, &err);
        CLAIM(outcome.failed || length <= room);
        for (size_t i = 0; !outcome.failed && i < length; i++)
            outcome.hash = (outcome.hash ^ out[i]) * 1099511628211u;
        outcome.bytes += outcome.failed ? 0 : length;
    }
    outcome.whole = !outcome.failed && length < room;
    if (outcome.whole)
        pod_decoder_sum(decoder, outcome.digest, &outcome.stored);
    pod_decoder_close(&decoder);
    free(out);
    return outcome;
}

/* The pipe tells of SIZE bytes in steps, all of them at once, for it has one reader and no writer meanwhile. */
static int growing(size_t size, size_t step)
{
    int ends[2];

    CLAIM(!pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    for (uint64_t there = step; there < size && there < step * 500; there += step)
        CLAIM(write(ends[1], &there, sizeof there) == sizeof there);
    uint64_t all = size | POD_INPUT_FINAL;
    CLAIM(write(ends[1], &all, sizeof all) == sizeof all);
    close(ends[1]);
    return ends[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t rooms[] = {1 << 16, 4096, 1000, 100};
    struct pod_input input = {.follow = -1};
    struct outcome first, second;
    int how = size ? data[0] : 0;
    size_t room = rooms[how & 3];

    size -= !!size;
    input.fd = fuzz_file(data + 1, size);
    first = decode(&input, room);
    input = (struct pod_input){.fd = input.fd, .follow = growing(size, 1 + (size_t)how * 7)};
    second = decode(&input, room);
    CLAIM(first.failed == second.failed && first.whole == second.whole);
    if (first.whole) {
        CLAIM(first.hash == second.hash && first.bytes == second.bytes);
        CLAIM(!memcmp(first.digest, second.digest, sizeof first.digest));
        CLAIM(first.stored == size && second.stored == size);
    }
    close(input.fd);
    close(input.follow);
    return 0;
}
