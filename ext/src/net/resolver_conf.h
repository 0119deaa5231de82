/* Whom foreign names are asked: the host's resolv.conf, read again when it has changed. */
#ifndef POD_RESOLVER_CONF_H
#define POD_RESOLVER_CONF_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/stat.h>

#ifndef POD_RESOLV_CONF
#define POD_RESOLV_CONF "/etc/resolv.conf"
#endif

#define POD_SERVERS 3 /* resolv.conf(5): MAXNS */
#define POD_SLOW 8
#define POD_SLOW_MS 30000

union pod_dns_place {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct pod_dns_server {
    union pod_dns_place place;
    int inside; /* a container: reached from the holder, not from the host */
};

struct pod_dns_conf {
    struct pod_dns_server servers[POD_SERVERS];
    int count;
    int rotate; /* option rotate: the first is another one each time */
    int64_t looked; /* ms */
    struct stat file;
    struct {
        struct in6_addr address;
        int64_t until;
    } slow[POD_SLOW]; /* did not answer when others did: asked last for a while */
};

/* Looks whether the file has changed, ten times a second at most. Where there is none: what was known, else this host itself. */
void pod_dns_conf_look(struct pod_dns_conf *conf, int64_t now);
/* Text to an address with port 53, "fe80::1%eth0" too. -1: it is none. */
int pod_dns_place(const char *text, union pod_dns_place *place);
/* IPv4 as ::ffff:a.b.c.d. */
struct in6_addr pod_dns_address_of(const union pod_dns_place *place);
socklen_t pod_dns_place_length(const union pod_dns_place *place);

void pod_dns_conf_slow(struct pod_dns_conf *conf, const struct pod_dns_server *server, int64_t now);
int pod_dns_conf_is_slow(const struct pod_dns_conf *conf, const struct pod_dns_server *server,
                         int64_t now);

#endif
