/* A load for networks: one static program that serves and asks, in any image and on the host. tests/support/netload.py drives it.
 *
 *   netload serve PORT [N]  TCP and UDP on [::]:PORT until it is killed; prints "ready". N: TCP on so many ports from PORT on
 *   netload agent PORT [N]  the same by a child, and commands from standard input, one answer line each
 *   netload COMMAND …       one command
 *
 * What a connection's first byte asks of a server:
 *   S   reads to the end, answers with how many bytes came (8 bytes, native order)
 *   T   and 8 bytes: that many bytes are sent, then the end
 *   E   sends back what comes until the other has ended
 *   W   sends "ADDRESS PORT" of the client, then the end
 *   R   reads no more and resets
 *   Z   reads nothing for a second, then as E (a slow reader)
 * UDP: W as above, anything else comes back. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4(2) */
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (128 << 10)
#define SOCKETS 65536
#define SECONDS 30

struct peer {
    int kind; /* 0: its first byte has not come */
    uint64_t bytes; /* S: that came; T: still to be sent */
    int head; /* T: how many of the 8 bytes of the number are there */
    double not_before; /* Z: when it begins to read */
    int held, ended; /* E: bytes in KEPT that are still to be sent; the other has ended */
    char *kept;
};

static struct peer *peers[SOCKETS];
static char buffer[CHUNK];
static int held[SOCKETS], held_count;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static socklen_t address(const char *text, int port, struct sockaddr_storage *out)
{
    struct sockaddr_in *four = (void *)out;
    struct sockaddr_in6 *six = (void *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        return sizeof *four;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) != 1) {
        fprintf(stderr, "netload: %s: no address\n", text);
        exit(2);
    }
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    return sizeof *six;
}

static void said(const struct sockaddr_storage *of, char *text, size_t size)
{
    const struct sockaddr_in6 *six = (const void *)of;
    char name[INET6_ADDRSTRLEN] = "";
    if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], name, sizeof name);
    else
        inet_ntop(AF_INET6, &six->sin6_addr, name, sizeof name);
    snprintf(text, size, "%s %d", name, ntohs(six->sin6_port));
}

/* --- the serving side -------------------------------------------------------------------------------------------- */
static void end(int fd)
{
    free(peers[fd]->kept);
    free(peers[fd]);
    peers[fd] = NULL;
    close(fd);
}

static void reset(int fd)
{
    struct linger hard = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    end(fd);
}

static void want(int poller, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event);
}

static void echo(int poller, int fd, struct peer *peer)
{
    for (int turn = 0; turn < 4; turn++) {
        if (peer->held) {
            ssize_t sent = send(fd, peer->kept, peer->held, MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN)
                return end(fd);
            if (sent > 0) {
                memmove(peer->kept, peer->kept + sent, peer->held - sent);
                peer->held -= sent;
            }
            if (peer->held)
                return want(poller, fd, EPOLLOUT);
        }
        if (peer->ended)
            return end(fd);
        if (!peer->kept && !(peer->kept = malloc(CHUNK)))
            return reset(fd);
        ssize_t got = recv(fd, peer->kept, CHUNK, 0);
        if (got < 0 && errno == EAGAIN)
            break;
        if (got < 0)
            return end(fd);
        peer->held = got;
        peer->ended = got == 0;
    }
    if (!peer->held) { /* an idle connection costs little here */
        free(peer->kept);
        peer->kept = NULL;
    }
    want(poller, fd, peer->held ? EPOLLOUT : EPOLLIN);
}

static void sink(int fd, struct peer *peer)
{
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got > 0)
        peer->bytes += got;
    else if (got == 0 || errno != EAGAIN) {
        if (got == 0)
            send(fd, &peer->bytes, 8, MSG_NOSIGNAL);
        end(fd);
    }
}

static void source(int poller, int fd, struct peer *peer)
{
    if (peer->head < 8) {
        ssize_t got = recv(fd, (char *)&peer->bytes + peer->head, 8 - peer->head, 0);
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? (void)0 : end(fd);
        peer->head += got;
        if (peer->head == 8)
            want(poller, fd, EPOLLOUT);
        return;
    }
    size_t size = peer->bytes < sizeof buffer ? peer->bytes : sizeof buffer;
    ssize_t sent = size ? send(fd, buffer, size, MSG_NOSIGNAL) : 0;
    if (sent < 0)
        return errno == EAGAIN ? (void)0 : end(fd);
    peer->bytes -= sent;
    if (!peer->bytes)
        end(fd);
}

