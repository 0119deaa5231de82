/* The work of extract.c and the state its parts share: entries.c, hardlink.c, attributes.c,
 * whiteouts.c. All functions act on the entry at hand. */
#ifndef POD_UNPACK_H
#define POD_UNPACK_H

#include <limits.h>
#include <sys/stat.h>

#include "dirs.h"
#include "extract.h"
#include "makers.h"
#include "owners.h"
#include "writers.h"

struct pod_unpack {
    const struct pod_extract_options *options;
    struct pod_source *source;
    struct pod_tar *tar;
    struct pod_dirs *dirs;
    struct pod_owners_writer *owners;
    struct pod_writers *writers; /* or NULL: files are written here */
    struct pod_makers *makers; /* of small ones; or NULL */
    struct pod_patience patience;
    mode_t umask;
    uint64_t entries;
    uint64_t bytes;
    /* the entry at hand */
    const struct pod_tar_entry *entry;
    struct pod_tar_xattr *refused; /* attributes that go to the owners record */
    size_t refused_count;
    size_t refused_room;
    uint64_t devices; /* placeholders made so far */
    uint64_t visits; /* of records, to find the one of a link's target */
    int fresh; /* nothing has its name (pod_dirs_note) */
    int overwrites; /* a directory that was there: an older record may be wrong now */
    char path[PATH_MAX]; /* cleaned, relative */
    char name[NAME_MAX + 1];
    char full[PATH_MAX]; /* without links */
};

static inline int fail(struct pod_unpack *unpack, enum pod_step step, int errnum,
                       struct pod_err *err)
{
    return pod_fail_errno(err, step, errnum, unpack->entry->path);
}

static inline int fail_here(struct pod_unpack *unpack, enum pod_step step, struct pod_err *err)
{
    return fail(unpack, step, errno, err);
}

static inline int here(struct pod_unpack *unpack)
{
    return pod_dirs_top(unpack->dirs)->fd;
}

/* Before anything is looked up that others may still have to make. */
static inline int settle(struct pod_unpack *unpack, struct pod_err *err)
{
    return unpack->makers ? pod_makers_settle(unpack->makers, err) : 0;
}

/* ---- entries.c ----------------------------------------------------- */

/* Makes the entry, which is no hard link, in the directory at hand: name and full are set. */
int pod_unpack_entry(struct pod_unpack *unpack, struct pod_err *err);
/* The root of the layer: "./" and the like. */
int pod_unpack_root(struct pod_unpack *unpack, struct pod_err *err);
/* Removes NAME of the directory at hand, a whole tree if need be. 1: it was a whiteout node of this
 * layer. */
int pod_unpack_displace(struct pod_unpack *unpack, const char *name, struct pod_err *err);

/* ---- hardlink.c ----------------------------------------------------- */

/* A hard link to what this archive made before. */
int pod_unpack_link(struct pod_unpack *unpack, struct pod_err *err);

/* ---- attributes.c ----------------------------------------------------- */

/* For regular files, and what stands for devices. FLAGS: enum pod_owner_flags. */
int pod_unpack_set_file(struct pod_unpack *unpack, int fd, mode_t type, unsigned flags,
                        struct pod_err *err);
/* The same for a file whose content, mode and times come later: owner and record; and what remains
 * to be set. */
int pod_unpack_set_ahead(struct pod_unpack *unpack, int fd, mode_t *mode, struct timespec *times,
                         struct pod_err *err);
/* For what is not opened: links and FIFOs. */
int pod_unpack_set_node(struct pod_unpack *unpack, mode_t type, struct pod_err *err);
/* DIR gets its mode and times when it leaves the stack. FORCE: chown to 0:0 too. */
int pod_unpack_set_directory(struct pod_unpack *unpack, struct pod_dir *dir, int force,
                             struct pod_err *err);
/* One more name of the inode that ST tells of; DEVICE (or NULL) is the record of a placeholder. */
int pod_unpack_set_link(struct pod_unpack *unpack, const struct stat *st,
                        const struct pod_owner *device, struct pod_err *err);

/* ---- whiteouts.c ----------------------------------------------------- */

/* 1: the entry is content; 0: it was about whiteouts and is done; the directory at hand is its
 * parent. */
int pod_unpack_whiteout(struct pod_unpack *unpack, struct pod_err *err);
/* aufs's own files are no content (1: pass over); a whiteout's name as a directory makes no sense
 * (-1). */
int pod_unpack_is_aufs_affair(struct pod_unpack *unpack, struct pod_err *err);

#endif
