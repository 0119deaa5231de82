/* Pairs of connected TCP sockets, and the processes that move bytes between them.
 *
 *   netd       each pair begins here; one that has moved POD_HEAVY bytes, or is one too many, goes to a worker
 *   worker     a fork of netd with nothing open but its channel; told HAND (a pair, with its two sockets) and GONE (a container's
 *              address), tells ENDED. Ends when netd ends, and its connections with it: nobody else knows whose they are, and an
 *              address may be given to another container */
#ifndef POD_SPLICE_H
#define POD_SPLICE_H

#include "gateway_own.h"

#define POD_HEAVY (1 << 20)

struct pod_side { /* what comes from one of the two */
    struct pod_watch watch;
    uint32_t events; /* that are watched for */
    uint32_t piped; /* bytes in the pipe */
    uint32_t rest_at, rest_end; /* of REST, allocated while it is needed */
    uint8_t *rest;
    int pipe[2]; /* -1: none */
    uint8_t which, watched, hung_up, eof, shut, bulk;
};

struct pod_pair {
    struct pod_side side[2]; /* 0: inside */
    struct pod_pair *next, *before;
    struct pod_pairs *pairs;
    struct in6_addr address; /* of the container */
    uint32_t serial; /* pod_tcp */
    uint32_t moved;
};

struct pod_pairs {
    struct pod_loop *loop;
    struct pod_pair head; /* of a ring */
    int count;
    void (*ended)(struct pod_pairs *pairs, uint32_t serial);
    /* A pair that moved much, between two reads, when nothing of it is held here. 1: it was taken, by pod_pair_leave. NULL: stays. */
    int (*heavy)(struct pod_pairs *pairs, struct pod_pair *pair);
};

struct pod_hand { /* a pair on its way */
    struct in6_addr address;
    uint32_t serial;
    uint8_t eof[2], shut[2];
};

/* --- splice_pairs.c ----------------------------------------------------------------------------------------------------- */
void pod_pairs_init(struct pod_pairs *pairs, struct pod_loop *loop);
/* Takes the sockets over where it works. */
int pod_pair_add(struct pod_pairs *pairs, const struct pod_hand *hand, const int fds[2],
                 struct pod_err *err);
/* RESET: both sides see one. */
void pod_pair_end(struct pod_pair *pair, int reset);
/* Without closing its sockets, which are FDS then. */
void pod_pair_leave(struct pod_pair *pair, struct pod_hand *hand, int fds[2]);
void pod_pairs_gone(struct pod_pairs *pairs, uint32_t serial, const struct in6_addr *address);

/* --- splice_pipes.c --------------------------------------------------------------------------------------------------- */
int pod_pipe_take(int pipe[2]); /* -1: there is none left */
void pod_pipe_give(int pipe[2], int empty);
/* In a process that has closed them all. */
void pod_pipes_forget(void);

/* --- splice_worker.c ---------------------------------------------------------------------------------------------------- */
enum pod_worker_word { POD_WORKER_HAND = 1, POD_WORKER_GONE = 2, POD_WORKER_ENDED = 3 };
struct pod_worker_message {
    uint32_t word;
    struct pod_hand hand; /* GONE: address and serial; ENDED: serial */
};
/* A new process; its end of the channel here, non-blocking. -1 and err. */
int pod_worker_start(int *channel, struct pod_err *err);
/* FDS NULL: none. -1 and errno. */
int pod_worker_send(int channel, const struct pod_worker_message *message, const int *fds);
/* 1; 0: nothing there; -1: its end. */
int pod_worker_receive(int channel, struct pod_worker_message *message, int fds[2]);

#endif
