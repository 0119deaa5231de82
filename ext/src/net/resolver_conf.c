#include "resolver_conf.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "err.h"

#define FILE_MAX_BYTES 16384
#define LOOK_MS 100

struct in6_addr pod_dns_address_of(const union pod_dns_place *place)
{
    struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    if (place->any.sa_family == AF_INET6)
        return place->v6.sin6_addr;
    memcpy(&mapped.s6_addr[12], &place->v4.sin_addr, 4);
    return mapped;
}

socklen_t pod_dns_place_length(const union pod_dns_place *place)
{
    return place->any.sa_family == AF_INET6 ? sizeof place->v6 : sizeof place->v4;
}

int pod_dns_place(const char *text, union pod_dns_place *place)
{
    char address[INET6_ADDRSTRLEN + 1];
    size_t length = strcspn(text, "%");

    memset(place, 0, sizeof *place);
    if (length >= sizeof address)
        return -1;
    memcpy(address, text, length);
    address[length] = 0;
    if (!text[length] && inet_pton(AF_INET, address, &place->v4.sin_addr) == 1) {
        place->v4.sin_family = AF_INET;
        place->v4.sin_port = htons(53);
        return 0;
    }
    if (inet_pton(AF_INET6, address, &place->v6.sin6_addr) != 1)
        return -1;
    place->v6.sin6_family = AF_INET6;
    place->v6.sin6_port = htons(53);
    if (text[length] && !(place->v6.sin6_scope_id = if_nametoindex(text + length + 1)))
        return -1;
    return 0;
}

/* The next word of a line; NULL at its end. */
static char *word(char **line)
{
    char *found = *line + strspn(*line, " \t\r");

    if (!*found)
        return NULL;
    *line = found + strcspn(found, " \t\r");
    if (**line)
        *(*line)++ = 0;
    return found;
}

static void read_line(struct pod_dns_conf *conf, char *line)
{
    char *key = word(&line), *value;

    if (!key)
        return;
    if (!strcmp(key, "nameserver") && conf->count < POD_SERVERS && (value = word(&line))) {
        struct pod_dns_server *server = &conf->servers[conf->count];
        server->inside = 0;
        conf->count += !pod_dns_place(value, &server->place);
    }
    if (!strcmp(key, "options"))
        while ((value = word(&line)))
            conf->rotate |= !strcmp(value, "rotate");
}

static void read_text(struct pod_dns_conf *conf, char *text)
{
    conf->count = conf->rotate = 0;
    while (text) {
        char *end = strchr(text, '\n');
        if (end)
            *end++ = 0;
        if (*text != '#' && *text != ';')
            read_line(conf, text);
        text = end;
    }
}

static int same_file(const struct stat *one, const struct stat *other)
{
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino &&
           one->st_size == other->st_size && one->st_mtim.tv_sec == other->st_mtim.tv_sec &&
           one->st_mtim.tv_nsec == other->st_mtim.tv_nsec &&
           one->st_ctim.tv_sec == other->st_ctim.tv_sec &&
           one->st_ctim.tv_nsec == other->st_ctim.tv_nsec;
}

static void look(struct pod_dns_conf *conf)
{
    char text[FILE_MAX_BYTES + 1];
    struct stat now;
    ssize_t length;
    POD_AUTO_FD int fd = -1;

    if (stat(POD_RESOLV_CONF, &now) || !S_ISREG(now.st_mode) || same_file(&now, &conf->file))
        return;
    fd = open(POD_RESOLV_CONF, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    /* Empty: somebody is about to write it. */
    if (fd < 0 || (length = read(fd, text, FILE_MAX_BYTES)) <= 0)
        return;
    text[length] = 0;
    conf->file = now;
    read_text(conf, text);
}

void pod_dns_conf_look(struct pod_dns_conf *conf, int64_t now)
{
    if (conf->looked && now - conf->looked < LOOK_MS)
        return;
    conf->looked = now;
    look(conf);
    if (!conf->count) { /* resolv.conf(5): then it is the host itself */
        conf->count = !pod_dns_place("127.0.0.1", &conf->servers[0].place);
        conf->servers[0].inside = 0;
    }
}

int pod_dns_conf_is_slow(const struct pod_dns_conf *conf, const struct pod_dns_server *server,
                         int64_t now)
{
    struct in6_addr address = pod_dns_address_of(&server->place);

    for (int i = 0; i < POD_SLOW; i++)
        if (conf->slow[i].until > now && !memcmp(&conf->slow[i].address, &address, sizeof address))
            return 1;
    return 0;
}

void pod_dns_conf_slow(struct pod_dns_conf *conf, const struct pod_dns_server *server, int64_t now)
{
    int oldest = 0;

    if (pod_dns_conf_is_slow(conf, server, now))
        return;
    for (int i = 1; i < POD_SLOW; i++)
        if (conf->slow[i].until < conf->slow[oldest].until)
            oldest = i;
    conf->slow[oldest].address = pod_dns_address_of(&server->place);
    conf->slow[oldest].until = now + POD_SLOW_MS;
}
