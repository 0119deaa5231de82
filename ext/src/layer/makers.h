/* Small files made by other threads, beside the one that reads the archive, which helps when they cannot keep up.
 *
 * Who makes a file gets one name that nothing has, in a directory that this archive made and that is open (folder.h): so
 * nothing could lead elsewhere. Nothing in the archive may be about that name before the file is there: pod_dirs_note sees
 * to that by pod_makers_settle. Everything else that gives a tree its shape is done by the reading thread alone, in the
 * archive's order.
 *
 * Files go by the batch. Of a batch all files are made first, then written, given their times and closed, one by one. On
 * ext4 only one thread makes files at a time: two that do take turns at inodes of one block of the inode table, find that
 * the other has used the block, and read it from the disk, one waiting for the other (a fifth of all blocks, measured).
 * Making is there what all waits for (half of all processor time), so nobody waits for his turn at it: one thread makes batch
 * after batch, and whoever else is free writes what was made. Memory: POD_BATCHES of POD_BATCH_FILES; the data stays in the
 * source's blocks. Descriptors: POD_BATCH_FILES for each of some six batches, where there are so many; where there are not,
 * the reading thread waits for each file that it leaves to others.
 */
#ifndef POD_MAKERS_H
#define POD_MAKERS_H

#include <sys/stat.h>

#include "folder.h"
#include "source.h"

#define POD_MAKERS 2
#define POD_BATCHES 16
#define POD_BATCH_FILES 32
#define POD_BATCH_BYTES 262144
/* A file that is larger is left to writers.h. */
#define POD_MADE_MAX 32768

/* A file to be made. */
struct pod_making {
    struct pod_folder *folder;
    const char *name;
    mode_t mode; /* for open(2) */
    mode_t set_mode; /* to be set, or (mode_t)-1 */
    struct timespec time;
    struct pod_block *block; /* or NULL for an empty file */
    const unsigned char *data;
    size_t length;
};

struct pod_makers;

/* ROOTFD tells the file system. Threads are begun with the first batch. */
int pod_makers_open(int rootfd, struct pod_patience *patience, struct pod_makers **makers,
                    struct pod_err *err);
/* Calls ON_WANT while descriptors are waited for: others shall give theirs back. */
void pod_makers_on_want(struct pod_makers *makers, void (*on_want)(void *), void *context);
/* Makes a file some time; takes over the reference to the block, not the folder's. */
int pod_makers_add(struct pod_makers *makers, const struct pod_making *making, struct pod_err *err);
/* Lets a batch begin that is not full: before the reading thread waits for anything that it holds. The argument is a struct
 * pod_makers. */
void pod_makers_begin(void *makers);
/* Waits until all files are there. The argument is a struct pod_makers. */
int pod_makers_settle(void *makers, struct pod_err *err);
/* Whether there are too few descriptors to open a directory for them. */
int pod_makers_starve(struct pod_makers *makers);
/* What any of them failed with first, or 0. */
int pod_makers_check(struct pod_makers *makers, struct pod_err *err);
/* Drops what is not yet made. */
void pod_makers_close(struct pod_makers **makers);

#endif
