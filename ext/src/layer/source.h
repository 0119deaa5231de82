/* The bytes of a layer: read from a descriptor, hashed, decompressed, hashed again.
 *
 *      fd ──read──► input block ──SHA-256 (blob)──► decoder ──► output block ──SHA-256 (diff)──► the caller
 *
 * Each stage hands on whole blocks and keeps no pointer into the one before, so that stages can
 * move to threads of their own. Memory: two blocks, plus the decoder (zlib 40 KB; zstd at most its
 * window, 128 MB). */
#ifndef POD_SOURCE_H
#define POD_SOURCE_H

#include "input.h"
#include "sha256.h"

#define POD_BLOCK_SIZE 262144
/* RFC 8878 lets a frame ask for a window of terabytes; zstd --long=27 is what its own tool accepts
 * unasked. */
#define POD_ZSTD_WINDOW_LOG_MAX 27

struct pod_source;

struct pod_source_sum {
    unsigned char blob[POD_SHA256_SIZE];
    unsigned char diff[POD_SHA256_SIZE];
    uint64_t blob_size;
    uint64_t diff_size;
};

/* Reads INPUT (copied) to its end; the format (gzip of any number of members, zstd of any number of
 * frames, plain) is told by the first bytes. More than MAX_BYTES decompressed is step LIMIT,
 * EFBIG. */
int pod_source_open(const struct pod_input *input, uint64_t max_bytes, struct pod_source **source,
                    struct pod_err *err);
/* The next block of decompressed bytes, valid until the next call; *length 0 at the end. */
int pod_source_next(struct pod_source *source, const unsigned char **data, size_t *length,
                    struct pod_err *err);
/* Digests and sizes, after pod_source_next has told the end. */
void pod_source_sum(struct pod_source *source, struct pod_source_sum *sum);
void pod_source_close(struct pod_source **source);

#endif
