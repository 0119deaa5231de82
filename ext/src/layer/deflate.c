/* ISA-L's first level writes at several times the speed of zlib's. zlib stands in for it where the host of a development build
 * lacks it; its bytes are others. */
#include "deflate.h"

#include <stdlib.h>
#include <string.h>

#if __has_include(<isa-l/igzip_lib.h>)
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

struct pod_deflate {
    struct isal_zstream stream;
    uint8_t level[ISAL_DEF_LVL1_DEFAULT];
};

int pod_deflate_open(struct pod_deflate **deflate, struct pod_err *err)
{
    *deflate = malloc(sizeof **deflate);
    return *deflate ? 0 : pod_fail_errno(err, POD_MEMORY, ENOMEM, "gzip");
}

int pod_deflate_run(struct pod_deflate *deflate, const unsigned char *in, size_t length,
                    unsigned char *out, size_t *put, struct pod_err *err)
{
    struct isal_zstream *stream = &deflate->stream;
    size_t room = POD_DEFLATE_ROOM(length);
    int result;

    isal_deflate_stateless_init(stream);
    /* Init leaves it: the window, and with it the bytes, would be chance. */
    stream->hist_bits = 0;
    stream->level = 1;
    stream->level_buf = deflate->level;
    stream->level_buf_size = sizeof deflate->level;
    stream->flush = FULL_FLUSH;
    stream->next_in = (uint8_t *)(uintptr_t)in;
    stream->avail_in = (uint32_t)length;
    stream->next_out = out;
    stream->avail_out = (uint32_t)room;
    result = isal_deflate_stateless(stream);
    if (result != COMP_OK || stream->avail_in)
        return pod_fail_errno(err, POD_COMPRESS, EIO, "gzip");
    *put = room - stream->avail_out;
    return 0;
}

uint32_t pod_deflate_crc(uint32_t before, const unsigned char *in, size_t length)
{
    return crc32_gzip_refl(before, in, length);
}

void pod_deflate_close(struct pod_deflate **deflate)
{
    free(*deflate);
    *deflate = NULL;
}

#else
#include <zlib.h>

struct pod_deflate {
    z_stream stream;
};

int pod_deflate_open(struct pod_deflate **encoder, struct pod_err *err)
{
    *encoder = calloc(1, sizeof **encoder);
    if (*encoder &&
        deflateInit2(&(*encoder)->stream, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK)
        return 0;
    free(*encoder);
    *encoder = NULL;
    return pod_fail_errno(err, POD_MEMORY, ENOMEM, "gzip");
}

int pod_deflate_run(struct pod_deflate *encoder, const unsigned char *in, size_t length,
                    unsigned char *out, size_t *put, struct pod_err *err)
{
    z_stream *stream = &encoder->stream;
    size_t room = POD_DEFLATE_ROOM(length);

    deflateReset(stream);
    stream->next_in = (Bytef *)(uintptr_t)in;
    stream->avail_in = (unsigned)length;
    stream->next_out = out;
    stream->avail_out = (unsigned)room;
    if (deflate(stream, Z_FULL_FLUSH) != Z_OK || stream->avail_in || !stream->avail_out)
        return pod_fail_errno(err, POD_COMPRESS, EIO, "gzip");
    *put = room - stream->avail_out;
    return 0;
}

uint32_t pod_deflate_crc(uint32_t before, const unsigned char *in, size_t length)
{
    return (uint32_t)crc32(before, in, (unsigned)length);
}

void pod_deflate_close(struct pod_deflate **encoder)
{
    if (*encoder)
        deflateEnd(&(*encoder)->stream);
    free(*encoder);
    *encoder = NULL;
}

#endif
