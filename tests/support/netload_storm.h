/* netload.c: who it is, many at once, datagrams, names. A part of its text, included once. */

/* "ADDRESS PORT OWN": the address and port that the server saw, and our own port. */
static int do_who(const char *host, int port, int udp)
{
    char text[128];
    struct sockaddr_storage to;
    struct timeval bound = {3, 0};
    ssize_t got;
    int fd;
    if (udp) {
        socklen_t length = address(host, port, &to);
        fd = socket(to.ss_family, SOCK_DGRAM, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
        if (connect(fd, (void *)&to, length) < 0)
            return failed("connect");
    } else if ((fd = dial(host, port)) < 0)
        return failed("connect");
    if (send(fd, "W", 1, MSG_NOSIGNAL) != 1 || (got = recv(fd, text, sizeof text - 1, 0)) <= 0)
        return close(fd), failed("who");
    text[got] = 0;
    struct sockaddr_storage own;
    socklen_t length = sizeof own;
    getsockname(fd, (void *)&own, &length);
    printf("%s %d\n", text, ntohs(((struct sockaddr_in *)&own)->sin_port));
    close(fd);
    return 0;
}

/* One connection of a storm: a pattern of its own goes out, comes back, and is compared. */
struct drop {
    int fd, state; /* 0 connecting, 1 sending, 2 receiving */
    int kind; /* 0 as browsers do, 1 half-close before reading, 2 the server resets, 3 we reset in the middle, 4 slow */
    int size, sent, got;
    unsigned seed;
    double begun;
};

static unsigned char pattern(unsigned seed, int place)
{
    return (seed + place * 2654435761u) >> 13;
}

static int drop_begin(int poller, struct drop *drop, const struct sockaddr_storage *first,
                      socklen_t length, unsigned seed, unsigned ports)
{
    static const int kinds[] = {0, 0, 0, 1, 0, 2, 0, 3, 1, 4};
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = drop};
    struct sockaddr_in6 port = *(const struct sockaddr_in6 *)first; /* where IPv4 has its port, too */
    port.sin6_port = htons(ntohs(port.sin6_port) + seed / 10 % ports);
    *drop = (struct drop){.seed = seed, .kind = kinds[seed % 10], .begun = now()};
    if (drop->kind == 4 && seed % 100 != 9)
        drop->kind = 1; /* slow ones take a second: few */
    drop->size = 1 + 1 + (seed * 7919u) % 20000;
    drop->fd = socket(first->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (drop->fd < 0)
        return -1;
    if (connect(drop->fd, (const void *)&port, length) < 0 && errno != EINPROGRESS)
        return -1;
    return epoll_ctl(poller, EPOLL_CTL_ADD, drop->fd, &event);
}

static void drop_want(int poller, struct drop *drop, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = drop};
    epoll_ctl(poller, EPOLL_CTL_MOD, drop->fd, &event);
}

