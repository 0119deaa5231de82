/* A container's files as it sees them, for a process of ours that does some work on them and ends.
 *
 *   running   its user and mount namespaces are joined: volumes, binds and tmpfs are there as they are
 *   stopped   namespaces like its own are made, its root is mounted there and what MOUNTS says (the caller chose: volumes
 *             and binds). The caller holds the container's lock, so that it is mounted once
 *   bare      its root file system without anything mounted on it
 *
 * The process stays outside of its pid namespace and is not dumpable: nothing in there sees it. It runs our own code
 * alone, no file of the container's. */
#ifndef POD_VIEW_H
#define POD_VIEW_H

#include "../core/plan.h"
#include "../emulator/records.h"

enum pod_view_flags {
    POD_VIEW_BARE = 1,
    POD_VIEW_WRITES = 2, /* records may be added */
};

struct pod_view {
    int proc; /* the host's /proc, which is the working directory too */
    int root; /* O_PATH */
    int mapped; /* ids are real: chown does what it says */
    int has_records;
    int whole; /* bare, but with what is mounted on it: for who looks at mount numbers (before Linux 5.2) */
    struct pod_records records;
    struct pod_page_file page;
};

/* PLAN: PID and PID_START of a running container; else LOWERS, UPPER, WORK, ROOT, OVERLAY, MOUNTS, STRINGS, UID_MAP,
 * GID_MAP, NEWUIDMAP, NEWGIDMAP, PINS. RECORDS, DIR and SOCKET_DIR where owners are recorded. FLAGS: SINGLE_ID. The calling
 * process must have one thread; there is no way back. */
int pod_view_open(const struct pod_plan *plan, unsigned flags, struct pod_view *view,
                  struct pod_err *err);
/* Into namespaces like the container's, without mounting anything. */
int pod_view_own_namespaces(const struct pod_plan *plan, int proc, struct pod_err *err);

#endif
