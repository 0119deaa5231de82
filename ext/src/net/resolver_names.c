/* Names of the world, as Docker's embedded server has them: of containers on networks with names that the asking one is on, too. */
#include <string.h>
#include <strings.h>

#include "resolver_parts.h"

#define SHORT_ID 12
#define FOUND_MAX 512 /* of one alias */
#define PTR4 ".in-addr.arpa"
#define PTR6 ".ip6.arpa"

struct found {
    const struct pod_end *ends[FOUND_MAX];
    int count;
};

static int known(const struct in6_addr *address)
{
    return !IN6_IS_ADDR_UNSPECIFIED(address);
}

/* NAME has LENGTH bytes, a whole name or the front part of one. */
static int same(const char *text, const char *name, size_t length)
{
    /* Most differ in the first letter: of a thousand containers each is looked at. */
    return (text[0] | 0x20) == (name[0] | 0x20) && !strncasecmp(text, name, length) &&
           !text[length];
}

static int end_is_named(const struct pod_end *end, const char *name, size_t length)
{
    const struct pod_box *box = end->box;

    if (same(box->name, name, length) || same(box->hostname, name, length))
        return 1;
    /* Not the whole one: 64 digits are more than a label may have. */
    if (length == SHORT_ID && box->id[0] == name[0] && !strncasecmp(box->id, name, length))
        return 1;
    for (int i = 0; i < end->alias_count; i++)
        if (same(end->aliases[i], name, length))
            return 1;
    return 0;
}

static void add(struct found *found, const struct pod_end *end)
{
    if (found->count < FOUND_MAX && (known(&end->v4) || known(&end->v6)))
        found->ends[found->count++] = end;
}

static const struct pod_end *end_on(const struct pod_box *box, const struct pod_net *net)
{
    const struct pod_end *end = box->ends;

    while (end && end->net != net)
        end = end->next;
    return end;
}

/* Names that --link gave: "alias=container id", for this container alone. */
static void find_links(const struct pod_world *world, const struct pod_end *own, const char *name,
                       size_t length, struct found *found)
{
    for (int i = 0; i < own->link_count; i++) {
        const char *sign = strchr(own->links[i], '=');
        const struct pod_end *end;
        if (!sign || (size_t)(sign - own->links[i]) != length ||
            strncasecmp(own->links[i], name, length))
            continue;
        for (const struct pod_box *box = world->boxes; box; box = box->next)
            if (!strcmp(box->id, sign + 1) && (end = end_on(box, own->net)))
                add(found, end);
    }
}

static int find_on(const struct pod_resolver *resolver, const struct pod_end *own, const char *name,
                   size_t length, struct found *found)
{
    const struct pod_end *end;

    find_links(resolver->world, own, name, length, found);
    if (found->count || !(own->net->flags & POD_NET_NAMES))
        return found->count;
    for (const struct pod_box *box = resolver->world->boxes; box; box = box->next)
        if ((end = end_on(box, own->net)) && end_is_named(end, name, length))
            add(found, end);
    return found->count;
}

/* The name on any of the networks, else as NAME.NETWORK, at each of its dots. */
static void find(const struct pod_resolver *resolver, const struct pod_box *box, const char *name,
                 struct found *found)
{
    size_t length = strlen(name);

    for (const struct pod_end *own = box->ends; own; own = own->next)
        if (find_on(resolver, own, name, length, found))
            return;
    for (const char *dot = name + length; dot-- > name;) {
        if (*dot != '.')
            continue;
        for (const struct pod_end *own = box->ends; own; own = own->next)
            if ((own->net->flags & POD_NET_NAMES) && !strcasecmp(own->net->name, dot + 1) &&
                find_on(resolver, own, name, (size_t)(dot - name), found))
                return;
    }
}

static void put(struct pod_reply *reply, int type, const struct in6_addr *v4,
                const struct in6_addr *v6)
{
    if ((type == POD_DNS_A || type == POD_DNS_ANY) && known(v4))
        pod_dns_address(reply, v4);
    if ((type == POD_DNS_AAAA || type == POD_DNS_ANY) && known(v6))
        pod_dns_address(reply, v6);
}

