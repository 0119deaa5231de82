/* A directory in which writers make files: open as long as one of them, or the way down (dirs.h),
 * needs it. Who needs it last gives it the mode and the times that it shall have. */
#ifndef POD_PLACE_H
#define POD_PLACE_H

#include <sys/stat.h>

#include "../core/err.h"

struct pod_place {
    int fd;
    unsigned users; /* atomic */
    int lane;       /* the writer that makes files here, -1: none yet */
    /* set before the way down lets go of it: */
    int set_mode;
    int set_times;
    mode_t mode;
    struct timespec times[2];
    char path[]; /* for errors */
};

/* FD becomes the place's, and the caller its one user. NULL without memory. */
struct pod_place *pod_place_open(int fd, const char *path);
void pod_place_hold(struct pod_place *place);
/* The last user's failure to finish it is reported; it is closed in any case. */
int pod_place_release(struct pod_place *place, struct pod_err *err);

#endif
