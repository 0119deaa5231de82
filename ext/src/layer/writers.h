/* Files written by other threads, while the one that reads the archive makes and opens the next.
 *
 * What gives a tree its shape (names, links, directories, whiteouts, and what they replace) happens
 * in the reading thread alone, in the archive's order. A writer gets an open descriptor of a file
 * that was made just before, and never a path: whatever becomes of the file's name meanwhile, it
 * cannot be led elsewhere. Memory: POD_WRITER_JOBS jobs a writer; the data stays in the source's
 * blocks. Descriptors: one a file under way, POD_WRITERS × POD_WRITER_JOBS at most. */
#ifndef POD_WRITERS_H
#define POD_WRITERS_H

#include <sys/stat.h>

#include "source.h"

#define POD_WRITERS 2
#define POD_WRITER_JOBS 64

struct pod_writers;
struct pod_written;

/* *WRITERS stays NULL where no thread is to be had: write yourself. */
int pod_writers_open(struct pod_patience *patience, struct pod_writers **writers,
                     struct pod_err *err);
/* Takes FD over, whatever comes: SIZE bytes will be written to it, then MODE set (unless it is
 * (mode_t)-1), then TIMES, then it is closed. PATH is for errors. SIZE is not 0. */
int pod_writers_begin(struct pod_writers *writers, int fd, uint64_t size, mode_t mode,
                      const struct timespec *times, const char *path, struct pod_written **file,
                      struct pod_err *err);
/* The next bytes of FILE, which lie in BLOCK; the reference to it is taken over. After the last of
 * SIZE bytes FILE is gone. */
int pod_writers_add(struct pod_writers *writers, struct pod_written *file, struct pod_block *block,
                    const unsigned char *data, size_t length, struct pod_err *err);
/* Wakes writers that were let sleep until there is enough to do: before the reading thread waits for
 * anything that they may hold. The argument is a struct pod_writers. */
void pod_writers_wake(void *writers);
/* Waits until everything is written and closed. */
int pod_writers_drain(struct pod_writers *writers, struct pod_err *err);
/* What any of them failed with first, or 0. */
int pod_writers_check(struct pod_writers *writers, struct pod_err *err);
/* Drops what is not yet written. Files whose last byte was not added are closed as well. */
void pod_writers_close(struct pod_writers **writers);

#endif
