/* One call of a thread in the container that waits for its answer, and what of the thread is needed for it.
 *
 * Everything that comes from there is hostile and may change or vanish at any time. So: memory is read once; descriptors of
 * /proc/TID are opened first, which binds them to the process, and only then the notification is checked to be alive still
 * (pod_call_alive), after which they cannot mean another process that got the number. */
#ifndef POD_TRACEE_H
#define POD_TRACEE_H

#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "creds.h"
#include "page_writer.h"
#include "records.h"

/* What a handler returns besides a result (>= 0) and a negative errno. */
#define POD_CALL_PASS (INT64_MIN) /* the kernel is to carry the call out as it stands */
#define POD_CALL_GONE (INT64_MIN + 1) /* nobody waits any more, or the answer was sent already */

struct pod_emulation {
    int real; /* sub-ids: ids and owners are the kernel's, only devices are emulated */
    int proc; /* the host's /proc, also the working directory: "self/fd/N" names an open descriptor */
    struct pod_creds_table creds;
    struct pod_records records;
    struct pod_page_file page; /* what programs see */
    uint64_t userns; /* inode of the container's user namespace */
    uint64_t root_ino; /* where this process is chrooted to */
    uint64_t root_mount;
    uint64_t root_dev;
    struct pod_creds scratch; /* the new ids while they are worked out */
};

struct pod_call {
    struct pod_emulation *e;
    int listener;
    const struct seccomp_notif *notif;
    int slack; /* /proc/TID/timerslack_ns, once it was opened */
    int in_proc; /* the path that was opened begins with /proc/, where "self" is not the caller */
    uint64_t args[6];
    int bits; /* 64; of a 32-bit program 32, 16 where the call's ids have so many */
    uint64_t resolve; /* openat2's, for what the call names */
    const struct pod_creds *creds; /* after pod_call_creds */
};

/* Whether the caller still waits: what was opened before is its own. */
int pod_call_alive(const struct pod_call *call);
/* Reads the caller's ids. 0, or POD_CALL_GONE. */
int64_t pod_call_creds(struct pod_call *call);
/* The caller has those of NEW from now on. 0 or a negative errno. */
int64_t pod_call_become(struct pod_call *call, const struct pod_creds *creds);
/* Copies from the caller's memory; 0 or -EFAULT. Checks nothing: pod_call_alive comes after it. */
int pod_call_read(const struct pod_call *call, uint64_t from, void *to, size_t size);
/* Writes into the caller's memory: 0, -EFAULT or POD_CALL_GONE. */
int64_t pod_call_write(const struct pod_call *call, uint64_t to, const void *from, size_t size);
/* A path of at most PATH_MAX with its NUL; its length or a negative errno. */
int pod_call_path(const struct pod_call *call, uint64_t from, char *path, size_t size);
/* /proc/TID/NAME; -1 with errno. */
int pod_call_proc(const struct pod_call *call, const char *name, int flags);
/* A line of /proc/TID/status, in BASE; KEY is "\nName:"; FALLBACK where it is not there. */
unsigned long pod_call_status(const struct pod_call *call, const char *key, int base,
                              unsigned long fallback);
/* A descriptor of the caller's process; -1 where it is gone. pod_call_alive comes after it. */
int pod_call_process(const struct pod_call *call);
/* The caller's number in its innermost pid namespace; 0 where it is gone. */
unsigned long pod_call_inner_pid(const struct pod_call *call);
/* Whether the caller lives in a user namespace of its own, where none of this is ours to answer. */
int pod_call_is_nested(const struct pod_call *call);

/* What the call names, opened by O_PATH as the caller sees it: under its root, from its directory or descriptor DIRFD, with
 * FLAGS of AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH. Links of /proc that lead to objects are not followed (ELOOP), but for the
 * caller's own descriptors under their usual names. A descriptor, a negative errno, or POD_CALL_GONE. */
int64_t pod_call_open(struct pod_call *call, int dirfd, uint64_t path, int flags);
/* The folder of what PATH names, O_PATH, and its last name (256 bytes); "/" and names that end in . or .. are -EINVAL.
 * PATH was read already, and is cut. */
int64_t pod_call_parent(struct pod_call *call, int dirfd, char *path, char *name);

#endif
