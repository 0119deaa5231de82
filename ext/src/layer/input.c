#define _GNU_SOURCE 1

#include "input.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 100
#define MESSAGES_SIZE 4096

/* read(2), but a wait for the other end of a pipe can be interrupted from wherever the callback
 * looks. Without poll(2) a signal between the question and the call would be slept through. */
static ssize_t read_patiently(struct pod_input *input, int fd, void *target, size_t room,
                              struct pod_err *err)
{
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (input->interrupted && input->interrupted(input->context))
            return pod_fail_errno(err, POD_READ, EINTR, "");
        if (poll(&ready, 1, input->interrupted ? POLL_MS : -1) <= 0)
            continue;
        got = read(fd, target, room);
        if (got >= 0)
            return got;
        if (errno != EINTR && errno != EAGAIN)
            return pod_fail(err, POD_READ, "");
    }
}

static int take_message(struct pod_input *input, struct pod_err *err)
{
    uint64_t value = 0;

    for (int i = 7; i >= 0; i--)
        value = value << 8 | input->message[i];
    input->final = (value & POD_INPUT_FINAL) != 0;
    value &= ~POD_INPUT_FINAL;
    if (value < input->valid)
        return pod_fail_errno(err, POD_READ, EBADMSG, "");
    input->valid = value;
    return 0;
}

/* Waits for messages and takes all that are there, up to MESSAGES_SIZE bytes. */
static int follow(struct pod_input *input, struct pod_err *err)
{
    unsigned char bytes[MESSAGES_SIZE];
    ssize_t got = read_patiently(input, input->follow, bytes, sizeof bytes, err);

    if (got < 0)
        return -1;
    if (got == 0)
        return pod_fail_errno(err, POD_READ, ECANCELED, "");
    for (ssize_t i = 0; i < got && !input->final; i++) {
        input->message[input->partial++] = bytes[i];
        if (input->partial < sizeof input->message)
            continue;
        input->partial = 0;
        if (take_message(input, err) < 0)
            return -1;
    }
    return 0;
}

static int read_growing(struct pod_input *input, void *target, size_t room, size_t *length,
                        struct pod_err *err)
{
    uint64_t there;
    ssize_t got;

    while (input->position == input->valid && !input->final)
        if (follow(input, err) < 0)
            return -1;
    there = input->valid - input->position;
    if (!there)
        return 0;
    if (input->interrupted && input->interrupted(input->context))
        return pod_fail_errno(err, POD_READ, EINTR, "");
    do
        got = pread(input->fd, target, there < room ? (size_t)there : room, (off_t)input->position);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return pod_fail(err, POD_READ, "");
    if (got == 0) /* less than was promised: somebody cut it */
        return pod_fail_errno(err, POD_READ, ENODATA, "");
    input->position += (uint64_t)got;
    *length = (size_t)got;
    return 0;
}

int pod_input_read(struct pod_input *input, void *target, size_t room, size_t *length,
                   struct pod_err *err)
{
    ssize_t got;

    *length = 0;
    if (input->follow >= 0)
        return read_growing(input, target, room, length, err);
    got = read_patiently(input, input->fd, target, room, err);
    if (got < 0)
        return -1;
    *length = (size_t)got;
    return 0;
}
