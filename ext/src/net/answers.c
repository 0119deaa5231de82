/* What netd says of its containers: to their supervisors, and to who asks for all of it. */
#include <stdlib.h>
#include <string.h>

#include "gateway.h"
#include "netd.h"
#include "text.h"

#define HEAD_ROOM 512 /* of a message and its items */
#define END_ROOM 64   /* of what follows the containers */

/* --- state.json's member "network" ------------------------------------------------------------------------------- */

static void put_family(struct pod_text *text, const struct pod_end *end, int v6)
{
    const struct pod_subnet *subnet = v6 ? &end->net->v6 : &end->net->v4;
    const char *names[2][3] = {{"Gateway", "IPAddress", "IPPrefixLen"},
                               {"IPv6Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen"}};
    char gateway[46] = "", address[46] = "";

    if (subnet->family) {
        pod_address_text(v6 ? &end->v6 : &end->v4, address);
        if (!(end->net->flags & POD_NET_INTERNAL))
            pod_address_text(&subnet->gateway, gateway);
    }
    pod_text_format(text, ",\"%s\":\"%s\",\"%s\":\"%s\",\"%s\":%d", names[v6][0], gateway,
                    names[v6][1], address, names[v6][2], subnet->family ? subnet->prefix : 0);
}

static void put_end(struct pod_text *text, const struct pod_end *end)
{
    const uint8_t *mac = end->mac;

    pod_text_str(text, "{\"NetworkID\":");
    pod_text_json(text, end->net->id);
    pod_text_format(text, ",\"EndpointID\":\"%s\"", end->id);
    put_family(text, end, 0);
    put_family(text, end, 1);
    pod_text_format(text, ",\"MacAddress\":\"%02x:%02x:%02x:%02x:%02x:%02x\"", mac[0], mac[1],
                    mac[2], mac[3], mac[4], mac[5]);
    pod_text_format(text, ",\"Interface\":\"%s\"}", end->ifname);
}

static const char *protocol_name(int protocol)
{
    return protocol == IPPROTO_UDP ? "udp" : "tcp";
}

static int same_key(const struct pod_port *one, const struct pod_port *other)
{
    return one->container == other->container && one->protocol == other->protocol;
}

/* Every one of a container's port, under one key; whether there is one. */
static int put_bindings(struct pod_text *text, const struct pod_box *box, int first, int after)
{
    char address[46];
    int count = 0;

    for (int i = first; i < box->published_count; i++) {
        const struct pod_port *port = &box->published[i];
        if (!same_key(port, &box->published[first]) || !port->taken)
            continue;
        if (count++)
            pod_text_str(text, ",");
        else
            pod_text_format(text, "%s\"%u/%s\":[", after ? "," : "", port->container,
                            protocol_name(port->protocol));
        pod_address_text(&port->host, address);
        pod_text_format(text, "{\"HostIp\":\"%s\",\"HostPort\":\"%u\"}", address, port->taken);
    }
    if (count)
        pod_text_str(text, "]");
    return count > 0;
}

static void put_ports(struct pod_text *text, const struct pod_box *box)
{
    int count = 0;

    pod_text_str(text, "{");
    for (int i = 0; i < box->published_count && !text->overflow; i++) {
        int before = i && same_key(&box->published[i - 1], &box->published[i]) ? i - 1 : 0;
        while (before < i && !same_key(&box->published[before], &box->published[i]))
            before++;
        if (before == i)
            count += put_bindings(text, box, i, count);
    }
    pod_text_str(text, "}");
}

static void put_state(struct pod_text *text, const struct pod_box *box)
{
    pod_text_str(text, "{\"Networks\":{");
    for (const struct pod_end *end = box->ends; end; end = end->next) {
        if (end != box->ends)
            pod_text_str(text, ",");
        pod_text_json(text, end->net->name);
        pod_text_str(text, ":");
        put_end(text, end);
    }
    pod_text_str(text, "},\"Ports\":");
    put_ports(text, box);
    pod_text_str(text, "}");
}

