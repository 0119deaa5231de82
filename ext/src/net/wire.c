#include "wire.h"

#include <string.h>
#include <sys/socket.h>

#include "rights.h"

#define ALIGNED(length) (((length) + 3) & ~(size_t)3)

void pod_wire_begin(struct pod_wire *wire, uint16_t type, uint32_t serial)
{
    struct pod_wire_head head = {
        .magic = POD_WIRE_MAGIC, .version = POD_WIRE_VERSION, .type = type, .serial = serial};

    memcpy(wire->packet, &head, sizeof head);
    wire->used = sizeof head;
    wire->overflow = 0;
}

void pod_wire_put(struct pod_wire *wire, uint16_t tag, const void *value, size_t length)
{
    struct pod_wire_item item = {.tag = tag, .length = (uint16_t)length};
    size_t whole = sizeof item + ALIGNED(length);

    if (wire->overflow || length > UINT16_MAX || whole > sizeof wire->packet - wire->used) {
        wire->overflow = 1;
        return;
    }
    uint8_t *at = wire->packet + wire->used;
    memcpy(at, &item, sizeof item);
    if (length)
        memcpy(at + sizeof item, value, length);
    memset(at + sizeof item + length, 0, whole - sizeof item - length);
    wire->used += whole;
}

void pod_wire_text(struct pod_wire *wire, uint16_t tag, const char *value)
{
    pod_wire_put(wire, tag, value, strlen(value));
}

void pod_wire_pieces(struct pod_wire *wire, uint16_t tag, const char *value, size_t length)
{
    do {
        size_t piece = length < POD_WIRE_PIECE ? length : POD_WIRE_PIECE;
        pod_wire_put(wire, tag, value, piece);
        value += piece;
        length -= piece;
    } while (length);
}

void pod_wire_number(struct pod_wire *wire, uint16_t tag, uint32_t value)
{
    pod_wire_put(wire, tag, &value, sizeof value);
}

int pod_wire_send(int fd, struct pod_wire *wire, const int *fds, int count, struct pod_err *err)
{
    struct pod_wire_head head;

    if (wire->overflow || count > POD_WIRE_FDS)
        return pod_fail_errno(err, POD_NETWORK, EMSGSIZE, "message");
    memcpy(&head, wire->packet, sizeof head);
    head.length = (uint32_t)(wire->used - sizeof head);
    memcpy(wire->packet, &head, sizeof head);
    ssize_t sent = pod_rights_send(fd, wire->packet, wire->used, fds, count, MSG_DONTWAIT);
    if (sent < 0 && errno == EMSGSIZE) { /* a host with small buffers */
        int room = POD_WIRE_MAX;
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        sent = pod_rights_send(fd, wire->packet, wire->used, fds, count, MSG_DONTWAIT);
    }
    return sent < 0 ? pod_fail(err, POD_NETWORK, "send") : 0;
}

static int is_message(const struct pod_wire *wire)
{
    const struct pod_wire_head *head = pod_wire_head(wire);
    size_t at = sizeof *head;

    if (wire->used < sizeof *head || head->magic != POD_WIRE_MAGIC || !head->version ||
        head->length != wire->used - sizeof *head)
        return 0;
    while (at < wire->used) {
        struct pod_wire_item item;
        if (wire->used - at < sizeof item)
            return 0;
        memcpy(&item, wire->packet + at, sizeof item);
        if (ALIGNED((size_t)item.length) > wire->used - at - sizeof item)
            return 0;
        at += sizeof item + ALIGNED((size_t)item.length);
    }
    return 1;
}

int pod_wire_receive(int fd, struct pod_wire *wire, int fds[POD_WIRE_FDS], struct pod_err *err)
{
    int flags = MSG_DONTWAIT;
    ssize_t got =
        pod_rights_receive(fd, wire->packet, sizeof wire->packet, fds, POD_WIRE_FDS, &flags);

    wire->used = 0;
    wire->overflow = 0;
    if (got < 0)
        return pod_fail(err, POD_NETWORK, "receive");
    wire->used = (size_t)got;
    if (got && !(flags & (MSG_TRUNC | MSG_CTRUNC)) && is_message(wire))
        return 0;
    for (int i = 0; i < POD_WIRE_FDS; i++) {
        pod_cleanup_fd(&fds[i]);
        fds[i] = -1;
    }
    wire->used = 0;
    errno = got ? EPROTO : ECONNRESET;
    return pod_fail(err, POD_NETWORK, "receive");
}

const struct pod_wire_item *pod_wire_next(const struct pod_wire *wire,
                                          const struct pod_wire_item *item)
{
    size_t at = sizeof(struct pod_wire_head);

    if (item)
        at = (size_t)((const uint8_t *)item - wire->packet) + sizeof *item +
             ALIGNED((size_t)item->length);
    return at + sizeof *item <= wire->used
               ? (const struct pod_wire_item *)(const void *)(wire->packet + at)
               : NULL;
}
