/* The reader's state, which its parts share: tar.c reads headers, sparse.c those of sparse files, both
 * from tar_stream.c. */
#ifndef POD_TAR_READER_H
#define POD_TAR_READER_H

#include "pax.h"
#include "ustar.h"

struct pod_tar {
    struct pod_source *source;
    const unsigned char *data; /* of the source's block not yet consumed */
    size_t length;
    uint64_t left; /* of the entry's data */
    uint64_t padding; /* behind it */
    uint64_t position;
    char *long_name; /* GNU 'L' and 'K' */
    char *long_link;
    struct pod_pax global;
    struct pod_pax local;
    struct pod_tar_entry entry;
    struct pod_tar_xattr *xattrs; /* of both, where global has any */
    char name[sizeof(((struct pod_tar_header *)0)->prefix) + 1 +
              sizeof(((struct pod_tar_header *)0)->name) + 1];
    char link[sizeof(((struct pod_tar_header *)0)->link) + 1];
    unsigned char block[POD_TAR_BLOCK_SIZE];
};

/* ---- tar_stream.c ----------------------------------------------------- */

/* Names the entry at hand. */
int pod_tar_fail(struct pod_tar *tar, enum pod_step step, int errnum, struct pod_err *err);
/* Up to WANTED bytes of the stream; *length 0 at its end. */
int pod_tar_some(struct pod_tar *tar, uint64_t wanted, const unsigned char **data, size_t *length,
                 struct pod_err *err);
int pod_tar_skip(struct pod_tar *tar, uint64_t count, struct pod_err *err);
/* Exactly LENGTH bytes of the stream; 0 at a clean end of it (only when ATEND), else ENODATA. */
int pod_tar_take(struct pod_tar *tar, void *target, size_t length, int atend, struct pod_err *err);

/* ---- sparse.c ----------------------------------------------------- */

/* The map of a sparse file, in any of the formats, whose header is at hand (TYPE): the entry's size
 * and regions. Nothing for a file that is not sparse. */
int pod_tar_read_sparse(struct pod_tar *tar, char type, struct pod_err *err);

#endif
