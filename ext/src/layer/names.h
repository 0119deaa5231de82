/* Which names an archive has made in the directories that it made itself, as far as that is known.
 *
 * Who makes a file beside the reading thread must know that nothing else has its name: what has it would have to go
 * first, with its records, in the archive's order. Asking the file system costs a tenth of a small file; this costs some
 * nanoseconds. One table of fixed size holds a hash of each name with its directory's number. When it is half full it
 * begins anew, and the directories of before are not known any more: from then on files are made in them by the reading
 * thread. Names whose hashes are equal, whoever chose them, pass for seen: that costs time only. */
#ifndef POD_NAMES_H
#define POD_NAMES_H

#include "../core/err.h"

enum pod_name {
    POD_NAME_UNKNOWN, /* the directory is not known: anything may be there */
    POD_NAME_SEEN,    /* it, or another of the same hash, was made before */
    POD_NAME_FRESH,
};

struct pod_names;

int pod_names_open(struct pod_names **names, struct pod_err *err);
void pod_names_close(struct pod_names **names);
/* The number of a directory that was made just now, so is empty; never 0. */
uint64_t pod_names_begin_directory(struct pod_names *names);
/* Whether there is no room for another name. */
int pod_names_are_full(const struct pod_names *names);
/* Begins anew: all directories of before are unknown. */
void pod_names_forget(struct pod_names *names);
/* What is known of NAME in DIRECTORY (0: not known); from now on it is seen. Not to be asked of a full table. */
enum pod_name pod_names_note(struct pod_names *names, uint64_t directory, const char *name);

#endif
