/* A layer's stored bytes, hashed and decompressed: gzip of any number of members, zstd of any number
 * of frames, skippable ones among them (which is where zstd:chunked keeps its table of contents), or
 * plain; the first bytes tell. One thread's work. Memory: an input block and the decoder's own (gzip
 * 150 KB; zstd its window, 128 MB at most, commonly 8). */
#ifndef POD_DECODE_H
#define POD_DECODE_H

#include "input.h"
#include "sha256.h"

/* RFC 8878 lets a frame ask for a window of terabytes; zstd --long=27 is what its own tool accepts
 * unasked. */
#define POD_ZSTD_WINDOW_LOG_MAX 27

struct pod_decoder;

/* INPUT is copied. */
int pod_decoder_open(const struct pod_input *input, struct pod_decoder **decoder,
                     struct pod_err *err);
/* Fills OUT: *length is less than ROOM only at the end of the stream. */
int pod_decoder_next(struct pod_decoder *decoder, unsigned char *out, size_t room, size_t *length,
                     struct pod_err *err);
/* Whether what comes out is what goes in, so that one digest is enough; after the first block. */
int pod_decoder_is_plain(const struct pod_decoder *decoder);
/* Of the stored bytes, at the end. */
void pod_decoder_sum(struct pod_decoder *decoder, unsigned char *digest, uint64_t *size);
void pod_decoder_close(struct pod_decoder **decoder);

#endif
