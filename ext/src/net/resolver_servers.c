/* Whom a question of a container's is passed to. */
#include <string.h>

#include "resolver_parts.h"

static int is_gateway(const struct pod_box *box, const struct in6_addr *address)
{
    for (const struct pod_end *own = box->ends; own; own = own->next)
        if (!memcmp(&own->net->v4.gateway, address, sizeof *address) ||
            !memcmp(&own->net->v6.gateway, address, sizeof *address))
            return 1;
    return 0;
}

static int is_inside(const struct pod_box *box, const struct in6_addr *address)
{
    for (const struct pod_end *own = box->ends; own; own = own->next)
        if (pod_subnet_has(&own->net->v4, address) || pod_subnet_has(&own->net->v6, address))
            return 1;
    return 0;
}

/* Of --dns: a container of its own networks is asked in the holder; the gateway's address means who stands behind it (*HOST). Without a
 * way out only the former are left. */
static int of_box(const struct pod_box *box, int recurses, struct pod_dns_server *servers,
                  int *host)
{
    int count = 0;

    *host = 0;
    for (int i = 0; box->servers[i] && count < POD_SERVERS; i++) {
        struct in6_addr address;
        if (pod_dns_place(box->servers[i], &servers[count].place))
            continue;
        address = pod_dns_address_of(&servers[count].place);
        servers[count].inside = is_inside(box, &address);
        if (servers[count].inside && is_gateway(box, &address))
            *host = 1;
        else
            count += servers[count].inside || recurses;
    }
    return count;
}

/* In their order, those that were silent of late last. */
static int of_host(struct pod_resolver *resolver, struct pod_dns_server *servers, int count,
                   int64_t now)
{
    struct pod_dns_conf *conf = &resolver->conf;
    unsigned first, known;

    pod_dns_conf_look(conf, now);
    first = conf->rotate ? resolver->first++ : 0;
    known = (unsigned)conf->count;
    for (int slow = 0; slow < 2; slow++)
        for (unsigned i = 0; i < known && count < POD_SERVERS; i++) {
            const struct pod_dns_server *server = &conf->servers[(first + i) % known];
            if (pod_dns_conf_is_slow(conf, server, now) == slow)
                servers[count++] = *server;
        }
    return count;
}

int pod_servers_choose(struct pod_resolver *resolver, const struct pod_asker *asker,
                       struct pod_dns_server servers[POD_SERVERS], int64_t now)
{
    const struct pod_box *box = asker->box;
    int recurses = pod_names_recurses(asker), host = 1, count = 0;

    if (box && box->servers && box->servers[0])
        count = of_box(box, recurses, servers, &host);
    return host && recurses ? of_host(resolver, servers, count, now) : count;
}
