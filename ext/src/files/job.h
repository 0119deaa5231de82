/* Work on the files of a container, or of the host for one, done by a process of its own: it enters the container's view
 * (view.h), does one thing, tells what came of it, and ends. Archives go from one such process to another, or to and from
 * the caller's descriptors; so whatever a container does meanwhile, all that leaves it is an archive, and who reads that
 * believes nothing in it. */
#ifndef POD_JOB_H
#define POD_JOB_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "view.h"

enum pod_job_kind {
    POD_JOB_LOOK = 1, /* what PATH is, and where it leads */
    POD_JOB_PACK, /* PATH and what is below it to STREAM, as an archive whose top is called BASE */
    POD_JOB_UNPACK, /* the archive in STREAM into the directory PATH */
    POD_JOB_EXPORT, /* the whole root file system to STREAM, without what is mounted on it */
    POD_JOB_SIZE, /* bytes below the host's PATH, seen as root of the container's id map */
    POD_JOB_LAYER, /* what differs from the image to STREAM, as a layer of its own */
    POD_JOB_DIFF, /* what differs from the image, to STREAM: "A", "C" or "D", the path, NUL */
    POD_JOB_PICK, /* what REQUEST says (pick.h) of DIRFD or the view to STREAM, -1 for none; one file is called BASE, if any */
};

enum pod_job_flags {
    POD_JOB_FOLLOW = 1, /* PATH's last name may be a link that is followed */
    POD_JOB_ROOTS = 2, /* pack: everything is root's */
    POD_JOB_PLAIN_MODES = 4, /* pack: without set-id bits */
    POD_JOB_NO_DEVICES = 8, /* pack: devices are counted and left out */
    POD_JOB_NO_TOP = 16, /* pack: what is in the top, not the top */
    POD_JOB_MAKE =
        32, /* look: directories that are missing before PATH's last slash are made, 0755, UID's and GID's */
};

struct pod_job {
    enum pod_job_kind kind;
    const struct pod_plan *plan; /* NULL: on the host, as the caller; PATH is below DIRFD then */
    int dirfd;
    int stream;
    const char *path;
    const char *base;
    unsigned flags;
    uint32_t uid, gid;
    const void *request;
    size_t request_size;
};

enum pod_look_flags {
    POD_LOOK_EXISTS = 1,
    POD_LOOK_READ_ONLY = 2, /* the file system where it is or would be */
    POD_LOOK_ON_ROOT = 4, /* that is the container's root file system */
};

struct pod_job_result {
    int32_t failed; /* then ERR says why */
    uint32_t mode; /* look: st_mode */
    uint32_t look; /* enum pod_look_flags */
    uint32_t unused;
    uint64_t bytes; /* of the archive */
    uint64_t entries;
    uint64_t devices, sockets; /* left out */
    uint64_t reserved; /* names that mean something else in a layer, left out */
    uint64_t owners; /* that the target could not hold */
    uint64_t items,
        folders; /* pick: sources, wildcards resolved; those of them that are directories */
    unsigned char digest[32]; /* pick: SHA-256 of what is copied */
    struct pod_err err;
    char name[256]; /* the first that was left out */
    char path[PATH_MAX]; /* look: PATH without links */
};

/* Starts it. *RESULT gets one struct pod_job_result when it is done, or nothing where it was killed. The child keeps STREAM
 * and DIRFD alone of the caller's descriptors; it dies with the caller. */
int pod_job_start(const struct pod_job *job, pid_t *child, int *result, struct pod_err *err);

/* ---- the parts; in the child ----------------------------------------------------- */

int pod_job_look(const struct pod_job *job, struct pod_view *view, struct pod_job_result *result,
                 struct pod_err *err);
/* VIEW NULL: the host's. Also export. */
int pod_job_pack(const struct pod_job *job, struct pod_view *view, struct pod_job_result *result,
                 struct pod_err *err);
int pod_job_unpack(const struct pod_job *job, struct pod_view *view, struct pod_job_result *result,
                   struct pod_err *err);
/* Makes its own view. */
int pod_job_layer(const struct pod_job *job, struct pod_job_result *result, struct pod_err *err);
int pod_job_diff(const struct pod_job *job, struct pod_job_result *result, struct pod_err *err);
int pod_job_pick(const struct pod_job *job, struct pod_view *view, struct pod_job_result *result,
                 struct pod_err *err);
/* The first half of a look with POD_JOB_MAKE. */
int pod_job_make(const struct pod_job *job, struct pod_view *view, struct pod_job_result *result,
                 struct pod_err *err);
/* Where FD is, from the root that the process sees; the working directory is /proc. */
int pod_job_path_of(int fd, char *path, size_t size);
/* NAME is left out. */
void pod_job_omit(struct pod_job_result *result, uint64_t *count, const char *name);

#endif
