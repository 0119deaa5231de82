/* What ports.c (binding) and ports_tcp.c (who comes) share. */
#ifndef POD_PORTS_H
#define POD_PORTS_H

#include "gateway_own.h"

struct pod_arriving;

struct pod_published { /* a TCP port of the host */
    struct pod_watch watch; /* the listener */
    struct pod_published *next; /* of the container: pod_box.ports */
    struct pod_world *world;
    struct pod_box *box;
    struct pod_arriving *arriving; /* clients whose connection to the container is being made */
    int arriving_count;
    uint16_t container; /* network's byte order */
};

/* --- ports_tcp.c -------------------------------------------------------------------------------------------------------- */
void pod_ports_ready(struct pod_watch *watch, uint32_t events);
void pod_ports_end_arriving(struct pod_published *published);

#endif
