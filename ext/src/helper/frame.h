/* The control protocol: between a container's supervisor and those who attach to it, over AF_UNIX SOCK_SEQPACKET.
 *
 * It crosses versions of pod: a newer client talks to an older supervisor. A frame is one packet: this header, then payload.
 *
 *   type      from        value                    payload
 *   HELLO     supervisor  protocol version (1)     -            first on every connection
 *   RUNNING   supervisor  pid (host's view)        -            exec worked
 *   BASIC     supervisor  errno                    -            before RUNNING: no listener to be had, emulation is basic
 *   TAKEN     supervisor  -                        -            the process has the client's INPUT: the next may follow
 *   OUTPUT    supervisor  -                        bytes        stream 1 stdout, 2 stderr
 *   AGAIN     supervisor  exit code                -            the process ended and will be started again; RUNNING follows then
 *   EXIT      supervisor  exit code (128+n: signal)-            last
 *   FAILED    supervisor  -                        struct pod_err   the start failed; last (same build only)
 *   ATTACH    client      bits 1<<stream           -            which of 0, 1, 2 it wants; asked once
 *   INPUT     client      -                        bytes        for stdin or the terminal; one at a time, see TAKEN, so that
 *                                                               no signal is ever stuck behind input that nobody reads
 *   EOF       client      -                        -            no more input
 *   WINSIZE   client      rows << 16 | columns     -
 *   SIGNAL    client      number                   -            for the container's first process
 *   DETACH    client      -                        -            it leaves because it was told to: what exec runs goes on
 *   QUIT      client      -                        -            do not wait any longer to start again: it was stopped
 *   PAUSE     client      1 pause, 0 go on         -            answered by:
 *   PAUSE     supervisor  0, or errno              struct pod_err where it failed (same build only)
 *   LIMITS    client      bytes of the mask        mask, words      other processors (limiting.h); what the record says; answered by:
 *   LIMITS    supervisor  0, or errno              -
 *   NETWORK   client      CONNECT, DISCONNECT,     items of net/wire.h      an interface more or less, another name; answered by:
 *                         RENAME of net/wire.h
 *   NETWORK   supervisor  0, or errno              "STEP PATH" where netd refused it
 */
#ifndef POD_FRAME_H
#define POD_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define POD_PROTOCOL 1
#define POD_PAYLOAD_MAX 32768

enum pod_frame_type {
    POD_FRAME_HELLO = 'H',
    POD_FRAME_RUNNING = 'R',
    POD_FRAME_OUTPUT = 'O',
    POD_FRAME_EXIT = 'X',
    POD_FRAME_FAILED = 'F',
    POD_FRAME_ATTACH = 'A',
    POD_FRAME_INPUT = 'I',
    POD_FRAME_EOF = 'E',
    POD_FRAME_WINSIZE = 'W',
    POD_FRAME_SIGNAL = 'S',
    POD_FRAME_BASIC = 'B',
    POD_FRAME_TAKEN = 'T',
    POD_FRAME_PAUSE = 'P',
    POD_FRAME_DETACH = 'D',
    POD_FRAME_AGAIN = 'G',
    POD_FRAME_QUIT = 'Q',
    POD_FRAME_NETWORK = 'N',
    POD_FRAME_LIMITS = 'L',
};

struct pod_frame {
    uint8_t type;
    uint8_t stream;
    uint16_t unused;
    uint32_t value;
};

struct pod_packet {
    struct pod_frame head;
    char payload[POD_PAYLOAD_MAX];
};

/* One packet, not waiting; as send(2): -1 and errno EAGAIN where the peer is slow. */
ssize_t pod_frame_send(int fd, int type, int stream, uint32_t value, const void *payload,
                       size_t length);
/* One packet; returns the payload's length, -1 on error (EAGAIN too), -2 at the end or for a packet that is no frame. */
ssize_t pod_frame_receive(int fd, struct pod_packet *packet);

#endif
