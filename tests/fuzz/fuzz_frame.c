/* The control protocol: what a supervisor's loop makes of frames that clients send, of clients that come, go and do not read,
 * and of a process that writes, reads and stops reading. The input is a program of such steps.
 *
 *   0 FRAME  client, type, stream, value (4), length (2), bytes     5 CONNECT  streams
 *   1 BYTES  client, length, bytes: a packet that is no frame       6 WRITE    1 or 2, length (2): the process does
 *   2 READ   client, all that there is for it                       7 READ     by the process, of its input
 *   3 LEAVE  client                                                 8 INPUT    the process closes its end
 *   4 TURN   the loop looks once                                    9 LEAVE    the process closes its output */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../ext/src/helper/hangup.h"
#include "../../ext/src/helper/relay.c"
#include "fuzz.h"

#define PEERS 6
#define CHILD 0x3ffffff0 /* beyond every pid */

int __wrap_kill(pid_t pid, int number);

static struct pod_relay relay;
static struct pod_emulator emulator;
static int peers[PEERS], process_out[2], process_in, signals, paused;

int __wrap_kill(pid_t pid, int number)
{
    CLAIM(pid == CHILD || pid == -CHILD);
    CLAIM(number > 0 && number < 65);
    signals++;
    return 0;
}

static int on_pause(void *owner, int wanted, struct pod_err *err)
{
    CLAIM(owner == &relay && (wanted == 0 || wanted == 1));
    paused += wanted;
    return paused % 3 == 2 ? pod_fail_errno(err, POD_PAUSE, EBUSY, "process") : 0;
}

struct steps {
    const uint8_t *at;
    size_t left;
};

static unsigned next(struct steps *steps)
{
    if (!steps->left)
        return 0;
    steps->left--;
    return *steps->at++;
}

static unsigned next_word(struct steps *steps)
{
    unsigned low = next(steps);

    return low | next(steps) << 8;
}

static void close_one(int *fd)
{
    pod_cleanup_fd(fd);
    *fd = -1;
}

static void join(int primary, unsigned streams)
{
    int pair[2];

    for (int i = 0; i < PEERS; i++) {
        if (peers[i] >= 0)
            continue;
        CLAIM(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
        peers[i] = pair[0];
        pod_relay_add(&relay, pair[1], streams & 7, primary);
        return;
    }
}

static void begin(unsigned how)
{
    int pipes[3][2];

    memset(&relay, 0, sizeof relay);
    pod_relay_init(&relay);
    emulator = (struct pod_emulator){.listener = -1, .socket = -1, .userns = -1, .mntns = -1};
    relay.emulator = &emulator;
    relay.child = CHILD;
    relay.pause = how & 1 ? on_pause : NULL;
    relay.owner = &relay;
    relay.bound = how >> 1 & 1;
    relay.keep_in = how >> 2 & 1;
    relay.grace = how >> 3 & 1 ? 0 : POD_HANGUP_GRACE;
    for (int i = 0; i < 3; i++)
        CLAIM(!pipe2(pipes[i], O_CLOEXEC | O_NONBLOCK));
    relay.in = pipes[0][1];
    process_in = pipes[0][0];
    for (int i = 0; i < 2; i++) {
        relay.out[i] = pipes[1 + i][0];
        process_out[i] = pipes[1 + i][1];
    }
    for (int i = 0; i < PEERS; i++)
        peers[i] = -1;
    join(1, 7);
}

static void send_frame(struct steps *steps)
{
    struct pod_packet packet = {.head = {.unused = 0}};
    int peer = peers[next(steps) % PEERS];
    size_t length;

    packet.head.type = (uint8_t)next(steps);
    packet.head.stream = (uint8_t)next(steps);
    packet.head.value = next_word(steps);
    packet.head.value |= next_word(steps) << 16;
    length = next_word(steps) % (POD_PAYLOAD_MAX + 1);
    for (size_t i = 0; i < length && steps->left; i++)
        packet.payload[i] = (char)next(steps);
    if (peer >= 0)
        send(peer, &packet, sizeof packet.head + length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_bytes(struct steps *steps)
{
    char bytes[256];
    int peer = peers[next(steps) % PEERS];
    size_t length = next(steps);

    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)next(steps);
    if (peer >= 0)
        send(peer, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void read_all(int fd)
{
    char bytes[POD_PAYLOAD_MAX + 64];

    while (fd >= 0 && read(fd, bytes, sizeof bytes) > 0)
        ;
}

static void write_output(struct steps *steps)
{
    static const char bytes[65536];
    int which = (int)(next(steps) & 1);

    if (process_out[which] >= 0 && write(process_out[which], bytes, next_word(steps)) < 0)
        return;
}

static void step(struct steps *steps)
{
    switch (next(steps) % 10) {
    case 0:
        return send_frame(steps);
    case 1:
        return send_bytes(steps);
    case 2:
        return read_all(peers[next(steps) % PEERS]);
    case 3:
        return close_one(&peers[next(steps) % PEERS]);
    case 4:
        return turn(&relay, 0);
    case 5:
        return join(0, next(steps));
    case 6:
        return write_output(steps);
    case 7:
        return read_all(process_in);
    case 8:
        return close_one(&process_in);
    default:
        return close_one(&process_out[next(steps) & 1]);
    }
}

/* The process ends, everybody leaves: the loop must come to its end. */
static void end(void)
{
    for (int i = 0; i < PEERS; i++)
        close_one(&peers[i]);
    for (int i = 0; i < 2; i++)
        close_one(&process_out[i]);
    relay.ended = 1;
    drain(&relay);
    pod_relay_close(&relay);
    for (int i = 0; i < POD_CLIENTS_MAX; i++)
        if (relay.clients[i].fd >= 0)
            close(relay.clients[i].fd);
    close_one(&process_in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct steps steps = {data, size};

    signal(SIGPIPE, SIG_IGN);
    begin(next(&steps));
    for (int count = 0; steps.left && count < 400; count++) {
        step(&steps);
        CLAIM(relay.input_done <= relay.input_used && relay.input_used <= sizeof relay.input);
        CLAIM(relay.chunk_length <= sizeof relay.chunk.payload);
    }
    end();
    return 0;
}
