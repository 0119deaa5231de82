#define _GNU_SOURCE 1

#include "decode.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "inflate.h"

#define INPUT_SIZE 131072

enum format { UNKNOWN, PLAIN, GZIP, ZSTD };

struct pod_decoder {
    struct pod_input from;
    int ended;   /* the input has told its end */
    int in_body; /* gzip: inside a member; zstd: inside a frame */
    enum format format;
    uint64_t blob_size;
    struct pod_inflate *inflate;
    ZSTD_DStream *zstd;
    struct pod_sha256 blob;
    size_t start; /* bytes not yet decoded: input[start..end) */
    size_t end;
    unsigned char input[INPUT_SIZE];
};

int pod_decoder_open(const struct pod_input *input, struct pod_decoder **decoder,
                     struct pod_err *err)
{
    struct pod_decoder *made = malloc(sizeof *made);

    if (!made)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    memset(made, 0, offsetof(struct pod_decoder, input));
    made->from = *input;
    pod_sha256_begin(&made->blob);
    *decoder = made;
    return 0;
}

void pod_decoder_close(struct pod_decoder **decoder)
{
    if (!*decoder)
        return;
    pod_inflate_close(&(*decoder)->inflate);
    ZSTD_freeDStream((*decoder)->zstd);
    free(*decoder);
    *decoder = NULL;
}

int pod_decoder_is_plain(const struct pod_decoder *decoder)
{
    return decoder->format == PLAIN;
}

void pod_decoder_sum(struct pod_decoder *decoder, unsigned char *digest, uint64_t *size)
{
    *size = decoder->blob_size;
    pod_sha256_end(&decoder->blob, digest);
}

static int read_more(struct pod_decoder *decoder, unsigned char *target, size_t room,
                     size_t *length, struct pod_err *err)
{
    if (pod_input_read(&decoder->from, target, room, length, err) < 0)
        return -1;
    decoder->ended = !*length;
    pod_sha256_add(&decoder->blob, target, *length);
    decoder->blob_size += *length;
    return 0;
}

/* Reads more behind input[start..end). */
static int fill(struct pod_decoder *decoder, struct pod_err *err)
{
    size_t got;

    if (decoder->start == decoder->end)
        decoder->start = decoder->end = 0;
    if (read_more(decoder, decoder->input + decoder->end, sizeof decoder->input - decoder->end,
                  &got, err) < 0)
        return -1;
    decoder->end += got;
    return 0;
}

static int has_magic(const struct pod_decoder *decoder, const char *magic, size_t length)
{
    return decoder->end >= length && memcmp(decoder->input, magic, length) == 0;
}

/* zstd frames begin 28 b5 2f fd; skippable ones 5? 2a 4d 18 (RFC 8878, 3.1.2). */
static int is_zstd(const struct pod_decoder *decoder)
{
    return has_magic(decoder, "\x28\xb5\x2f\xfd", 4) ||
           (decoder->end >= 4 && (decoder->input[0] & 0xf0) == 0x50 &&
            memcmp(decoder->input + 1, "\x2a\x4d\x18", 3) == 0);
}

static int detect(struct pod_decoder *decoder, struct pod_err *err)
{
    while (!decoder->ended && decoder->end < 6)
        if (fill(decoder, err) < 0)
            return -1;
    if (has_magic(decoder, "\x1f\x8b", 2)) {
        if (pod_inflate_open(&decoder->inflate, err) < 0)
            return -1;
        decoder->format = GZIP;
        decoder->in_body = 1;
    } else if (is_zstd(decoder)) {
        decoder->zstd = ZSTD_createDStream();
        if (!decoder->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(
                                  decoder->zstd, ZSTD_d_windowLogMax, POD_ZSTD_WINDOW_LOG_MAX)))
            return pod_fail_errno(err, POD_MEMORY, ENOMEM, "zstd");
        decoder->format = ZSTD;
    } else if (has_magic(decoder,
                         "\xfd"
                         "7zXZ",
                         5)) {
        return pod_fail_errno(err, POD_DECOMPRESS, EPROTONOSUPPORT, "xz");
    } else if (has_magic(decoder, "BZh", 3)) {
        return pod_fail_errno(err, POD_DECOMPRESS, EPROTONOSUPPORT, "bzip2");
    } else {
        decoder->format = PLAIN;
    }
    return 0;
}

