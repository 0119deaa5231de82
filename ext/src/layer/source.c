#define _GNU_SOURCE 1

#include "source.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum format { UNKNOWN, PLAIN, GZIP, ZSTD };

struct pod_source {
    struct pod_input from;
    int ended;   /* the input has told its end */
    int in_body; /* gzip: inside a member; zstd: inside a frame */
    enum format format;
    uint64_t max_bytes;
    uint64_t blob_size;
    uint64_t diff_size;
    z_stream zlib;
    ZSTD_DStream *zstd;
    struct pod_sha256 blob;
    struct pod_sha256 diff;
    size_t start; /* the input block's bytes not yet decoded: input[start..end) */
    size_t end;
    unsigned char input[POD_BLOCK_SIZE];
    unsigned char output[POD_BLOCK_SIZE];
};

int pod_source_open(const struct pod_input *input, uint64_t max_bytes, struct pod_source **source,
                    struct pod_err *err)
{
    struct pod_source *made = malloc(sizeof *made);

    if (!made)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    memset(made, 0, offsetof(struct pod_source, input));
    made->from = *input;
    made->max_bytes = max_bytes;
    pod_sha256_begin(&made->blob);
    pod_sha256_begin(&made->diff);
    *source = made;
    return 0;
}

void pod_source_close(struct pod_source **source)
{
    if (!*source)
        return;
    if ((*source)->format == GZIP)
        inflateEnd(&(*source)->zlib);
    ZSTD_freeDStream((*source)->zstd);
    free(*source);
    *source = NULL;
}

void pod_source_sum(struct pod_source *source, struct pod_source_sum *sum)
{
    sum->blob_size = source->blob_size;
    sum->diff_size = source->diff_size;
    pod_sha256_end(&source->blob, sum->blob);
    if (source->format == PLAIN || source->format == UNKNOWN)
        memcpy(sum->diff, sum->blob, sizeof sum->diff); /* the same bytes, hashed once */
    else
        pod_sha256_end(&source->diff, sum->diff);
}

/* Reads more input behind input[start..end). */
static int fill(struct pod_source *source, struct pod_err *err)
{
    size_t got;

    if (source->start == source->end)
        source->start = source->end = 0;
    if (pod_input_read(&source->from, source->input + source->end,
                       sizeof source->input - source->end, &got, err) < 0)
        return -1;
    if (got == 0)
        source->ended = 1;
    pod_sha256_add(&source->blob, source->input + source->end, got);
    source->blob_size += got;
    source->end += got;
    return 0;
}

static int has_magic(const struct pod_source *source, const char *magic, size_t length)
{
    return source->end >= length && memcmp(source->input, magic, length) == 0;
}

/* zstd frames begin 28 b5 2f fd; skippable ones 5? 2a 4d 18 (RFC 8878, 3.1.2). */
static int is_zstd(const struct pod_source *source)
{
    return has_magic(source, "\x28\xb5\x2f\xfd", 4) ||
           (source->end >= 4 && (source->input[0] & 0xf0) == 0x50 &&
            memcmp(source->input + 1, "\x2a\x4d\x18", 3) == 0);
}

static int detect(struct pod_source *source, struct pod_err *err)
{
    while (!source->ended && source->end < 6)
        if (fill(source, err) < 0)
            return -1;
    if (has_magic(source, "\x1f\x8b", 2)) {
        if (inflateInit2(&source->zlib, 16 + MAX_WBITS) != Z_OK)
            return pod_fail_errno(err, POD_MEMORY, ENOMEM, "gzip");
        source->format = GZIP;
        source->in_body = 1;
    } else if (is_zstd(source)) {
        source->zstd = ZSTD_createDStream();
        if (!source->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(source->zstd, ZSTD_d_windowLogMax,
                                                                 POD_ZSTD_WINDOW_LOG_MAX)))
            return pod_fail_errno(err, POD_MEMORY, ENOMEM, "zstd");
        source->format = ZSTD;
    } else if (has_magic(source,
                         "\xfd"
                         "7zXZ",
                         5)) {
        return pod_fail_errno(err, POD_DECOMPRESS, EPROTONOSUPPORT, "xz");
    } else if (has_magic(source, "BZh", 3)) {
        return pod_fail_errno(err, POD_DECOMPRESS, EPROTONOSUPPORT, "bzip2");
    } else {
        source->format = PLAIN;
    }
    return 0;
}

static int decode_plain(struct pod_source *source, const unsigned char **data, size_t *length)
{
    *data = source->input + source->start;
    *length = source->end - source->start;
    source->start = source->end;
    return 0;
}

/* RFC 1952: members follow one another; anything else behind the last one is no gzip. */
static int decode_gzip(struct pod_source *source, size_t *length, struct pod_err *err)
{
    z_stream *zlib = &source->zlib;
    int result;

    if (!source->in_body) {
        inflateReset(zlib);
        source->in_body = 1;
    }
    zlib->next_in = source->input + source->start;
    zlib->avail_in = (unsigned)(source->end - source->start);
    zlib->next_out = source->output + *length;
    zlib->avail_out = (unsigned)(sizeof source->output - *length);
    result = inflate(zlib, Z_NO_FLUSH);
    source->start = source->end - zlib->avail_in;
    *length = sizeof source->output - zlib->avail_out;
    if (result == Z_STREAM_END)
        source->in_body = 0;
    else if (result == Z_MEM_ERROR)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "gzip");
    else if (result != Z_OK && result != Z_BUF_ERROR)
        return pod_fail_errno(err, POD_DECOMPRESS, EBADMSG, zlib->msg ? zlib->msg : "gzip");
    return 0;
}

static int decode_zstd(struct pod_source *source, size_t *length, struct pod_err *err)
{
    ZSTD_inBuffer in = {source->input + source->start, source->end - source->start, 0};
    ZSTD_outBuffer out = {source->output + *length, sizeof source->output - *length, 0};
    size_t result = ZSTD_decompressStream(source->zstd, &out, &in);

    if (ZSTD_isError(result))
        return pod_fail_errno(err, POD_DECOMPRESS, EBADMSG, ZSTD_getErrorName(result));
    source->start += in.pos;
    *length += out.pos;
    source->in_body = result != 0;
    return 0;
}

static int decode(struct pod_source *source, const unsigned char **data, size_t *length,
                  struct pod_err *err)
{
    if (source->format == PLAIN)
        return decode_plain(source, data, length);
    *data = source->output;
    return source->format == GZIP ? decode_gzip(source, length, err)
                                  : decode_zstd(source, length, err);
}

int pod_source_next(struct pod_source *source, const unsigned char **data, size_t *length,
                    struct pod_err *err)
{
    *length = 0;
    if (source->format == UNKNOWN && detect(source, err) < 0)
        return -1;
    while (*length < (source->format == PLAIN ? 1 : sizeof source->output)) {
        size_t before = *length;
        size_t start = source->start;

        if (source->start == source->end && !source->ended && fill(source, err) < 0)
            return -1;
        if (source->start == source->end && !source->in_body)
            break;
        if (decode(source, data, length, err) < 0)
            return -1;
        if (*length == before && source->start == start && source->start == source->end &&
            source->ended)
            return pod_fail_errno(err, POD_DECOMPRESS, ENODATA, "ends too early");
    }
    source->diff_size += *length;
    if (source->diff_size > source->max_bytes)
        return pod_fail_errno(err, POD_LIMIT, EFBIG, "");
    if (source->format != PLAIN)
        pod_sha256_add(&source->diff, *data, *length);
    return 0;
}
