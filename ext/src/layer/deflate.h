/* DEFLATE (RFC 1951) of one piece of a stream by itself, by the library of LIBS: pieces follow one another in one gzip member,
 * each begins and ends at a byte and knows nothing of the others. So they may be made by any thread. */
#ifndef POD_DEFLATE_H
#define POD_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

#include "../core/err.h"

/* Room that a piece of LENGTH bytes needs at most: what does not shrink is stored. */
#define POD_DEFLATE_ROOM(length) ((length) + (length) / 1024 + 1024)

struct pod_deflate;

int pod_deflate_open(struct pod_deflate **deflate, struct pod_err *err);
/* IN, LENGTH bytes (one at least), to OUT, which has POD_DEFLATE_ROOM: *put bytes, of which no block is the last. */
int pod_deflate_run(struct pod_deflate *deflate, const unsigned char *in, size_t length,
                    unsigned char *out, size_t *put, struct pod_err *err);
/* gzip's checksum of what came before, which is 0 at first, and IN. */
uint32_t pod_deflate_crc(uint32_t before, const unsigned char *in, size_t length);
void pod_deflate_close(struct pod_deflate **deflate);

#endif
