/* Restart policies: whether and when a container whose process ended is started again.
 *
 * The policy is the plan's, or that of `update`, which lies in the container's folder: changes.json (docs/state.md). What the user
 * stopped is not started again: an empty file `stopped` there says so. Times are CLOCK_MONOTONIC's: the wall clock may jump. */
#ifndef POD_RESTART_H
#define POD_RESTART_H

#include <stdint.h>

#include "plan.h"

#define POD_RESTART_FIRST_MS 100
#define POD_RESTART_LAST_MS 60000
#define POD_RESTART_RESET_MS 10000 /* who ran so long begins with the first pause again */

enum pod_restart_kind {
    POD_RESTART_NO,
    POD_RESTART_ON_FAILURE,
    POD_RESTART_ALWAYS,
    POD_RESTART_UNLESS_STOPPED
};

struct pod_restart {
    enum pod_restart_kind kind;
    uint32_t most;  /* on-failure: so many starts, 0 is no limit */
    uint32_t count; /* starts since the user's */
    int64_t first, last, pause; /* ms; pause: the last one, 0 before any */
    int64_t began;  /* ms of CLOCK_MONOTONIC when the process was started */
};

void pod_restart_init(struct pod_restart *restart, const struct pod_plan *plan);
/* The process runs, now. */
void pod_restart_began(struct pod_restart *restart);
/* Whether the user stopped the container whose folder is DIRFD. */
int pod_restart_stopped(int dirfd);
/* The process ended with CODE: ms to wait before it is started again (counted then), or -1: it is not. */
int64_t pod_restart_pause(struct pod_restart *restart, int dirfd, int code);
/* The value of a member NAME of changes.json as it is written, up to SIZE - 1 bytes; 0, or -1 where there is none. */
int pod_changes_read(int dirfd, const char *name, char *value, size_t size);

#endif
