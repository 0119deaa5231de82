/* One file's content into another: reflinked where the file system can, else by extents, holes
 * kept. */
#ifndef POD_COPYDATA_H
#define POD_COPYDATA_H

#include <sys/types.h>

#include "err.h"

#define POD_COPY_BUFFER_SIZE 65536

/* For all files of one copy. The buffer needs no clearing. */
struct pod_copy_data {
    int no_clone; /* what the file system refused once is not asked for again */
    int no_range;
    char buffer[POD_COPY_BUFFER_SIZE];
};

/* SIZE bytes from SRC to the empty file DST. NAME is for *err. */
int pod_copy_data(struct pod_copy_data *copy, int src, int dst, off_t size, const char *name,
                  struct pod_err *err);

#endif