static void serve_peer(int poller, int fd)
{
    struct peer *peer = peers[fd];
    if (!peer->kind) {
        char first;
        ssize_t got = recv(fd, &first, 1, 0);
        if (got <= 0)
            return got < 0 && errno == EAGAIN ? (void)0 : end(fd);
        peer->kind = first;
        peer->not_before = first == 'Z' ? now() + 1 : 0;
    }
    if (peer->kind == 'W') {
        struct sockaddr_storage of;
        socklen_t length = sizeof of;
        char text[80] = "";
        if (getpeername(fd, (void *)&of, &length) == 0)
            said(&of, text, sizeof text);
        send(fd, text, strlen(text), MSG_NOSIGNAL);
        end(fd);
    } else if (peer->kind == 'R')
        reset(fd);
    else if (peer->kind == 'S')
        sink(fd, peer);
    else if (peer->kind == 'T')
        source(poller, fd, peer);
    else if (peer->not_before > now())
        poll(NULL, 0, 1); /* the whole server dawdles: that, too, is a slow reader */
    else
        echo(poller, fd, peer);
}

static void serve_datagrams(int fd)
{
    struct sockaddr_storage from;
    for (int turn = 0; turn < 64; turn++) {
        socklen_t length = sizeof from;
        ssize_t got = recvfrom(fd, buffer, sizeof buffer, MSG_DONTWAIT, (void *)&from, &length);
        if (got < 0)
            return;
        if (got && buffer[0] == 'W') {
            said(&from, buffer, 80);
            got = strlen(buffer);
        }
        sendto(fd, buffer, got, 0, (void *)&from, length);
    }
}

static int bound(int type, int port)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, off = 0, done;
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        done = bind(fd, (void *)&any, sizeof any);
    } else { /* a host without IPv6 */
        fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        done = bind(fd, (void *)&four, sizeof four);
    }
    if (done < 0 || (type == SOCK_STREAM && listen(fd, 4096) < 0)) {
        perror("netload: port");
        exit(1);
    }
    return fd;
}

/* LISTENER and the LISTENERS - 1 descriptors after it. */
static void serve(int poller, int listener, int listeners, int datagrams)
{
    struct epoll_event events[256], event = {.events = EPOLLIN, .data.fd = datagrams};
    epoll_ctl(poller, EPOLL_CTL_ADD, datagrams, &event);
    for (int i = 0; i < listeners; i++) {
        event.data.fd = listener + i;
        epoll_ctl(poller, EPOLL_CTL_ADD, listener + i, &event);
    }
    for (;;) {
        int count = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd, new;
            if (fd == datagrams)
                serve_datagrams(fd);
            else if (fd < listener || fd >= listener + listeners)
                serve_peer(poller, fd);
            else
                while ((new = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    peers[new] = calloc(1, sizeof *peers[new]);
                    event.data.fd = new;
                    epoll_ctl(poller, EPOLL_CTL_ADD, new, &event);
                }
        }
    }
}

/* --- the asking side --------------------------------------------------------------------------------------------- */
static int dial(const char *host, int port)
{
    struct sockaddr_storage to;
    socklen_t length = address(host, port, &to);
    struct timeval bound = {SECONDS, 0};
    int on = 1, fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (void *)&to, length) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int whole(int fd, char *into, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = recv(fd, into + done, size - done, 0);
        if (got <= 0)
            return -1;
        done += got;
    }
    return 0;
}

static int failed(const char *what)
{
    printf("error %s: %s\n", what, strerror(errno));
    return 1;
}

static int do_send(const char *host, int port, uint64_t bytes)
{
    double begin = now();
    int fd = dial(host, port);
    uint64_t left = bytes, came = 0;
    if (fd < 0 || send(fd, "S", 1, MSG_NOSIGNAL) != 1)
        return failed("connect");
    while (left) {
        ssize_t sent = send(fd, buffer, left < CHUNK ? left : CHUNK, MSG_NOSIGNAL);
        if (sent <= 0)
            return close(fd), failed("send");
        left -= sent;
    }
    shutdown(fd, SHUT_WR);
    int bad = whole(fd, (char *)&came, 8);
    close(fd);
    if (bad || came != bytes)
        return failed("count");
    printf("%.6f\n", now() - begin);
    return 0;
}

