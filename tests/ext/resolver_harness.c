/* The resolver of ext/src/net in a network namespace of its own, around a world that a test describes (test_resolver*.py, by
 * resolving.py). Descriptor 0 is a SOCK_SEQPACKET: a line of words comes, a line goes back, with a descriptor where one was asked for.
 *
 *   net ID NAME FLAGS BASE/PREFIX GATEWAY BASE/PREFIX GATEWAY    IPv4, IPv6; "-" for none
 *   box ID NAME HOSTNAME HOST_GATEWAY SERVERS                    answers the ports of its UDP and TCP sockets
 *   end BOX NET IPV4 IPV6 ALIASES LINKS                          lists with commas
 *   gateway NET · closed NET · gone BOX · apart BOX NET · rename BOX NAME
 *   socket FAMILY TYPE                                           a socket of the namespace
 *   address ADDRESS                                              of this namespace from now on
 *   counts                                                       waiting, streams, bytes held, descriptors, sockets of the holder */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "resolver.h"
#include "resolver_parts.h"

static struct pod_world world;
static struct pod_loop loop;
static int holder_sockets, handed = -1;

static void must(int holds, const char *what)
{
    if (!holds) {
        perror(what);
        exit(1);
    }
}

/* --- what netd has elsewhere ------------------------------------------------------------------------------------- */

int pod_holder_socket(struct pod_holder *holder, int domain, int type, int protocol,
                      struct pod_err *err)
{
    int fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

    (void)holder;
    holder_sockets++;
    return fd < 0 ? pod_fail(err, POD_SOCKET, "") : fd;
}

int pod_subnet_has(const struct pod_subnet *subnet, const struct in6_addr *address)
{
    int bits = subnet->prefix + (subnet->family == AF_INET ? 96 : 0);

    if (!subnet->family || memcmp(&subnet->base, address, (size_t)bits / 8))
        return 0;
    return !(bits % 8) ||
           !((subnet->base.s6_addr[bits / 8] ^ address->s6_addr[bits / 8]) >> (8 - bits % 8));
}

struct pod_end *pod_world_address(struct pod_world *whole, const struct pod_net *net,
                                  const struct in6_addr *address)
{
    for (struct pod_box *box = whole->boxes; box; box = box->next)
        for (struct pod_end *end = box->ends; end; end = end->next)
            if ((!net || end->net == net) && (!memcmp(&end->v4, address, sizeof *address) ||
                                              !memcmp(&end->v6, address, sizeof *address)))
                return end;
    return NULL;
}

/* --- the world that is described ---------------------------------------------------------------------------------- */

static struct in6_addr address_of(const char *text)
{
    struct in6_addr found = {0};
    struct in_addr four;

    if (inet_pton(AF_INET, text, &four) == 1)
        return pod_v4(four);
    must(!strcmp(text, "-") || inet_pton(AF_INET6, text, &found) == 1, text);
    return found;
}

static struct pod_subnet subnet_of(char *base, const char *gateway)
{
    char *slash = strchr(base, '/');
    struct pod_subnet found = {0};

    if (!slash)
        return found;
    *slash = 0;
    found.family = strchr(base, ':') ? AF_INET6 : AF_INET;
    found.base = address_of(base);
    found.gateway = address_of(gateway);
    found.prefix = atoi(slash + 1);
    return found;
}

static int split(char *text, char **words, int room)
{
    int count = 0;

    if (!strcmp(text, "-"))
        return 0;
    for (char *word = strtok(text, ","); word; word = strtok(NULL, ","))
        if (count < room)
            words[count++] = strdup(word);
    return count;
}

static struct pod_box *box_of(const char *id)
{
    struct pod_box *box = world.boxes;

    while (box && strcmp(box->id, id))
        box = box->next;
    must(box != NULL, id);
    return box;
}

static struct pod_net *net_of(const char *id)
{
    struct pod_net *net = world.nets;

    while (net && strcmp(net->id, id))
        net = net->next;
    must(net != NULL, id);
    return net;
}

static void make_net(char **words)
{
    struct pod_net *net = calloc(1, sizeof *net);

    strcpy(net->id, words[1]);
    strcpy(net->name, words[2]);
    net->flags = (uint32_t)atoi(words[3]);
    net->v4 = subnet_of(words[4], words[5]);
    net->v6 = subnet_of(words[6], words[7]);
    net->next = world.nets;
    world.nets = net;
}

