/* The way of a client's input to the process. */
#include <errno.h>
#include <unistd.h>

#include "relay.h"

static void close_input(struct pod_relay *relay)
{
    if (relay->in >= 0 && !relay->tty)
        close(relay->in);
    if (!relay->tty)
        relay->in = -1;
}

void pod_relay_send_taken(struct pod_client *client)
{
    if (client->owed && (pod_frame_send(client->fd, POD_FRAME_TAKEN, 0, 0, NULL, 0) >= 0 ||
                         (errno != EAGAIN && errno != ENOBUFS)))
        client->owed = 0;
}

/* The process has it, or nobody wants it: more may come. */
void pod_relay_input_taken(struct pod_relay *relay)
{
    relay->input_used = relay->input_done = 0;
    for (int i = 0; i < POD_CLIENTS_MAX; i++) {
        struct pod_client *client = &relay->clients[i];
        client->owed |= client->gave;
        client->gave = client->held = 0;
        pod_relay_send_taken(client);
    }
}

void pod_relay_push_input(struct pod_relay *relay)
{
    while (relay->in >= 0 && relay->input_done < relay->input_used) {
        ssize_t wrote = write(relay->in, relay->input + relay->input_done,
                              relay->input_used - relay->input_done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0 && errno == EAGAIN)
            return;
        if (wrote < 0) {
            close_input(relay); /* nobody reads: EPIPE */
            break;
        }
        relay->input_done += (size_t)wrote;
    }
    if (relay->input_used)
        pod_relay_input_taken(relay);
    if (relay->input_eof) {
        relay->input_eof = 0;
        close_input(relay);
    }
}
