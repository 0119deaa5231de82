/* DEFLATE in gzip's wrapping (RFC 1951, 1952), one member after another, by the library of LIBS. */
#ifndef POD_INFLATE_H
#define POD_INFLATE_H

#include <stddef.h>

#include "../core/err.h"

struct pod_inflate;

/* What is left of the two buffers; moved on by pod_inflate_run. */
struct pod_inflate_buffers {
    const unsigned char *in;
    size_t in_length;
    unsigned char *out;
    size_t out_length;
};

int pod_inflate_open(struct pod_inflate **inflate, struct pod_err *err);
/* Decodes until one of the buffers is used up (0) or the member has ended, its length and CRC being
 * right (1). A member that is none is step DECOMPRESS, EBADMSG. */
int pod_inflate_run(struct pod_inflate *inflate, struct pod_inflate_buffers *buffers,
                    struct pod_err *err);
/* Makes ready for the next member. */
void pod_inflate_again(struct pod_inflate *inflate);
void pod_inflate_close(struct pod_inflate **inflate);

#endif