static int bound(int type, int *port)
{
    struct sockaddr_in place = {.sin_family = AF_INET};
    socklen_t length = sizeof place;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, "127.0.0.11", &place.sin_addr);
    must(!bind(fd, (void *)&place, sizeof place), "bind");
    must(type == SOCK_DGRAM || !listen(fd, 64), "listen");
    must(!getsockname(fd, (void *)&place, &length), "getsockname");
    *port = ntohs(place.sin_port);
    return fd;
}

static void make_box(char **words, char *answer)
{
    struct pod_box *box = calloc(1, sizeof *box), **last = &world.boxes;
    struct pod_err err;
    int udp, tcp, udp_port, tcp_port;

    strcpy(box->id, words[1]);
    strcpy(box->name, words[2]);
    strcpy(box->hostname, words[3]);
    box->host_gateway = atoi(words[4]);
    box->servers = calloc(16, sizeof *box->servers);
    if (!split(words[5], box->servers, 15)) {
        free(box->servers);
        box->servers = NULL;
    }
    while (*last)
        last = &(*last)->next;
    *last = box;
    udp = bound(SOCK_DGRAM, &udp_port);
    tcp = bound(SOCK_STREAM, &tcp_port);
    must(!pod_resolver_box(&world, box, udp, tcp, &err), "pod_resolver_box");
    sprintf(answer, "%d %d", udp_port, tcp_port);
}

static void make_end(char **words)
{
    struct pod_box *box = box_of(words[1]);
    struct pod_end *end = calloc(1, sizeof *end), **last = &box->ends;

    end->box = box;
    end->net = net_of(words[2]);
    end->v4 = address_of(words[3]);
    end->v6 = address_of(words[4]);
    end->alias_count = split(words[5], end->aliases, POD_ALIASES_MAX);
    end->link_count = split(words[6], end->links, POD_ALIASES_MAX);
    while (*last)
        last = &(*last)->next;
    *last = end;
}

static void free_end(struct pod_end *end)
{
    for (int i = 0; i < end->alias_count; i++)
        free(end->aliases[i]);
    for (int i = 0; i < end->link_count; i++)
        free(end->links[i]);
    free(end);
}

static void take_apart(struct pod_box *box, const struct pod_net *net)
{
    for (struct pod_end **place = &box->ends, *end; (end = *place);) {
        if (net && end->net != net) {
            place = &end->next;
            continue;
        }
        *place = end->next;
        free_end(end);
    }
}

static void box_gone(struct pod_box *box)
{
    struct pod_box **place = &world.boxes;

    pod_resolver_box_gone(&world, box);
    take_apart(box, NULL);
    while (*place != box)
        place = &(*place)->next;
    *place = box->next;
    for (int i = 0; box->servers && box->servers[i]; i++)
        free(box->servers[i]);
    free(box->servers);
    free(box);
}

static void counts(char *answer)
{
    struct pod_resolver *resolver = world.resolver;
    DIR *folder = opendir("/proc/self/fd");
    int descriptors = -1;

    while (readdir(folder))
        descriptors++;
    closedir(folder);
    sprintf(answer, "%d %d %zu %d %d", resolver->waiting, resolver->stream_count, resolver->held,
            descriptors, holder_sockets);
}

/* --- the namespace ------------------------------------------------------------------------------------------------ */

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
    close(fd);
}

static void enter(void)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    char map[64];
    int fd;

    sprintf(map, "0 %d 1", (int)geteuid());
    must(!unshare(CLONE_NEWUSER | CLONE_NEWNET), "unshare");
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", map);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(!ioctl(fd, SIOCSIFFLAGS, &lo), "lo");
    close(fd);
    write_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
}

