/* One line of the store's file "events": Docker's JSON of something that happened to the plan's container. core/events.py
 * writes the same lines and reads them; docs/state.md describes the file.
 *
 * EVENTS of the plan: the store's folder · the container's name · its image as JSON · its labels as JSON members · actions
 * that the starting client tells first. Without EVENTS all of this does nothing. Nothing here fails: an event that cannot
 * be written is left out. */
#ifndef POD_EVENT_H
#define POD_EVENT_H

#include <sys/types.h>

#include "plan.h"

/* Where events go. A process that joins a container opens it before: then the path is another's. */
struct pod_events {
    int folder; /* the store; -1: nowhere */
    int file; /* the file as it was then, for who may not enter the store any more; -1 */
};

/* Opens both for a process that joins a container (KEEP), else the folder alone. */
void pod_events_open(struct pod_events *events, const struct pod_plan *plan, int keep);
void pod_events_close(struct pod_events *events);
/* MORE: further members of the attributes as JSON text, or NULL. */
void pod_events_tell(const struct pod_events *events, const struct pod_plan *plan,
                     const char *action, const char *more);
/* All three for a single event. */
void pod_event(const struct pod_plan *plan, const char *action, const char *more);
/* What the client that starts or attaches tells: what is due, and "attach". */
void pod_event_client(const struct pod_plan *plan);
/* "kill" with the signal's number. */
void pod_event_kill(const struct pod_plan *plan, int number);
/* The end of a process that began at START (clock ticks after boot): "die", and "disconnect" of each of NETWORK's; or
 * "exec_die" of EXEC_ID. */
struct pod_network;
void pod_event_die(const struct pod_events *events, const struct pod_plan *plan, int exit_code,
                   uint64_t start, const char *exec_id, const struct pod_network *network);
/* "exec_create: ARGV" or "exec_start: ARGV" of EXEC_ID. */
void pod_event_exec(const struct pod_events *events, const struct pod_plan *plan,
                    const char *action, const char *exec_id);
/* "mount" or "unmount" of each volume that the container has. */
void pod_event_volumes(const struct pod_events *events, const struct pod_plan *plan,
                       const char *action);
struct pod_text;
/* "start", and "connect" of each of the container's networks before it: one write for all. */
void pod_event_start(const struct pod_events *events, const struct pod_plan *plan,
                     const struct pod_network *network);
/* The lines of ACTION for each network (event_network.c). */
void pod_event_networks(struct pod_text *text, const struct pod_plan *plan, const char *action,
                        const struct pod_network *network);
/* LINE as it is, with its newline; before it one byte must be a newline too. */
void pod_event_line(const struct pod_events *events, const char *line, size_t length);
/* 64 hex digits and a NUL: 40 random ones, this process's pid (8), ms since boot (16): so who finds the id in the file of
 * events can tell whether its process still lives (core/container/execs.py). */
void pod_event_new_id(char *id);

#endif