/* RFC 1952: members follow one another; anything else behind the last one is no gzip. */
static int decode_gzip(struct pod_decoder *decoder, unsigned char *out, size_t room, size_t *length,
                       struct pod_err *err)
{
    struct pod_inflate_buffers buffers = {decoder->input + decoder->start,
                                          decoder->end - decoder->start, out, room};
    int ended;

    if (!decoder->in_body) {
        pod_inflate_again(decoder->inflate);
        decoder->in_body = 1;
    }
    ended = pod_inflate_run(decoder->inflate, &buffers, err);
    if (ended < 0)
        return -1;
    decoder->start = decoder->end - buffers.in_length;
    *length = room - buffers.out_length;
    decoder->in_body = !ended;
    return 0;
}

static int decode_zstd(struct pod_decoder *decoder, unsigned char *out, size_t room, size_t *length,
                       struct pod_err *err)
{
    ZSTD_inBuffer from = {decoder->input + decoder->start, decoder->end - decoder->start, 0};
    ZSTD_outBuffer to = {out, room, 0};
    size_t result = ZSTD_decompressStream(decoder->zstd, &to, &from);

    if (ZSTD_isError(result))
        return pod_fail_errno(err, POD_DECOMPRESS, EBADMSG, ZSTD_getErrorName(result));
    decoder->start += from.pos;
    *length = to.pos;
    decoder->in_body = result != 0;
    return 0;
}

static int next_plain(struct pod_decoder *decoder, unsigned char *out, size_t room, size_t *length,
                      struct pod_err *err)
{
    size_t kept = decoder->end - decoder->start;

    /* what was read to tell the format */
    kept = kept < room ? kept : room;
    memcpy(out, decoder->input + decoder->start, kept);
    decoder->start += kept;
    *length = kept;
    while (*length < room && !decoder->ended) {
        size_t got;

        if (read_more(decoder, out + *length, room - *length, &got, err) < 0)
            return -1;
        *length += got;
    }
    return 0;
}

static int next_decoded(struct pod_decoder *decoder, unsigned char *out, size_t room,
                        size_t *length, struct pod_err *err)
{
    *length = 0;
    while (*length < room) {
        size_t start = decoder->start;
        size_t got = 0;
        int failed;

        if (start == decoder->end && !decoder->ended) {
            if (fill(decoder, err) < 0)
                return -1;
            start = decoder->start;
        }
        if (start == decoder->end && !decoder->in_body)
            return 0;
        failed = decoder->format == GZIP
                     ? decode_gzip(decoder, out + *length, room - *length, &got, err)
                     : decode_zstd(decoder, out + *length, room - *length, &got, err);
        if (failed)
            return -1;
        *length += got;
        if (got || decoder->start != start)
            continue;
        if (start != decoder->end)
            return pod_fail_errno(err, POD_DECOMPRESS, EBADMSG, "decoder stands still");
        if (decoder->ended && decoder->in_body)
            return pod_fail_errno(err, POD_DECOMPRESS, ENODATA, "ends too early");
    }
    return 0;
}

int pod_decoder_next(struct pod_decoder *decoder, unsigned char *out, size_t room, size_t *length,
                     struct pod_err *err)
{
    if (decoder->format == UNKNOWN && detect(decoder, err) < 0)
        return -1;
    if (decoder->format == PLAIN)
        return next_plain(decoder, out, room, length, err);
    return next_decoded(decoder, out, room, length, err);
}