/* 1: goes on; 0: well done; -1: lost, errno says how. */
static int drop_send(int poller, struct drop *drop)
{
    unsigned char block[4096];
    while (drop->sent < drop->size) {
        int size = drop->size - drop->sent < 4096 ? drop->size - drop->sent : 4096;
        for (int i = 0; i < size; i++)
            block[i] = pattern(drop->seed, drop->sent + i);
        if (!drop->sent)
            block[0] = drop->kind == 2 ? 'R' : drop->kind == 4 ? 'Z' : 'E';
        ssize_t sent = send(drop->fd, block, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return 1;
        if (sent < 0)
            return drop->kind == 2 && (errno == ECONNRESET || errno == EPIPE) ? 0 : -1;
        drop->sent += sent;
        if (drop->kind == 3 && drop->sent > drop->size / 2) {
            struct linger hard = {1, 0};
            setsockopt(drop->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
            return 0;
        }
    }
    if (drop->kind == 1)
        shutdown(drop->fd, SHUT_WR);
    drop->state = 2;
    drop_want(poller, drop, EPOLLIN);
    return 1;
}

static int drop_receive(struct drop *drop)
{
    for (;;) {
        ssize_t got = recv(drop->fd, buffer, 16384, 0);
        if (got < 0 && errno == EAGAIN)
            return 1;
        if (drop->kind == 2) /* a reset is what was asked for */
            return got < 0 && errno == ECONNRESET ? 0 : (errno = EPROTO, -1);
        if (got < 0)
            return -1;
        for (int i = 0; i < got; i++)
            if ((unsigned char)buffer[i] != pattern(drop->seed, 1 + drop->got + i))
                return errno = EBADMSG, -1;
        drop->got += got;
        if (got == 0)
            return drop->got == drop->size - 1 ? 0 : (errno = ENODATA, -1);
        if (drop->got == drop->size - 1 && drop->kind != 1)
            return 0;
    }
}

static int drop_step(int poller, struct drop *drop)
{
    if (!drop->state) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(drop->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error)
            return errno = error, -1;
        drop->state = 1;
    }
    return drop->state == 1 ? drop_send(poller, drop) : drop_receive(drop);
}

/* "good bad first error": TOTAL connections, so many at once, to PORTS ports in turn: to one alone the kernel has 28 000 of its own
 * to come from, each for a minute. */
static int do_storm(const char *host, int port, int total, int at_once, int ports)
{
    struct sockaddr_storage to;
    socklen_t length = address(host, port, &to);
    int poller = epoll_create1(EPOLL_CLOEXEC), good = 0, bad = 0, begun = 0, why = 0, kind = 0;
    struct drop *drops = calloc(at_once, sizeof *drops);
    struct epoll_event events[256];
    for (int i = 0; i < at_once && begun < total; i++)
        if (drop_begin(poller, &drops[i], &to, length, begun++, ports) < 0)
            return failed("storm");
    while (good + bad < total) {
        int count = epoll_wait(poller, events, 256, 1000);
        for (int i = 0; i < count; i++) {
            struct drop *drop = events[i].data.ptr;
            int step = drop_step(poller, drop);
            if (step > 0)
                continue;
            if (step < 0 && !bad++)
                why = errno, kind = drop->kind;
            good += step == 0;
            close(drop->fd);
            drop->fd = -1;
            if (begun < total && drop_begin(poller, drop, &to, length, begun++, ports) < 0)
                return failed("storm");
        }
        for (int i = 0; count == 0 && i < at_once; i++)
            if (drops[i].fd >= 0 && drops[i].begun && now() - drops[i].begun > SECONDS) {
                close(drops[i].fd);
                drops[i].fd = -1;
                why = bad++ ? why : ETIMEDOUT, kind = drops[i].kind;
                if (begun < total && drop_begin(poller, &drops[i], &to, length, begun++, ports) < 0)
                    return failed("storm");
            }
    }
    printf("%d %d %s of kind %d\n", good, bad, why ? strerror(why) : "-", kind);
    close(poller);
    free(drops);
    return 0;
}

/* Opens COUNT sockets of datagrams and keeps them; says over how many a datagram went and came back. */
static int do_maps(const char *host, int port, int count)
{
    struct sockaddr_storage to;
    socklen_t length = address(host, port, &to);
    struct timeval bound = {1, 0};
    int good = 0;
    for (int i = 0; i < count; i++) {
        int fd = socket(to.ss_family, SOCK_DGRAM, 0);
        if (fd < 0)
            break;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
        held[held_count++] = fd;
        good += connect(fd, (void *)&to, length) == 0 && send(fd, "x", 1, 0) == 1 &&
                recv(fd, buffer, sizeof buffer, 0) == 1;
    }
    printf("%d\n", good);
    return 0;
}

/* Datagrams there and back, one after the other, of SIZE bytes: "answered microseconds", the latter the median. */
static int do_datagrams(const char *host, int port, int count, int size)
{
    struct sockaddr_storage to;
    socklen_t length = address(host, port, &to);
    struct timeval bound = {2, 0};
    int fd = socket(to.ss_family, SOCK_DGRAM, 0), answered = 0;
    double *times = calloc(count, sizeof *times);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    if (connect(fd, (void *)&to, length) < 0)
        return failed("connect");
    memset(buffer, 'x', size);
    for (int i = 0; i < count; i++) {
        double begin = now();
        if (send(fd, buffer, size, 0) < 0)
            return close(fd), failed("send");
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno != EAGAIN)
            return close(fd), failed("recv");
        if (got == size)
            times[answered++] = (now() - begin) * 1e6;
    }
    qsort(times, answered, sizeof *times, by_size);
    printf("%d %.2f\n", answered, answered ? times[answered / 2] : 0);
    free(times);
    close(fd);
    return 0;
}

