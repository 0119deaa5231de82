#include "logger_gzip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "err.h"

#define WINDOW 32768u
#define HASHES 16384u
#define LONGEST 258u

/* In the process that compresses alone; pages that are never touched cost nothing. */
static struct {
    int in, out, failed;
    uint32_t crc, size;
    uint32_t table[256];
    uint32_t heads[HASHES]; /* position + 1 in the stream of the last bytes with that hash */
    unsigned char window[4 * WINDOW];
    uint32_t have;   /* bytes in WINDOW */
    uint32_t before; /* position of its first byte */
    uint64_t bits;
    unsigned bit_count;
    size_t used;
    unsigned char buffer[65536];
} z;

static void drain(void)
{
    size_t done = 0;

    while (done < z.used && !z.failed) {
        ssize_t wrote = write(z.out, z.buffer + done, z.used - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            z.failed = 1;
        else
            done += (size_t)wrote;
    }
    z.used = 0;
}

static void put_bits(uint32_t value, unsigned count)
{
    z.bits |= (uint64_t)value << z.bit_count;
    z.bit_count += count;
    while (z.bit_count >= 8) {
        if (z.used == sizeof z.buffer)
            drain();
        z.buffer[z.used++] = (unsigned char)z.bits;
        z.bits >>= 8;
        z.bit_count -= 8;
    }
}

static void put_word(uint32_t value)
{
    put_bits(value & 0xffff, 16);
    put_bits(value >> 16, 16);
}

/* Huffman codes go with their first bit first. */
static void put_code(uint32_t code, unsigned count)
{
    uint32_t turned = 0;

    for (unsigned i = 0; i < count; i++)
        turned |= (code >> i & 1) << (count - 1 - i);
    put_bits(turned, count);
}

/* The fixed code of a literal or a length (RFC 1951, 3.2.6). */
static void put_symbol(uint32_t symbol)
{
    if (symbol < 144)
        put_code(0x30 + symbol, 8);
    else if (symbol < 256)
        put_code(0x190 + symbol - 144, 9);
    else if (symbol < 280)
        put_code(symbol - 256, 7);
    else
        put_code(0xc0 + symbol - 280, 8);
}

static unsigned log2_of(uint32_t value)
{
    return 31 - (unsigned)__builtin_clz(value);
}

/* Symbol and further bits of a length 3…258, of a distance 1…32768 (RFC 1951, 3.2.5, worked out instead of looked up). */
static void put_match(uint32_t length, uint32_t distance)
{
    uint32_t rest = length - 3, more = rest < 8 ? 0 : log2_of(rest) - 2;

    if (length == LONGEST) {
        put_symbol(285);
    } else {
        put_symbol(257 + (more << 2) + (rest >> more));
        put_bits(rest & ((1u << more) - 1), more);
    }
    rest = distance - 1;
    more = rest < 4 ? 0 : log2_of(rest) - 1;
    put_code((more << 1) + (rest >> more), 5);
    put_bits(rest & ((1u << more) - 1), more);
}

static uint32_t hash_at(uint32_t at)
{
    uint32_t four;

    memcpy(&four, z.window + at, 4);
    return four * 2654435761u >> 18;
}

/* Length of the match of the bytes at AT with earlier ones, at most LEFT, and its DISTANCE; 0 without one. */
static uint32_t match_at(uint32_t at, uint32_t left, uint32_t *distance)
{
    uint32_t *head = z.heads + hash_at(at), here = z.before + at, earlier = *head, length = 0;

    *head = here + 1;
    *distance = here + 1 - earlier;
    if (!earlier || *distance > WINDOW || *distance > at)
        return 0;
    while (length < left && length < LONGEST &&
           z.window[at + length] == z.window[at - *distance + length])
        length++;
    return length < 4 ? 0 : length;
}

/* Codes what is in the window from AT on, up to END; returns where it stopped. */
static uint32_t code(uint32_t at, uint32_t end)
{
    uint32_t distance = 0;

    while (at < end) {
        uint32_t left = z.have - at, length = left < 4 ? 0 : match_at(at, left, &distance);
        if (!length) {
            put_symbol(z.window[at++]);
            continue;
        }
        put_match(length, distance);
        for (uint32_t last = at++ + length; at < last; at++)
            if (z.have - at >= 4)
                z.heads[hash_at(at)] = z.before + at + 1;
    }
    return at;
}

static void add_to_checksum(const unsigned char *bytes, uint32_t length)
{
    uint32_t crc = ~z.crc;

    for (uint32_t i = 0; i < length; i++)
        crc = crc >> 8 ^ z.table[(crc ^ bytes[i]) & 255];
    z.crc = ~crc;
    z.size += length;
}

static int fill(void)
{
    ssize_t got;

    while (z.have < sizeof z.window) {
        got = read(z.in, z.window + z.have, sizeof z.window - z.have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            z.failed = 1;
        if (got <= 0)
            return 0;
        add_to_checksum(z.window + z.have, (uint32_t)got);
        z.have += (uint32_t)got;
    }
    return 1;
}

static void deflate(void)
{
    uint32_t at = 0;
    int more = 1;

    put_bits(1 | 1 << 1, 3); /* one block, the last, fixed codes */
    while (more && !z.failed) {
        more = fill();
        at = code(at, more ? z.have - LONGEST : z.have);
        if (!more)
            break;
        uint32_t gone = at - WINDOW;
        memmove(z.window, z.window + gone, z.have - gone);
        z.have -= gone;
        z.before += gone;
        at -= gone;
    }
    put_symbol(256);
    put_bits(0, (8 - z.bit_count) & 7);
}

int pod_log_gzip(int dirfd, const char *name, const char *temporary, const char *final)
{
    static const unsigned char head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255};
    POD_AUTO_FD int in = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (in < 0 || flock(in, LOCK_EX | LOCK_NB))
        return 0;
    POD_AUTO_FD int out =
        openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0)
        return 0;
    memset(&z, 0, sizeof z);
    z.in = in;
    z.out = out;
    for (uint32_t i = 0; i < 256; i++) {
        z.table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            z.table[i] = z.table[i] >> 1 ^ (z.table[i] & 1 ? 0xedb88320u : 0);
    }
    for (unsigned i = 0; i < sizeof head; i++)
        put_bits(head[i], 8);
    deflate();
    put_word(z.crc);
    put_word(z.size);
    drain();
    if (z.failed || renameat(dirfd, temporary, dirfd, final)) {
        unlinkat(dirfd, temporary, 0);
        return 0;
    }
    unlinkat(dirfd, name, 0);
    return 1;
}
