/* plan.bin: everything that Python decided about one start, flat and checked.
 *
 *   offset  size  field
 *   0       8     magic "PODPLAN\n"
 *   8       4     version (1)
 *   12      4     size of the whole in bytes
 *   16      32    build id, hex digits (POD_BUILD_ID); another build's plan is refused
 *   48      4     number of entries
 *   52      4     check of all its words, this one taken as 0 (prepared starts, pod_plan_is_whole); else 0
 *   56      16*n  entries: u32 key, u32 type, u32 offset, u32 length
 *   …             data; every offset is a multiple of 8
 *
 * Little-endian, as both architectures are. A plan is a file of the user's own, yet an escaped process could have written
 * it: the reader trusts no offset, length or missing NUL. */
#ifndef POD_PLAN_H
#define POD_PLAN_H

#include <stdint.h>

#include "err.h"
#include "plan_keys.h"

#define POD_PLAN_VERSION 1
#define POD_PLAN_MAX (64u << 20)
#define POD_KEY_MAX 128

enum pod_plan_type { POD_TYPE_U64 = 1, POD_TYPE_STR = 2, POD_TYPE_STRV = 3, POD_TYPE_BLOB = 4 };

#define POD_KEY_ENUM(number, name, type) POD_KEY_##name = number,
enum pod_plan_key { POD_KEYS(POD_KEY_ENUM) };
#undef POD_KEY_ENUM

enum pod_plan_flags {
    POD_PLAN_TTY = 1 << 0,
    POD_PLAN_STDIN = 1 << 1,         /* -i: the container has a stdin that is not /dev/null */
    POD_PLAN_DETACH = 1 << 2,        /* -d: the client leaves once the container has started */
    POD_PLAN_ATTACH_OUT = 1 << 3,
    POD_PLAN_ATTACH_ERR = 1 << 4,
    POD_PLAN_ATTACH_IN = 1 << 5,
    POD_PLAN_INIT = 1 << 6,          /* --init: a reaper of ours is process 1 */
    POD_PLAN_NO_NEW_PRIVS = 1 << 7,
    POD_PLAN_SIG_PROXY = 1 << 8,
    POD_PLAN_READ_ONLY = 1 << 9,
    POD_PLAN_SINGLE_ID = 1
        << 10,    /* one mapped id: a USER other than 0 gets an inner user namespace */
    POD_PLAN_REMOVE = 1 << 11,       /* --rm */
    POD_PLAN_LOOPBACK = 1 << 12,     /* own network namespace: bring lo up */
    POD_PLAN_EXEC = 1 << 13,         /* join PID instead of making a container */
    POD_PLAN_NO_LOG = 1 << 14,
    POD_PLAN_SAY_DETACHED = 1 << 15, /* attach, exec: detaching is told, as 1 */
    POD_PLAN_CLAIMED = 1
        << 21, /* DIR has a link "starting" (core/container/claims.py), which goes with the first record */
    POD_PLAN_BOUND = 1
        << 22, /* what runs ends with its client, at once, and the client with its caller */
    POD_PLAN_ONE_FILTER = 1
        << 23, /* NOTIFY and FEWER do the work of SECCOMP, too, and hold from before the last preparations on */
    POD_PLAN_APART = 1
        << 24, /* nothing of the host's is mounted: nobody waits for the end of its mounts */
    POD_PLAN_PROBE = 1 << 20, /* with EXEC: a probe of the supervisor's own (helper/health.h) */
};

struct pod_plan {
    const char *data; /* the mapped file */
    uint32_t size;
    uint32_t offset[POD_KEY_MAX]; /* 0 = absent */
    uint32_t length[POD_KEY_MAX];
};

/* struct pod_mount.kind */
enum pod_mount_kind {
    POD_MOUNT_FS = 1, /* a new file system of type `fstype` with `data` on `target` */
    POD_MOUNT_BIND =
        2, /* the host's `source` on `target`, which is made as a file or folder like it */
    POD_MOUNT_MKDIR = 3, /* `target` with `mode` */
    POD_MOUNT_SYMLINK = 4, /* `target` -> `source`, unless something is there */
    POD_MOUNT_MASK =
        5, /* hides a file behind /dev/null, a folder behind an empty tmpfs; missing is fine */
    POD_MOUNT_RDONLY = 6, /* `target` bound over itself, read-only; missing is fine */
    POD_MOUNT_VOLUME =
        7, /* BIND, after an empty `source` got the content that the image has at `target` */
    POD_MOUNT_IMAGE =
        8, /* overlay of IMAGE_LOWERS, `mode` = first << 16 | count, with the options `fstype` */
};

enum pod_mount_bits {
    POD_MOUNT_OPTIONAL = 1, /* failure is not an error (cgroup2 on hosts without it) */
    POD_MOUNT_NOFOLLOW = 2, /* no component of target may be a symbolic link */
    POD_MOUNT_ON_PROC = 4, /* target must lie on a proc file system (CVE-2019-19921 and its kin) */
    POD_MOUNT_REC_RDONLY = 8, /* read-only for submounts too, where the kernel can */
    POD_MOUNT_NOCOPY = 16, /* VOLUME without the image's content */
    POD_MOUNT_WHOLE_RDONLY = 32, /* read-only for submounts too, or an error */
};

struct pod_mount {
    uint32_t kind;
    uint32_t bits;
    uint32_t flags; /* MS_* */
    uint32_t mode;
    uint32_t source; /* offsets into STRINGS */
    uint32_t target;
    uint32_t fstype;
    uint32_t data; /* FS: options; BIND, VOLUME, IMAGE: a path below the source, "" for itself */
};

struct pod_rlimit {
    uint32_t resource;
    uint32_t unused;
    uint64_t soft;
    uint64_t hard;
};

/* Maps and checks the plan in FD (kept open by the caller; the map lives until the process ends). */
int pod_plan_open(int fd, struct pod_plan *plan, struct pod_err *err);
/* Whether the check in its header is that of its bytes; a plan that is run at once has none. */
int pod_plan_is_whole(const struct pod_plan *plan);

int pod_plan_has(const struct pod_plan *plan, enum pod_plan_key key);
/* 0 where absent. */
uint64_t pod_plan_u64(const struct pod_plan *plan, enum pod_plan_key key);
/* NULL where absent. */
const char *pod_plan_str(const struct pod_plan *plan, enum pod_plan_key key);
const void *pod_plan_blob(const struct pod_plan *plan, enum pod_plan_key key, uint32_t *length);
/* How many strings; then each by walking: next = string + strlen(string) + 1. */
uint32_t pod_plan_strv_count(const struct pod_plan *plan, enum pod_plan_key key);
/* Allocates a NULL-terminated vector of pointers into the plan, with EXTRA free slots at its end. NULL without memory. */
char **pod_plan_strv(const struct pod_plan *plan, enum pod_plan_key key, uint32_t extra);
/* A string of STRINGS by offset; "" where the offset is out of bounds (checked when the plan was opened). */
const char *pod_plan_string(const struct pod_plan *plan, uint32_t offset);

#endif