static int question(unsigned char *into, int id, const char *name, int type)
{
    int size = 12;
    memset(into, 0, 12);
    into[0] = id >> 8, into[1] = id, into[2] = 1, into[5] = 1;
    while (*name) {
        int label = strcspn(name, ".");
        into[size] = label;
        memcpy(into + size + 1, name, label);
        size += 1 + label;
        name += label + (name[label] == '.');
    }
    memcpy(into + size, (char[]){0, 0, type, 0, 1}, 5);
    return size + 5;
}

/* COUNT questions for A of NAME, WINDOW under way: "answers, those with an address, per second". */
static int do_dns(const char *host, int port, int count, const char *name, int window)
{
    struct sockaddr_storage to;
    socklen_t length = address(host, port, &to);
    struct timeval bound = {2, 0};
    int fd = socket(to.ss_family, SOCK_DGRAM, 0), asked = 0, answered = 0, names = 0;
    unsigned char packet[512];
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    if (connect(fd, (void *)&to, length) < 0)
        return failed("connect");
    double begin = now();
    while (answered < count) {
        while (asked < count && asked - answered < window) {
            int size = question(packet, asked++ & 0xffff, name, 1);
            if (send(fd, packet, size, 0) < 0)
                return close(fd), failed("send");
        }
        if (recv(fd, packet, sizeof packet, 0) < 12)
            break;
        answered++;
        names += (packet[3] & 15) == 0 && packet[7] > 0;
    }
    double took = now() - begin;
    printf("%d %d %.0f\n", answered, names, took > 0 ? answered / took : 0);
    close(fd);
    return 0;
}

/* As tcpdump: protocol, source and destination of each packet of IPv4, for ever. */
static int do_capture(void)
{
    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    if (fd < 0)
        return failed("capture");
    for (ssize_t got; (got = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
        const unsigned char *ip = (void *)(buffer + 14);
        if (got >= 34 && buffer[12] == 8 && buffer[13] == 0)
            printf("%d %d.%d.%d.%d %d.%d.%d.%d\n", ip[9], ip[12], ip[13], ip[14], ip[15], ip[16],
                   ip[17], ip[18], ip[19]);
    }
    return 0;
}

static int skip_name(const unsigned char *packet, int at, int size)
{
    while (at < size && packet[at] && packet[at] < 192)
        at += 1 + packet[at];
    return at < size && packet[at] ? at + 2 : at + 1;
}

static void say_name(const unsigned char *packet, int at, int size)
{
    for (int steps = 0; at < size && packet[at] && steps < 64; steps++) {
        if (packet[at] >= 192) {
            at = (packet[at] & 63) << 8 | packet[at + 1];
            continue;
        }
        printf("%.*s.", packet[at], packet + at + 1);
        at += 1 + packet[at];
    }
}

/* A question of TYPE (1 A, 28 AAAA, 12 PTR) for NAME: "rcode answers…", the latter in the answer's order. */
static int do_look(const char *host, int port, int type, const char *name)
{
    struct sockaddr_storage to;
    socklen_t length = address(host, port, &to);
    struct timeval bound = {6, 0};
    unsigned char packet[4096];
    char text[64];
    int fd = socket(to.ss_family, SOCK_DGRAM, 0), size = question(packet, 4711, name, type);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    if (connect(fd, (void *)&to, length) < 0 || send(fd, packet, size, 0) < 0 ||
        (size = recv(fd, packet, sizeof packet, 0)) < 12)
        return close(fd), failed("look");
    close(fd);
    printf("%d", packet[3] & 15);
    int at = skip_name(packet, 12, size) + 4;
    for (int left = packet[6] << 8 | packet[7]; left > 0 && at + 12 <= size; left--) {
        at = skip_name(packet, at, size);
        int kind = packet[at] << 8 | packet[at + 1], bytes = packet[at + 8] << 8 | packet[at + 9];
        at += 10;
        if (at + bytes > size)
            break;
        printf(" ");
        if (kind == 1 || kind == 28)
            printf("%s", inet_ntop(kind == 1 ? AF_INET : AF_INET6, packet + at, text, sizeof text));
        else
            say_name(packet, at, size);
        at += bytes;
    }
    printf("\n");
    return 0;
}
