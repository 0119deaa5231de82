/* Paths inside a root that strangers wrote: resolved so that no link, no ".." and no race leads out of it.
 *
 * openat2(2) with RESOLVE_IN_ROOT where the kernel has it (5.6) and nothing forbids it; else a walk, component by
 * component, with O_PATH|O_NOFOLLOW descriptors that reads links itself. Both refuse magic links of /proc. */
#ifndef POD_BENEATH_H
#define POD_BENEATH_H

#include <sys/types.h>

#include "err.h"

/* Opens PATH as a process chrooted to ROOTFD would, with open(2)'s FLAGS (O_CLOEXEC is added). Step RESOLVE on failure. */
int pod_open_in_root(int rootfd, const char *path, int flags, mode_t mode, struct pod_err *err);

/* The same without following anything: a symbolic link in any component is ELOOP, ".." is EXDEV. */
int pod_open_beneath(int rootfd, const char *path, int flags, mode_t mode, struct pod_err *err);

/* The same, but links that stay below ROOTFD are followed, where the kernel can tell (openat2); one that leads out, or is
 * absolute, is EXDEV. */
int pod_open_within(int rootfd, const char *path, int flags, struct pod_err *err);

/* Makes every missing directory of PATH (links are followed inside the root) and returns an O_PATH descriptor of the last.
 * A component that exists and is no directory gives ENOTDIR. */
int pod_mkdirs_in_root(int rootfd, const char *path, mode_t mode, struct pod_err *err);

/* Splits PATH into its parent (made if missing when MAKE is set; O_PATH descriptor) and the last name, copied to
 * NAME (at least 256 bytes). EINVAL for "/", "." and "..". */
int pod_parent_in_root(int rootfd, const char *path, int make, char *name, struct pod_err *err);

/* chmod(2) of NAME under DIRFD itself, never of what a link there points to (ELOOP or EOPNOTSUPP). Before fchmodat2 (6.6)
 * it needs /proc. Step CHMOD. */
int pod_chmod_at(int dirfd, const char *name, mode_t mode, struct pod_err *err);

#endif