/* --- lines of /etc/hosts ------------------------------------------------------------------------------------------- */

static void put_line(struct pod_text *text, const struct in6_addr *address, const char *names)
{
    char numbers[46];

    if (IN6_IS_ADDR_UNSPECIFIED(address))
        return;
    pod_address_text(address, numbers);
    pod_text_str(text, numbers);
    pod_text_str(text, "\t");
    pod_text_str(text, names);
    pod_text_str(text, "\n");
}

/* "alias=id": the alias, the other's host name, its name (Docker's order); nothing while it is not there. */
static void put_link(struct pod_world *world, struct pod_text *text, const struct pod_end *end,
                     const char *link)
{
    const char *id = strrchr(link, '=');
    char names[3 * POD_NAME_MAX + 3];

    struct pod_box *other = id ? pod_world_box(world, id + 1) : NULL;
    if (!other || id - link >= POD_NAME_MAX)
        return;
    int alias = (int)(id - link);
    int named = strncmp(link, other->name, (size_t)alias) || other->name[alias];
    snprintf(names, sizeof names, "%.*s %s%s%s", alias, link, other->hostname, named ? " " : "",
             named ? other->name : "");
    for (const struct pod_end *their = other->ends; their; their = their->next)
        if (their->net == end->net) {
            put_line(text, &their->v4, names);
            put_line(text, &their->v6, names);
        }
}

static void put_hosts(struct pod_world *world, struct pod_text *text, const struct pod_box *box)
{
    char names[2 * POD_NAME_MAX];
    size_t dot = strcspn(box->hostname, ".");

    snprintf(names, sizeof names, "%s%s%.*s", box->hostname, box->hostname[dot] ? " " : "",
             box->hostname[dot] ? (int)dot : 0, box->hostname);
    for (const struct pod_end *end = box->ends; end && box->hostname[0]; end = end->next) {
        put_line(text, &end->v4, names);
        put_line(text, &end->v6, names);
    }
    for (const struct pod_end *end = box->ends; end; end = end->next)
        for (int i = 0; i < end->link_count; i++)
            put_link(world, text, end, end->links[i]);
}

/* --- messages --------------------------------------------------------------------------------------------------------- */

/* More than a lease has room for. */
static void put_host_ports(struct pod_wire *wire, const struct pod_box *box)
{
    uint16_t ports[POD_PORTS_MAX];

    if (box->published_count <= POD_LEASE_PORTS)
        return;
    for (int i = 0; i < box->published_count; i++)
        ports[i] = box->published[i].taken;
    pod_wire_put(wire, POD_ITEM_PORTS, ports, (size_t)box->published_count * sizeof *ports);
}

static void put_lease(struct pod_wire *wire, const struct pod_end *end)
{
    struct pod_lease lease = {.unused = {0}};

    memcpy(lease.v4, &end->v4, 16);
    memcpy(lease.v6, &end->v6, 16);
    memcpy(lease.mac, end->mac, sizeof lease.mac);
    memcpy(lease.ifname, end->ifname, sizeof lease.ifname);
    memcpy(lease.outer, end->outer, sizeof lease.outer);
    memcpy(lease.id, end->id, sizeof lease.id);
    for (int i = 0; i < end->box->published_count && i < POD_LEASE_PORTS; i++)
        lease.ports[i] = end->box->published[i].taken;
    pod_wire_put(wire, POD_ITEM_LEASE, &lease, sizeof lease);
}