/* The host, for who asked for it (--add-host …:host-gateway): the gateway's address of its first network with a way out. */
static const struct pod_net *host_network(const struct pod_box *box, const char *name)
{
    if (!box->host_gateway ||
        (strcmp(name, "host.docker.internal") && strcmp(name, "gateway.docker.internal")))
        return NULL;
    for (const struct pod_end *own = box->ends; own; own = own->next)
        if (!(own->net->flags & POD_NET_INTERNAL))
            return own->net;
    return NULL;
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* "4.3.2.1" to ::ffff:1.2.3.4. */
static int reversed4(const char *name, struct in6_addr *address)
{
    memset(address, 0, sizeof *address);
    address->s6_addr[10] = address->s6_addr[11] = 0xff;
    for (int i = 15; i >= 12; i--) {
        unsigned value = 0, digits = 0;
        for (; *name >= '0' && *name <= '9' && digits < 3; name++, digits++)
            value = value * 10 + (unsigned)(*name - '0');
        if (!digits || value > 255 || *name != (i > 12 ? '.' : 0))
            return -1;
        address->s6_addr[i] = (uint8_t)value;
        name += i > 12;
    }
    return 0;
}

/* 32 digits with dots, the last one first. */
static int reversed6(const char *name, struct in6_addr *address)
{
    memset(address, 0, sizeof *address);
    for (int i = 31; i >= 0; i--, name += 2) {
        int digit = hex_digit(name[0]);
        if (digit < 0 || name[1] != (i ? '.' : 0))
            return -1;
        address->s6_addr[i / 2] |= (uint8_t)(i % 2 ? digit : digit << 4);
    }
    return 0;
}

static int reversed(const char *name, struct in6_addr *address)
{
    char front[POD_DNS_NAME];
    size_t length = strlen(name);
    int six = length > strlen(PTR6) && !strcmp(name + length - strlen(PTR6), PTR6);

    if (!six && (length <= strlen(PTR4) || strcmp(name + length - strlen(PTR4), PTR4)))
        return -1;
    length -= strlen(six ? PTR6 : PTR4);
    memcpy(front, name, length);
    front[length] = 0;
    return six ? reversed6(front, address) : reversed4(front, address);
}

/* An address of one's own networks: its name as NAME.NETWORK, or that nobody has it; never asked of others. */
static int answer_pointer(const struct pod_resolver *resolver, const struct pod_box *box,
                          const uint8_t *packet, const struct pod_question *question,
                          struct pod_reply *reply, uint8_t *bytes, size_t room)
{
    struct in6_addr address;
    const struct pod_end *own, *end;
    char text[2 * POD_NAME_MAX];

    if (reversed(question->name, &address))
        return 0;
    for (own = box->ends; own; own = own->next)
        if ((own->net->flags & POD_NET_NAMES) &&
            (pod_subnet_has(&own->net->v4, &address) || pod_subnet_has(&own->net->v6, &address)))
            break;
    if (!own)
        return 0;
    end = pod_world_address(resolver->world, own->net, &address);
    pod_dns_begin(reply, bytes, room, packet, question, end ? POD_DNS_OK : POD_DNS_NXDOMAIN, 1);
    if (!end || (question->type != POD_DNS_PTR && question->type != POD_DNS_ANY))
        return 1;
    strcpy(text, end->box->name);
    strcat(strcat(text, "."), own->net->name);
    pod_dns_pointer(reply, text);
    return 1;
}

/* Each name turns on its own: who asks for two of them in turn, or for A and AAAA, sees all of both. */
static unsigned turn(struct pod_resolver *resolver, const struct pod_question *question)
{
    unsigned hash = question->type;

    for (const char *byte = question->name; *byte; byte++)
        hash = hash * 31 + (uint8_t)*byte;
    return resolver->turns[hash % POD_DNS_TURNS]++;
}

int pod_names_answer(struct pod_resolver *resolver, const struct pod_box *box,
                     const uint8_t *packet, const struct pod_question *question,
                     struct pod_reply *reply, uint8_t *bytes, size_t room)
{
    struct found found;
    const struct pod_net *host;
    unsigned first;

    if (question->odd || !question->name[0])
        return 0;
    if (answer_pointer(resolver, box, packet, question, reply, bytes, room))
        return 1;
    found.count = 0;
    find(resolver, box, question->name, &found);
    host = found.count ? NULL : host_network(box, question->name);
    if (!found.count && !host)
        return 0;
    /* Of other types than addresses a container has none: known, and no data. */
    pod_dns_begin(reply, bytes, room, packet, question, POD_DNS_OK, 1);
    if (host)
        put(reply, question->type, &host->v4.gateway, &host->v6.gateway);
    first = found.count > 1 ? turn(resolver, question) : 0;
    for (unsigned i = 0; i < (unsigned)found.count; i++) {
        const struct pod_end *end = found.ends[(first + i) % (unsigned)found.count];
        put(reply, question->type, &end->v4, &end->v6);
    }
    return 1;
}

int pod_names_recurses(const struct pod_asker *asker)
{
    if (!asker->box)
        return !(asker->net->flags & POD_NET_INTERNAL);
    for (const struct pod_end *own = asker->box->ends; own; own = own->next)
        if (!(own->net->flags & POD_NET_INTERNAL))
            return 1;
    return 0;
}
