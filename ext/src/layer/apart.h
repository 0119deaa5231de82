/* pod_extract in a process of its own, behind the walls of core/sandbox.h: what a bug of decoders or readers lets an archive do
 * reaches the tree that it fills, its owners record and its own digests, nothing else. The child is a fork, pure C; the caller
 * may have no other thread that holds a lock of the C library. It dies with the thread that started it. */
#ifndef POD_APART_H
#define POD_APART_H

#include <sys/types.h>

#include "../core/sandbox.h"
#include "extract.h"

struct pod_apart {
    pid_t child;
    int answer; /* gets one struct pod_apart_answer, or ends without where the child was killed */
};

struct pod_apart_answer {
    int32_t failed; /* then ERR says why */
    uint32_t walls; /* enum pod_wall */
    struct pod_extract_result result;
    struct pod_err err;
};

/* OPTIONS as for pod_extract; nobody is asked whether it is interrupted: killing the child does that. USERNS: as in
 * struct pod_sandbox. FD and the other descriptors stay the caller's. */
int pod_apart_start(int fd, const struct pod_extract_options *options, int userns,
                    struct pod_apart *apart, struct pod_err *err);
/* pod_decompress in such a process, which has no directory at all; result.sum is what came of it. */
int pod_apart_plain(int fd, int target, uint64_t max_bytes, int userns, struct pod_apart *apart,
                    struct pod_err *err);
/* Waits for its end; -1 with what it said, or step WAIT where it was killed. */
int pod_apart_finish(struct pod_apart *apart, struct pod_extract_result *result,
                     struct pod_err *err);

#endif
