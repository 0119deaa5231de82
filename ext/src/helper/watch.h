/* A limit on memory where no control group can hold it: the supervisor looks how much the container's processes have, and
 * kills the one that the kernel would (Documentation/filesystems/proc.rst, oom_score), sooner again the nearer the limit is.
 *
 * What counts is PSS, a page that several share counts once, without pages of files, which the kernel can drop; and files
 * in memory, mapped or not: those of the container's tmpfs mounts and of memfd_create(2). Not counted: what the kernel keeps for
 * the container. Between two looks a process may take more than it should: docs/limits.md has figures. */
#ifndef POD_WATCH_H
#define POD_WATCH_H

#include <stdint.h>
#include <sys/types.h>

#include "plan.h"

#define POD_WATCH_OTHERS 1024
#define POD_WATCH_KILLED 32
#define POD_WATCH_HOLDERS 64
#define POD_WATCH_RECORD "memory"

struct pod_watch {
    uint64_t limit; /* bytes; 0: nothing is watched */
    int64_t at; /* ms of CLOCK_MONOTONIC: when to look; 0: not now */
    int64_t all_at; /* when to look at all processes of the machine for those that joined (exec) */
    int dirfd; /* the container's folder: its file "memory" has what update made of the limit */
    const char *kind; /* the namespace that tells its processes: "pid", else "mnt" */
    pid_t child;
    pid_t others[POD_WATCH_OTHERS];
    uint64_t starts[POD_WATCH_OTHERS]; /* of these: a number may be somebody else's by now */
    int other_count;
    uint64_t mounted; /* bytes in file systems in memory that are the container's */
    uint64_t unmapped; /* in files of memfd_create(2) */
    int64_t files_at; /* when to look for these again, where there were none */
    pid_t holders[POD_WATCH_HOLDERS]; /* who has such files open */
    uint64_t holds[POD_WATCH_HOLDERS]; /* bytes of those that none before him has */
    int holder_count;
    pid_t killed[POD_WATCH_KILLED]; /* the last of them */
    uint64_t killed_starts[POD_WATCH_KILLED];
    unsigned killed_count;
};

/* watch_files.c: memory that no process has to map. */
uint64_t pod_watch_mounted(pid_t child);
/* Fills in what COUNT processes have open. */
void pod_watch_unmapped(struct pod_watch *watch, const pid_t *pids, int count);
uint64_t pod_watch_unmapped_of(const struct pod_watch *watch, pid_t pid);

/* Nothing without the plan's MEMORY. */
void pod_watch_init(struct pod_watch *watch, const struct pod_plan *plan, int dirfd);
/* The first process runs; 0: it has ended. */
void pod_watch_begin(struct pod_watch *watch, pid_t child);
/* How long a wait of WITHIN ms (-1: for ever) may be; looks when it is time. KILLED counts who had to be killed. */
int pod_watch_look(struct pod_watch *watch, int within, uint64_t *killed);

#endif
