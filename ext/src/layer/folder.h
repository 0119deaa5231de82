/* A directory that other threads make files in (makers.h), while the reading thread is elsewhere.
 *
 * It has a descriptor of its own, and is counted: one reference is the stack's (dirs.h), one each is of a file that is
 * still to be made. What the directory is to have in the end, its mode and times, it gets when nothing is to be made in
 * it any more and the stack has left it: by whoever comes last. */
#ifndef POD_FOLDER_H
#define POD_FOLDER_H

#include <sys/stat.h>

#include "../core/err.h"

struct pod_folder {
    int fd;
    int references;
    int left; /* by the stack: the attributes below are to be set */
    mode_t mode;
    mode_t on_disk;
    int keep_times;
    struct timespec times[2];
    char path[]; /* for errors */
};

/* NULL where no descriptor is to be had: fill it yourself. */
int pod_folder_open(int fd, const char *path, struct pod_folder **folder, struct pod_err *err);
void pod_folder_hold(struct pod_folder *folder);
/* Drops a reference; by any thread. */
int pod_folder_release(struct pod_folder *folder, struct pod_err *err);

#endif