static void add_address(const char *text)
{
    struct {
        struct nlmsghdr head;
        struct ifaddrmsg address;
        struct rtattr attribute;
        uint8_t bytes[16];
    } message = {.head = {.nlmsg_type = RTM_NEWADDR, .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE}};
    struct in6_addr address = address_of(text);
    int four = IN6_IS_ADDR_V4MAPPED(&address), size = four ? 4 : 16;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    message.head.nlmsg_len = (uint32_t)(sizeof message - 16 + (size_t)size);
    message.address.ifa_family = four ? AF_INET : AF_INET6;
    message.address.ifa_prefixlen = four ? 32 : 128;
    message.address.ifa_flags = IFA_F_NODAD;
    message.address.ifa_index = if_nametoindex("lo");
    message.attribute.rta_type = IFA_LOCAL;
    message.attribute.rta_len = (unsigned short)(sizeof message.attribute + (size_t)size);
    memcpy(message.bytes, address.s6_addr + (four ? 12 : 0), (size_t)size);
    must(send(fd, &message, message.head.nlmsg_len, 0) > 0, "address");
    close(fd);
}

/* --- the test's words --------------------------------------------------------------------------------------------- */

static void obey(char **words, char *answer)
{
    struct pod_err err;

    if (!strcmp(words[0], "net"))
        make_net(words);
    else if (!strcmp(words[0], "box"))
        make_box(words, answer);
    else if (!strcmp(words[0], "end"))
        make_end(words);
    else if (!strcmp(words[0], "gateway"))
        must(!pod_resolver_net(&world, net_of(words[1]), &err), "pod_resolver_net");
    else if (!strcmp(words[0], "closed"))
        pod_resolver_net_gone(&world, net_of(words[1]));
    else if (!strcmp(words[0], "gone"))
        box_gone(box_of(words[1]));
    else if (!strcmp(words[0], "apart"))
        take_apart(box_of(words[1]), net_of(words[2]));
    else if (!strcmp(words[0], "rename"))
        strcpy(box_of(words[1])->name, words[2]);
    else if (!strcmp(words[0], "socket"))
        must((handed = socket(atoi(words[1]), atoi(words[2]) | SOCK_CLOEXEC, 0)) >= 0, "socket");
    else if (!strcmp(words[0], "address"))
        add_address(words[1]);
    else if (!strcmp(words[0], "counts"))
        counts(answer);
    else
        must(0, words[0]);
}

static void reply(char *answer)
{
    struct iovec part = {answer, strlen(answer)};
    char room[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (handed >= 0) {
        struct cmsghdr *control;
        message.msg_control = room;
        message.msg_controllen = sizeof room;
        control = CMSG_FIRSTHDR(&message);
        *control = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(control), &handed, sizeof handed);
    }
    must(sendmsg(0, &message, 0) >= 0, "sendmsg");
    if (handed >= 0)
        close(handed);
    handed = -1;
}

static void told(struct pod_watch *watch, uint32_t events)
{
    static char line[65536];
    char *words[16] = {0}, answer[128] = "ok", *rest = line;
    ssize_t length = recv(watch->fd, line, sizeof line - 1, 0);

    (void)events;
    if (length <= 0) {
        loop.stopped = 1;
        return;
    }
    line[length] = 0;
    for (int i = 0; i < 15 && rest; i++)
        words[i] = strsep(&rest, " ");
    obey(words, answer);
    reply(answer);
}

int main(void)
{
    struct pod_watch control = {.fd = 0, .ready = told};
    struct pod_err err;

    enter();
    world.loop = &loop;
    must(!pod_loop_init(&loop, &err), "loop");
    must(!pod_resolver_open(&world, &err), "open");
    must(!pod_loop_watch(&loop, &control, EPOLLIN, &err), "watch");
    must(send(0, "ready", 5, 0) == 5, "send");
    pod_loop_run(&loop);
    /* Everything is freed, for the sanitizer to see what is not. */
    while (world.boxes)
        box_gone(world.boxes);
    for (struct pod_net *net; (net = world.nets);) {
        world.nets = net->next;
        pod_resolver_net_gone(&world, net);
        free(net);
    }
    pod_loop_unring(&loop, &((struct pod_resolver *)world.resolver)->tick);
    must(!((struct pod_resolver *)world.resolver)->waiting, "nobody waits");
    must(!((struct pod_resolver *)world.resolver)->held, "nothing is held");
    must(!((struct pod_resolver *)world.resolver)->sockets, "no socket is counted");
    free(world.resolver);
    return 0;
}
