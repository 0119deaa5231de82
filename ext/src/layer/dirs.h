/* The way from the layer's root down to the directory that is being filled, as a stack of open
 * directories.
 *
 * It is how paths are resolved: each step goes down by O_NOFOLLOW from a descriptor held; links are
 * read and followed by hand inside the root (image-spec layer.md says nothing; Docker follows them
 * inside its chroot), ".." pops. So no link, no swap of a component by another process leads out,
 * and the names on the stack are the path without links.
 *
 * It is also how directories keep their modes and times: what the archive (or the disk, for one
 * that is entered again) says is put aside when a directory comes on the stack, which gets u+rwx
 * and loses setgid meanwhile, and carried out when it leaves. Memory and descriptors are bounded by
 * the depth of a path, not by the number of directories. */
#ifndef POD_DIRS_H
#define POD_DIRS_H

#include <limits.h>
#include <sys/stat.h>

#include "folder.h"
#include "names.h"

/* Of the deepest ones; others are opened again when they are come back to. */
#define POD_DIRS_OPEN_MAX 24
/* Of the ones nearest to the root, which have a descriptor more each: a limit of 64 is enough for both. */
#define POD_DIRS_FOLDERS_MAX 16
/* Every name has a byte and a slash at least. */
#define POD_DIRS_DEPTH_MAX (PATH_MAX / 2 + 1)

struct pod_dir {
    int fd; /* O_RDONLY, or -1 while closed */
    size_t path_end;
    mode_t mode; /* to be set when it leaves, 07777 */
    mode_t on_disk; /* as it is now */
    int keep_times; /* set `times` when it leaves */
    uint64_t number; /* where this archive made it (names.h), else 0 */
    struct pod_folder *folder; /* where writers make files in it, else NULL */
    struct timespec times[2];
};

struct pod_dirs;

/* ROOTFD stays the caller's. OVERLAY: a whiteout node on the way gives place to an opaque
 * directory. */
int pod_dirs_open(int rootfd, int overlay, struct pod_dirs **dirs, struct pod_err *err);
/* Calls SETTLE, which waits until writers have made all files that were left to them, before anything is done that must
 * find them: a directory entered again, names forgotten. */
void pod_dirs_on_settle(struct pod_dirs *dirs, int (*settle)(void *, struct pod_err *),
                        void *context);
/* Calls WANT when no descriptor is to be had: others shall give theirs back. */
void pod_dirs_on_want(struct pod_dirs *dirs, int (*want)(void *, struct pod_err *), void *context);
/* Goes to the directory PATH ("" is the root; no leading slash, no "." or ".."); missing ones are
 * made when MAKE (0755). Step
 * TAR_PATH. */
int pod_dirs_enter(struct pod_dirs *dirs, const char *path, int make, struct pod_err *err);
/* Goes one further, into NAME of the directory at the top: 0, or 1 and *st where that is something
 * else. */
int pod_dirs_push(struct pod_dirs *dirs, const char *name, struct stat *st, struct pod_err *err);
/* The same where NAME was made just now: the directory is empty, and what is made in it is known (names.h). */
int pod_dirs_push_new(struct pod_dirs *dirs, const char *name, struct stat *st,
                      struct pod_err *err);
/* The directory at the top: its descriptor, its path without links, what is put aside. */
struct pod_dir *pod_dirs_top(struct pod_dirs *dirs);
const char *pod_dirs_path(const struct pod_dirs *dirs);
/* Whether makers get no files of the directory at the top: enough on the way have a folder. */
int pod_dirs_is_deep(const struct pod_dirs *dirs);
/* Anything may have happened in the directory at the top. */
void pod_dirs_forget_top(struct pod_dirs *dirs);
/* Before NAME is made in the directory at the top: 1 where nothing has it, and no writer is to make it; 0: look, nothing is
 * left to writers that could have it. */
int pod_dirs_note(struct pod_dirs *dirs, const char *name, struct pod_err *err);
/* Leaves them all, down to and with the root. */
int pod_dirs_leave_all(struct pod_dirs *dirs, struct pod_err *err);
void pod_dirs_close(struct pod_dirs **dirs);

#endif
