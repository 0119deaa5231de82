/* A writer of tar streams: ustar headers, and PAX extended headers where ustar cannot say it (POSIX.1-2017 pax): long paths
 * and links, ids from 2 097 152 on, sizes from 8 GiB on, times before 1970, extended attributes (SCHILY.xattr), sparse files
 * (GNU's format 1.0). The same entries give the same bytes: no names of users, no clock, no process id. */
#ifndef POD_TAR_OUT_H
#define POD_TAR_OUT_H

#include "tar.h"

#define POD_TAR_OUT_BUFFER 65536

/* Zero at first, but for FD. */
struct pod_tar_out {
    int fd;
    uint64_t bytes; /* given to FD, or waiting in the buffer */
    uint64_t left; /* of the entry's data */
    uint64_t padding; /* behind it */
    char *pax;
    size_t pax_used, pax_room;
    size_t used;
    unsigned char buffer[POD_TAR_OUT_BUFFER];
};

/* The head of ENTRY, whose path is not empty; a directory's gets its slash. Of a file with contents STORED bytes follow by
 * pod_tar_out_data: SIZE of them, or those of the regions where it is sparse. */
int pod_tar_out_entry(struct pod_tar_out *out, const struct pod_tar_entry *entry,
                      struct pod_err *err);
int pod_tar_out_data(struct pod_tar_out *out, const void *data, size_t length, struct pod_err *err);
/* Zeros for what is missing of the entry's data. */
int pod_tar_out_fill(struct pod_tar_out *out, struct pod_err *err);
/* The end of the archive; everything is written. */
int pod_tar_out_finish(struct pod_tar_out *out, struct pod_err *err);
void pod_tar_out_free(struct pod_tar_out *out);

#endif
