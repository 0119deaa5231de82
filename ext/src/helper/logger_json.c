/* Text to the inside of a JSON string, sixteen bytes at a time where nothing is to be escaped. */
#include <string.h>

#include "logger_file.h"
#include "utf8.h"

typedef signed char block __attribute__((vector_size(16)));

void pod_log_stamp(char text[POD_STAMP], const struct timespec *when)
{
    static _Thread_local time_t second = -1;
    static _Thread_local char date[24];
    long rest = when->tv_nsec;
    struct tm tm;

    if (when->tv_sec != second) {
        gmtime_r(&when->tv_sec, &tm);
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S.", &tm);
        second = when->tv_sec;
    }
    memcpy(text, date, 20);
    for (int i = 28; i >= 20; i--, rest /= 10)
        text[i] = (char)('0' + rest % 10);
    text[29] = 'Z';
}

static size_t escape_ascii(char *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char names[] = "btn\0fr"; /* of 8 … 13; 11 has none */

    out[0] = '\\';
    if (c == '"' || c == '\\') {
        out[1] = (char)c;
        return 2;
    }
    if (c >= 8 && c <= 13 && c != 11) {
        out[1] = names[c - 8];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

static size_t escape_one(char *out, const unsigned char *bytes, size_t left, size_t *taken)
{
    unsigned char c = bytes[0];
    size_t length;

    *taken = 1;
    if (c < 0x80) {
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
            return escape_ascii(out, c);
        out[0] = (char)c;
        return 1;
    }
    length = pod_utf8_length(bytes, left);
    if (!length) {
        memcpy(out, "\\ufffd", 6);
        return 6;
    }
    *taken = length;
    memcpy(out, bytes, length);
    return length;
}

/* Copies up to the first byte that is not plain printable ASCII; whole blocks only. Both places have 16 bytes. */
static inline __attribute__((always_inline)) size_t copy_plain(char *out, const char *bytes,
                                                               size_t length)
{
    size_t done = 0;

    for (; length - done >= sizeof(block); done += sizeof(block)) {
        block b;
        unsigned long long found[2];
        memcpy(&b, bytes + done, sizeof b);
        memcpy(out + done, &b, sizeof b);
        block odd =
            (b < 0x20) | (b == '"') | (b == '\\') | (b == 0x7f); /* signed: from 0x80 on, too */
        memcpy(found, &odd, sizeof found);
        if (found[0])
            return done + (size_t)__builtin_ctzll(found[0]) / 8;
        if (found[1])
            return done + 8 + (size_t)__builtin_ctzll(found[1]) / 8;
    }
    return done;
}

size_t pod_log_escape(char *out, size_t room, const char *bytes, size_t length, size_t readable,
                      size_t *taken)
{
    size_t used = 0, at = 0;

    while (at < length && room - used >= 32) {
        size_t look = readable - at < room - used - 16 ? readable - at : room - used - 16;
        size_t step = copy_plain(out + used, bytes + at, look);
        if (step > length - at)
            step = length - at;
        at += step;
        used += step;
        if (at == length || room - used < 32)
            break;
        /* A block's odd byte, or one of an end that fills no block. */
        size_t took;
        used += escape_one(out + used, (const unsigned char *)bytes + at, length - at, &took);
        at += took;
    }
    *taken = at;
    return used;
}

size_t pod_log_escape_line(char *out, size_t room, const char *bytes, size_t length, size_t *wrote)
{
    size_t used = 0, at = 0, took;

    while (room - used >= 32) {
        size_t look = length - at < room - used - 16 ? length - at : room - used - 16;
        size_t step = copy_plain(out + used, bytes + at, look);
        at += step;
        used += step;
        if (at == length || room - used < 32)
            break;
        if (bytes[at] == '\n') {
            *wrote = used;
            return at + 1;
        }
        used += escape_one(out + used, (const unsigned char *)bytes + at, length - at, &took);
        at += took;
        if (at >= length)
            break;
    }
    return 0;
}
