/* A stream of bytes to a layer as it is stored: as it is, gzip or zstd, with the digests of both sides in the same pass.
 *
 *      source ─► piece of POD_PIECE_SIZE bytes ─► some thread: compressed ─► in their order: target
 *                  └─► SHA-256, CRC                                        └─► SHA-256
 *
 * A piece is compressed by itself (gzip: one member, of blocks that end at a byte; zstd: a frame each), so the same bytes give
 * the same layer, whatever number of threads there is, and no clock or name gets into it. Memory: two pieces and a half a
 * thread, of which there are POD_COMPRESSORS at most. */
#ifndef POD_COMPRESS_H
#define POD_COMPRESS_H

#include "source.h"

#define POD_PIECE_SIZE 524288
#define POD_COMPRESSORS 8
#define POD_ZSTD_LEVEL 3

enum pod_compression { POD_COMPRESS_NONE, POD_COMPRESS_GZIP, POD_COMPRESS_ZSTD };

/* Reads SOURCE to its end and writes to TARGET. *SUM: `blob` is what was written, `diff` what was read. INTERRUPTED (or NULL) is
 * asked ten times a second; not 0 ends it with EINTR, step READ. THREADS: 0 for as many as there are processors. */
struct pod_compress_options {
    int source;
    int target;
    enum pod_compression kind;
    int threads;
    pod_interrupted interrupted;
    void *context;
};
int pod_compress(const struct pod_compress_options *options, struct pod_source_sum *sum,
                 struct pod_err *err);

/* The other way: the layer SOURCE, however it is compressed, to TARGET, plain, MAX_BYTES at most. *SUM: `blob` is what was read,
 * `diff` what was written. */
int pod_decompress(int source, int target, uint64_t max_bytes, struct pod_patience *patience,
                   struct pod_source_sum *sum, struct pod_err *err);

/* All of DATA to FD; step WRITE. */
int pod_write_all(int fd, const void *data, size_t length, struct pod_err *err);

#endif
