/* Health checks: a probe is an exec of the supervisor's own, run by the clock and judged as Docker judges it.
 *
 *   supervisor ──fork──▶ monitor (pod_supervise with an exec's plan) ──▶ the probe, confined as an exec is
 *        ▲── SEQPACKET: what exec's client gets (frame.h) ──┘
 *
 * The plan has it all: HEALTH, HEALTH_ARGV, HEALTH_LATE. Only CLOCK_MONOTONIC decides; the clock of the wall is for the
 * times that people read. What came of it is in health.json beside state.json, written by the supervisor alone:
 *
 *   version 1 · Status starting|healthy|unhealthy · FailingStreak · Log: the last five of Start End ExitCode Output */
#ifndef POD_HEALTH_H
#define POD_HEALTH_H

#include <poll.h>
#include <sys/types.h>

#include "plan.h"

/* The value of HEALTH. The first four take the places of FLAGS, NAMESPACES, PID and PID_START in a probe's plan; pid and
 * pid_start are filled in by the supervisor. */
struct pod_health_settings {
    uint64_t flags, namespaces, pid, pid_start;
    uint64_t interval, start_interval, start_period, timeout; /* ms */
    uint64_t retries;
};

struct pod_health;

/* NULL where the plan has no health check (and without memory): everything below takes that, and does nothing then. DIRFD
 * is the container's folder. */
struct pod_health *pod_health_new(const struct pod_plan *plan, int dirfd);
/* The container's first process CHILD runs, also once more: the status is "starting" again. */
void pod_health_begin(struct pod_health *health, pid_t child);
/* Before poll(2): fills SLOT, and returns the smaller of TIMEOUT (ms; -1: none) and the time until something is due. */
int pod_health_fill(const struct pod_health *health, struct pollfd *slot, int timeout);
/* After poll(2), with what it says of SLOT: takes what came, ends what is late, begins what is due. */
void pod_health_tick(struct pod_health *health, int revents);
/* A child of the supervisor ended. */
void pod_health_reaped(struct pod_health *health, pid_t pid);
/* While HELD (a paused container) there are no probes; the one that runs is ended and does not count. */
void pod_health_hold(struct pod_health *health, int held);
/* The process has ended: so does a probe, and the status is "unhealthy" until it begins anew. */
void pod_health_end(struct pod_health *health);

/* health_probe.c: forks the monitor of one probe; its socket, or -1. */
int pod_health_fork(const struct pod_plan *plan, int dirfd, pid_t child, pid_t *monitor);
/* Ends a probe with all that it started and that did not end before it, within some 0.1 s at most. 1: its monitor is reaped
 * already; 0: that is left to the caller's SIGCHLD. */
int pod_health_kill(pid_t monitor);

/* Children of all threads of PID; how many, at most ROOM. */
int pod_process_children(pid_t pid, pid_t *found, int room);

/* The state letter of a process (proc(5), stat, 3); 0 where it is gone. */
char pod_process_state(pid_t pid);

/* Whether a process, or one thread, is there and has not ended. */
int pod_process_lives(pid_t pid);

#endif
