/* What writes entries of archives: whole trees (pack.c), or what of one differs from an image (layer.c). */
#ifndef POD_PACK_H
#define POD_PACK_H

#include "../layer/sha256.h"
#include "../layer/tar_out.h"
#include "job.h"
#include "links.h"
#include "walk.h"

#define POD_PACK_ZEROS (256u << 20) /* bytes of holes that a layer has as zeros, for each file */
#define POD_PACK_REGIONS 4096 /* of a sparse file; what lies behind is stored with its holes */
#define POD_PACK_XATTRS 64
#define XATTR_NAMES 65536
#define XATTR_VALUES 262144
#define POD_PACK_COPY 262144

struct pod_pick;

/* Zero at first, but for JOB, VIEW (or NULL), RESULT and out.fd. */
struct pod_pack {
    const struct pod_job *job;
    struct pod_view *view;
    struct pod_job_result *result;
    struct pod_links links;
    uint64_t root_mount; /* not 0: what is seen through another one is left out */
    const struct pod_pick *pick; /* NULL, or what is wished of owners and modes (pick.h) */
    struct pod_sha256 *sha; /* NULL, or what gets all but times */
    const char *hashed; /* what SHA gets for the path */
    uint64_t latest; /* not 0: times are at most that second, minus one */
    char *path; /* of the entry at hand, in the archive */
    size_t room;
    struct pod_tar_xattr xattrs[POD_PACK_XATTRS];
    struct pod_tar_region regions[POD_PACK_REGIONS];
    char names[XATTR_NAMES];
    unsigned char values[XATTR_VALUES];
    unsigned char data[POD_PACK_COPY];
    struct pod_tar_out out;
};

/* pack->path is BELOW, behind the job's base. */
int pod_pack_path(struct pod_pack *pack, const char *below, struct pod_err *err);
/* The file FD (O_PATH) under pack->path. A socket is left out, and counted. */
int pod_pack_entry(struct pod_pack *pack, int fd, const struct stat *st, struct pod_err *err);
/* Whether ENTRY is what has glibc load our library (core/preload.h): it lies in a layer of ours and is not the image's. */
int pod_pack_is_our_list(const struct pod_pack *pack, const struct pod_walk_entry *entry);
/* Attributes that mean something elsewhere: users' own, and capabilities. Not overlayfs' and ours. */
int pod_pack_wants_xattr(const char *name);
/* statx' number of the mount that FD was opened through; 0 before Linux 5.8. */
uint64_t pod_pack_mount(int fd);
void pod_pack_free(struct pod_pack *pack);

#endif