static int do_recv(const char *host, int port, uint64_t bytes)
{
    double begin = now();
    int fd = dial(host, port);
    char head[9] = "T";
    uint64_t came = 0;
    memcpy(head + 1, &bytes, 8);
    if (fd < 0 || send(fd, head, 9, MSG_NOSIGNAL) != 9)
        return failed("connect");
    for (ssize_t got; (got = recv(fd, buffer, CHUNK, 0)) > 0;)
        came += got;
    close(fd);
    if (came != bytes)
        return failed("count");
    printf("%.6f\n", now() - begin);
    return 0;
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/* Microseconds, median: of a byte there and back; with CONNECTING of a connection and one byte there and back. */
static int do_rtt(const char *host, int port, int count, int connecting)
{
    double *times = calloc(count, sizeof *times);
    char byte = 'E';
    int fd = -1;
    for (int i = 0; i < count; i++) {
        double begin = now();
        if (fd < 0 && ((fd = dial(host, port)) < 0 || send(fd, "E", 1, MSG_NOSIGNAL) != 1))
            return failed("connect");
        if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || whole(fd, &byte, 1) < 0)
            return failed("rtt");
        times[i] = (now() - begin) * 1e6;
        if (connecting) {
            close(fd);
            fd = -1;
        }
    }
    if (fd >= 0)
        close(fd);
    qsort(times, count, sizeof *times, by_size);
    printf("%.2f\n", times[count / 2]);
    free(times);
    return 0;
}

/* Opens COUNT connections and keeps them; says how many stand. A byte goes through each. */
static int do_hold(const char *host, int port, int count)
{
    char byte;
    for (int i = 0; i < count; i++) {
        int fd = dial(host, port);
        if (fd >= 0 && send(fd, "Ex", 2, MSG_NOSIGNAL) == 2 && whole(fd, &byte, 1) == 0)
            held[held_count++] = fd;
        else if (fd >= 0)
            close(fd);
        else if (errno == EMFILE)
            break;
    }
    printf("%d\n", held_count);
    return 0;
}

static int do_drop(void)
{
    int alive = 0;
    while (held_count) {
        char byte;
        int fd = held[--held_count];
        alive += send(fd, "x", 1, MSG_NOSIGNAL) == 1 && whole(fd, &byte, 1) == 0;
        close(fd);
    }
    printf("%d\n", alive);
    return 0;
}

#include "netload_storm.h"

static int command(int count, char **words)
{
    const char *what = words[0];
    const char *host = count > 1 ? words[1] : "";
    int port = count > 2 ? atoi(words[2]) : 0;
    long long number = count > 3 ? atoll(words[3]) : 0;
    if (!strcmp(what, "send"))
        return do_send(host, port, number);
    if (!strcmp(what, "recv"))
        return do_recv(host, port, number);
    if (!strcmp(what, "rtt") || !strcmp(what, "connect"))
        return do_rtt(host, port, number, *what == 'c');
    if (!strcmp(what, "hold"))
        return do_hold(host, port, number);
    if (!strcmp(what, "maps"))
        return do_maps(host, port, number);
    if (!strcmp(what, "capture"))
        return do_capture();
    if (!strcmp(what, "drop"))
        return do_drop();
    if (!strcmp(what, "who") || !strcmp(what, "udpwho"))
        return do_who(host, port, *what == 'u');
    if (!strcmp(what, "storm"))
        return do_storm(host, port, number, count > 4 ? atoi(words[4]) : 100,
                        count > 5 ? atoi(words[5]) : 1);
    if (!strcmp(what, "udp"))
        return do_datagrams(host, port, number, count > 4 ? atoi(words[4]) : 1);
    if (!strcmp(what, "look") && count > 4)
        return do_look(host, port, number, words[4]);
    if (!strcmp(what, "dns") && count > 4)
        return do_dns(host, port, number, words[4], count > 5 ? atoi(words[5]) : 1);
    printf("error: no such command\n");
    return 2;
}

static void raise_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < SOCKETS ? limit.rlim_max : SOCKETS;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int count, char **words)
{
    char line[512], *parts[8];
    signal(SIGPIPE, SIG_IGN);
    raise_limit();
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count < 2)
        return 2;
    int agent = !strcmp(words[1], "agent");
    if (!agent && strcmp(words[1], "serve"))
        return command(count - 1, words + 1);
    if (count < 3)
        return 2;
    int port = atoi(words[2]), listeners = count > 3 ? atoi(words[3]) : 1;
    int datagrams = bound(SOCK_DGRAM, port), listener = bound(SOCK_STREAM, port);
    for (int i = 1; i < listeners; i++) /* nothing else is opened meanwhile: one number after the other */
        bound(SOCK_STREAM, port + i);
    if (!agent || fork() == 0) {
        if (agent)
            prctl(PR_SET_PDEATHSIG, SIGKILL);
        else
            printf("ready\n");
        serve(epoll_create1(EPOLL_CLOEXEC), listener, listeners, datagrams);
    }
    for (int i = 0; i < listeners; i++)
        close(listener + i);
    close(datagrams);
    printf("ready\n");
    while (fgets(line, sizeof line, stdin)) {
        int words_count = 0;
        for (char *word = strtok(line, " \n"); word && words_count < 8; word = strtok(NULL, " \n"))
            parts[words_count++] = word;
        if (words_count)
            command(words_count, parts);
    }
    return 0;
}
