/* ISA-L, whose loop is written for the processor, decodes at more than twice the speed of zlib.
 * zlib stands in for it where the host of a development build lacks it. */
#include "inflate.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<isa-l/igzip_lib.h>)
#include <isa-l/igzip_lib.h>

struct pod_inflate {
    struct inflate_state state;
};

int pod_inflate_open(struct pod_inflate **inflate, struct pod_err *err)
{
    *inflate = malloc(sizeof **inflate);
    if (!*inflate)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "gzip");
    memset(*inflate, 0, sizeof **inflate);
    pod_inflate_again(*inflate);
    return 0;
}

void pod_inflate_again(struct pod_inflate *inflate)
{
    isal_inflate_init(&inflate->state);
    inflate->state.crc_flag = ISAL_GZIP;
}

static const char *words(int result)
{
    switch (result) {
    case ISAL_INVALID_WRAPPER:
    case ISAL_UNSUPPORTED_METHOD:
        return "incorrect header check";
    case ISAL_INCORRECT_CHECKSUM:
        return "incorrect data check";
    case ISAL_INVALID_LOOKBACK:
        return "invalid distance";
    default:
        return "invalid block";
    }
}

int pod_inflate_run(struct pod_inflate *inflate, struct pod_inflate_buffers *buffers,
                    struct pod_err *err)
{
    struct inflate_state *state = &inflate->state;
    int result;

    state->next_in = (uint8_t *)(uintptr_t)buffers->in;
    state->avail_in = (uint32_t)buffers->in_length;
    state->next_out = buffers->out;
    state->avail_out = (uint32_t)buffers->out_length;
    result = isal_inflate(state);
    buffers->in = state->next_in;
    buffers->in_length = state->avail_in;
    buffers->out = state->next_out;
    buffers->out_length = state->avail_out;
    if (result < 0)
        return pod_fail_errno(err, POD_DECOMPRESS, EBADMSG, words(result));
    return state->block_state == ISAL_BLOCK_FINISH;
}

void pod_inflate_close(struct pod_inflate **inflate)
{
    free(*inflate);
    *inflate = NULL;
}

#else
#include <zlib.h>

struct pod_inflate {
    z_stream stream;
};

int pod_inflate_open(struct pod_inflate **decoder, struct pod_err *err)
{
    *decoder = calloc(1, sizeof **decoder);
    if (*decoder && inflateInit2(&(*decoder)->stream, 16 + MAX_WBITS) == Z_OK)
        return 0;
    free(*decoder);
    *decoder = NULL;
    return pod_fail_errno(err, POD_MEMORY, ENOMEM, "gzip");
}

void pod_inflate_again(struct pod_inflate *decoder)
{
    inflateReset(&decoder->stream);
}

int pod_inflate_run(struct pod_inflate *decoder, struct pod_inflate_buffers *buffers,
                    struct pod_err *err)
{
    z_stream *stream = &decoder->stream;
    int result;

    stream->next_in = (Bytef *)(uintptr_t)buffers->in;
    stream->avail_in = (unsigned)buffers->in_length;
    stream->next_out = buffers->out;
    stream->avail_out = (unsigned)buffers->out_length;
    result = inflate(stream, Z_NO_FLUSH);
    buffers->in = stream->next_in;
    buffers->in_length = stream->avail_in;
    buffers->out = stream->next_out;
    buffers->out_length = stream->avail_out;
    if (result == Z_MEM_ERROR)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "gzip");
    if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END)
        return pod_fail_errno(err, POD_DECOMPRESS, EBADMSG, stream->msg ? stream->msg : "gzip");
    return result == Z_STREAM_END;
}

void pod_inflate_close(struct pod_inflate **decoder)
{
    if (*decoder)
        inflateEnd(&(*decoder)->stream);
    free(*decoder);
    *decoder = NULL;
}

#endif
