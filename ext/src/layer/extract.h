/* A layer's archive, from a descriptor into a directory. */
#ifndef POD_EXTRACT_H
#define POD_EXTRACT_H

#include "source.h"

enum pod_dialect {
    POD_DIALECT_OVERLAY, /* whiteouts and opaque directories as overlay on user xattrs wants them */
    POD_DIALECT_AUFS, /* as the archive has them, empty files ".wh.NAME": for flatten */
    POD_DIALECT_PLAIN, /* no layer at all: such names are ordinary names (import, ADD, cp) */
};

struct pod_extract_options {
    int root_fd;
    int owners_fd; /* an empty file open for reading and writing */
    int mapped; /* root in a user namespace with a range of ids: chown for real */
    enum pod_dialect dialect;
    uint64_t max_bytes; /* of the decompressed archive, and of the files' sizes together */
    uint64_t max_entries;
    int follow; /* of a blob that is still being written (input.h), or -1 */
    int umask_is_0; /* of this process: it need not be looked up */
    int threads; /* as many as are worth while (1), or none (0) */
    /* As cp does: the root stays as it is, and what is a directory on one side alone is COPY, EISDIR (on the disk) or ENOTDIR
     * (in the archive), instead of being replaced. */
    int merge;
    pod_interrupted interrupted; /* in the calling thread, or NULL */
    void *context;
};

struct pod_extract_result {
    struct pod_source_sum sum;
    uint64_t entries;
};

/* Reads FD to its end, or as far as `follow` says. On failure the tree is half made, with modes open for the owner: for the
 * caller to remove. */
int pod_extract(int fd, const struct pod_extract_options *options,
                struct pod_extract_result *result, struct pod_err *err);

/* Which of OVERLAY and AUFS the file system of the directory DIRFD can hold: tries a whiteout node
 * and the opaque mark. */
int pod_probe_dialect(int dirfd, enum pod_dialect *dialect, struct pod_err *err);

#endif
