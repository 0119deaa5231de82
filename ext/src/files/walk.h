/* The way through a tree of strangers, in the order of names: what packs, compares and measures trees rests on it.
 *
 * Each entry is opened once (O_PATH, no link followed) and everything about it comes from that descriptor: whoever swaps
 * names meanwhile gets one or the other, never a mixture, and never leads out. Memory is bounded: the names of the
 * directories on the way are sorted in one buffer of POD_WALK_NAMES_MAX bytes; a directory that does not fit any more is
 * taken in the order that the disk has. Descriptors are bounded: those of directories far above are closed and found
 * again by "..", which must lead to the same. */
#ifndef POD_WALK_H
#define POD_WALK_H

#include <sys/stat.h>

#include "../core/err.h"

#define POD_WALK_NAMES_MAX (48u << 20)
#define POD_WALK_DEPTH_MAX 4096

struct pod_walk_entry {
    int fd; /* O_PATH */
    int parent; /* the directory that it was found in, O_RDONLY */
    const char *name;
    const char *path; /* below the top, without a leading slash */
    size_t depth; /* 1: right in the top */
    struct stat st;
};

struct pod_walker {
    /* 1: go into that directory; 0: go on; -1: end. */
    int (*entry)(void *context, const struct pod_walk_entry *entry, struct pod_err *err);
    /* A directory that was gone into is done; may be NULL. */
    int (*left)(void *context, struct pod_err *err);
    void *context;
};

/* Everything below the directory FD (O_PATH will do). */
int pod_walk(int fd, const struct pod_walker *walker, struct pod_err *err);

/* Bytes of the regular files below FD, one with several names once as long as memory is small. */
int pod_tree_size(int fd, uint64_t *bytes, struct pod_err *err);

#endif
