/* A layer's bytes as they are stored: a file or pipe read to its end, or a file that is still being
 * written.
 *
 * Of a growing file a second descriptor, `follow`, the read end of a pipe, tells how much is there:
 *
 *      message   8 bytes, little-endian: bytes valid from the file's start, never less than before;
 *                bit 63 set: that is all of it
 *      end of file before such a last message: whoever wrote has given up (READ, ECANCELED)
 *
 * The last whole message that can be read counts, so a writer may leave out messages (where the
 * pipe is full, say) as long as it sends the last one. The file is read by pread(2) from its start;
 * the pipe is looked at only when what is known to be valid is used up. Writers of messages need
 * not sync: both sides see the same page cache. */
#ifndef POD_INPUT_H
#define POD_INPUT_H

#include "../core/err.h"

#define POD_INPUT_FINAL (UINT64_C(1) << 63)

/* Asked before every block is read and every tenth of a second while waiting for one; not 0 ends
 * the work with EINTR (step READ). */
typedef int (*pod_interrupted)(void *context);

struct pod_input {
    int fd;
    int follow; /* or -1: read FD from where it stands to its end */
    pod_interrupted interrupted; /* or NULL */
    void *context;
    /* of a growing file; zero at first */
    uint64_t position;
    uint64_t valid;
    int final;
    size_t partial; /* bytes of a message that came in parts */
    unsigned char message[8];
};

/* Up to ROOM bytes into TARGET, at least one; *length 0 at the end. */
int pod_input_read(struct pod_input *input, void *target, size_t room, size_t *length,
                   struct pod_err *err);

#endif