void pod_answer_box(struct pod_world *world, const struct pod_box *box, struct pod_wire *wire)
{
    POD_AUTO_FREE char *bytes = malloc(POD_WIRE_MAX);
    struct pod_text text = {.bytes = bytes, .size = bytes ? POD_WIRE_MAX : 0};

    put_host_ports(wire, box);
    for (const struct pod_end *end = box->ends; end; end = end->next) {
        pod_wire_put(wire, POD_ITEM_END, NULL, 0);
        pod_wire_text(wire, POD_ITEM_NET_ID, end->net->id);
        put_lease(wire, end);
    }
    put_state(&text, box);
    pod_wire_pieces(wire, POD_ITEM_STATE, text.bytes, text.used);
    wire->overflow |= text.overflow;
    text.used = 0;
    put_hosts(world, &text, box);
    pod_wire_pieces(wire, POD_ITEM_HOSTS, text.bytes, text.used);
    wire->overflow |= text.overflow;
}

static void put_net(struct pod_text *text, const struct pod_net *net)
{
    char address[46];

    pod_text_str(text, "{\"Id\":");
    pod_text_json(text, net->id);
    pod_text_str(text, ",\"Name\":");
    pod_text_json(text, net->name);
    pod_text_format(text, ",\"Kind\":\"%s\",\"Bridge\":\"%s\",\"Index\":%d,\"Mtu\":%u,\"Flags\":%u",
                    net->kind, net->bridge, net->ifindex, net->mtu, net->flags);
    pod_text_format(text, ",\"Ends\":%d,\"Gateways\":[", net->ends);
    if (net->v4.family) {
        pod_address_text(&net->v4.gateway, address);
        pod_text_format(text, "\"%s/%d\"", address, net->v4.prefix);
    }
    if (net->v6.family) {
        pod_address_text(&net->v6.gateway, address);
        pod_text_format(text, "%s\"%s/%d\"", net->v4.family ? "," : "", address, net->v6.prefix);
    }
    pod_text_str(text, "]}");
}

static void put_box(struct pod_text *text, const struct pod_box *box)
{
    pod_text_format(text, "{\"Id\":\"%s\",\"Name\":", box->id);
    pod_text_json(text, box->name);
    pod_text_str(text, ",\"Hostname\":");
    pod_text_json(text, box->hostname);
    pod_text_str(text, ",\"State\":");
    put_state(text, box);
    pod_text_str(text, ",\"Outer\":[");
    for (const struct pod_end *end = box->ends; end; end = end->next)
        pod_text_format(text, "%s\"%s\"", end == box->ends ? "" : ",", end->outer);
    pod_text_str(text, "]}");
}

/* Of very many containers those that find room; "Cut" says so then. */
void pod_answer_world(struct pod_world *world, struct pod_wire *wire)
{
    POD_AUTO_FREE char *bytes = malloc(POD_WIRE_MAX);
    struct pod_text text = {.bytes = bytes,
                            .size = bytes ? POD_WIRE_MAX - HEAD_ROOM - END_ROOM : 0};
    int cut = 0;

    pod_text_format(&text, "{\"Version\":%d,\"Holder\":%ld,\"Guarded\":%s,\"Networks\":[",
                    POD_WIRE_VERSION, (long)world->holder->pid, world->guarded ? "true" : "false");
    for (const struct pod_net *net = world->nets; net && !cut; net = net->next) {
        size_t before = text.used;
        pod_text_str(&text, net == world->nets ? "" : ",");
        put_net(&text, net);
        if ((cut = text.overflow))
            text.used = before;
    }
    text.overflow = 0;
    pod_text_str(&text, "],\"Containers\":[");
    for (const struct pod_box *box = world->boxes; box && !cut; box = box->next) {
        size_t before = text.used;
        pod_text_str(&text, box == world->boxes ? "" : ",");
        put_box(&text, box);
        if ((cut = text.overflow))
            text.used = before;
    }
    text.overflow = 0;
    text.size += bytes ? END_ROOM : 0;
    pod_text_format(&text, "],\"Cut\":%s}", cut ? "true" : "false");
    pod_wire_pieces(wire, POD_ITEM_JSON, text.bytes, text.used);
}
