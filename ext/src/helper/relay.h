/* The supervisor's loop: bytes between a process and whoever is attached to it, its log, its end.
 *
 * One chunk of output is held until every attached client has taken it: a slow client slows the container as a pipe would, and
 * memory stays bounded. A client that came later and takes nothing for 10 s is dropped. */
#ifndef POD_RELAY_H
#define POD_RELAY_H

#include <sys/types.h>

#include "emulator.h"
#include "frame.h"
#include "health.h"
#include "limiting.h"
#include "log.h"
#include "network.h"
#include "trim.h"

#define POD_CLIENTS_MAX 32

struct pod_client {
    int fd; /* -1: free */
    unsigned streams; /* bits 1 << stream that it wants */
    int primary;      /* the client that started the container */
    int pending;      /* has not taken the current chunk yet */
    int64_t since;    /* ms of CLOCK_MONOTONIC when the chunk was first refused */
    int gave;         /* the input on its way is its own */
    int owed;         /* its input was taken, and its socket had no room to tell it */
    int held;         /* its next frame is input, and that of before is still on its way */
};

struct pod_relay {
    int listener; /* -1: nobody else may attach */
    int signals;  /* signalfd with SIGCHLD */
    pid_t child;
    int tty;
    int out[2];  /* what the process writes: stdout or the terminal, stderr; -1: ended */
    int in;      /* where its input goes; -1: closed. With a terminal the same as out[0] */
    int keep_in; /* input stays open when a client's input ends (-d -i) */
    struct pod_client clients[POD_CLIENTS_MAX];
    struct pod_packet chunk; /* output on its way */
    size_t chunk_length;     /* 0: none */
    size_t taken;            /* bytes of the last one */
    char input[POD_PAYLOAD_MAX];
    size_t input_used, input_done;
    int input_eof;
    struct pod_log log;
    int paced;    /* bits 1 << which: that pipe is large, for a writer in a hurry */
    int resting;  /* such a pipe was emptied: it may fill up before it is looked at again */
    struct pod_emulator *emulator; /* started when the first call waits for it */
    struct pod_trim trim;
    int bound; /* the process is to end with its primary client, clients[0]: exec, a build's step */
    int64_t grace; /* milliseconds that it then has, after SIGHUP; 0: none, and no SIGHUP */
    int64_t kill_at; /* 0, or when it is killed (hangup.h) */
    struct pod_health *health; /* NULL: no health check */
    struct pod_limits *limits; /* NULL: an exec */
    int (*pause)(void *owner, int paused, struct pod_err *err); /* NULL: cannot be paused (exec) */
    void *owner;
    struct pod_network *network; /* NULL: an exec */
    int ended; /* the process has ended: */
    int status; /* wait(2) status */
    int quit; /* a client said QUIT */
};

void pod_relay_init(struct pod_relay *relay);
/* Adds a connection; it gets HELLO at once, output once it asks (ATTACH) or if STREAMS says so already. */
void pod_relay_add(struct pod_relay *relay, int fd, unsigned streams, int primary);
/* Runs until the process has ended and its output is drained. */
void pod_relay_run(struct pod_relay *relay);
/* After that: lets go of what led to the process. */
void pod_relay_close(struct pod_relay *relay);
/* Without a process, until UNTIL (ms of CLOCK_MONOTONIC): who is attached stays so, others may come. 1: a client said QUIT. */
int pod_relay_wait(struct pod_relay *relay, int64_t until);
/* A frame without payload to everyone who is connected. Waits for a slow client as long as output would. */
void pod_relay_tell(struct pod_relay *relay, int type, uint32_t value);

/* relay_input.c: */
void pod_relay_push_input(struct pod_relay *relay);
/* The process has it, or nobody wants it: more may come. */
void pod_relay_input_taken(struct pod_relay *relay);
void pod_relay_send_taken(struct pod_client *client);

#endif
