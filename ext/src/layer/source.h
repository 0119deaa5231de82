/* The bytes of a layer on their way to the caller, in blocks:
 *
 *      input ──► decoder: read, SHA-256 of the blob, decompress ──► block ──► the caller
 *                                                                     └────► SHA-256 of the diff
 *
 * With threads, decoder and second digest have one each and run ahead as far as there are blocks:
 * POD_BLOCKS × POD_BLOCK_SIZE = 4 MiB, so that they need no memory in proportion to the layer.
 * Blocks are counted references; whoever wants to keep the data at hand holds its block. A failure
 * of the decoder reaches the caller behind all that was decoded before: as if there were no
 * threads, which is also what is done where the process may have no more of them, or has one
 * processor. */
#ifndef POD_SOURCE_H
#define POD_SOURCE_H

#include "decode.h"
#include "threads.h"

#define POD_BLOCK_SIZE 131072
#define POD_BLOCKS 32

struct pod_source;
struct pod_block;

struct pod_source_sum {
    unsigned char blob[POD_SHA256_SIZE];
    unsigned char diff[POD_SHA256_SIZE];
    uint64_t blob_size;
    uint64_t diff_size;
};

/* Reads FD to its end, or as far as FOLLOW (or -1) says, see input.h. More than MAX_BYTES
 * decompressed is step LIMIT, EFBIG. THREADED asks for threads. *PATIENCE stays the caller's;
 * interrupted is step READ, EINTR. */
int pod_source_open(int fd, int follow, uint64_t max_bytes, int threaded,
                    struct pod_patience *patience, struct pod_source **source, struct pod_err *err);
/* Calls BEFORE_WAIT whenever the caller would have to wait for a block. */
void pod_source_on_wait(struct pod_source *source, void (*before_wait)(void *), void *context);
/* Whether it has threads. */
int pod_source_is_threaded(const struct pod_source *source);
/* The next piece of decompressed bytes, valid until the next call; *length 0 at the end. */
int pod_source_next(struct pod_source *source, const unsigned char **data, size_t *length,
                    struct pod_err *err);
/* Keeps the piece that came last until the block is released; by any thread. NULL where the source
 * has no threads: the bytes must be used at once. */
struct pod_block *pod_source_hold(struct pod_source *source);
void pod_block_release(struct pod_block *block);
/* Digests and sizes, after pod_source_next has told the end. */
void pod_source_sum(struct pod_source *source, struct pod_source_sum *sum);
/* Every block that was held is released by now. */
void pod_source_close(struct pod_source **source);

#endif
