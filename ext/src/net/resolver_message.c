#include "resolver_message.h"

#include <string.h>

#define HOPS 32 /* pointers in one name: what servers send has one */
#define POINTER_TO_QUESTION 0xc00c
#define OPT_LENGTH 11

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

/* The question's name: without pointers, for nothing is before it. */
static int question_name(const uint8_t *packet, size_t length, struct pod_question *question)
{
    size_t at = POD_DNS_HEAD, used = 0;

    question->odd = 0;
    for (;;) {
        uint8_t label;
        if (at >= length || packet[at] > 63)
            return -1;
        label = packet[at++];
        if (!label)
            break;
        /* 255 bytes on the wire are 253 of text. */
        if (at + label > length || at + label - POD_DNS_HEAD > 254)
            return -1;
        if (used)
            question->name[used++] = '.';
        for (; label; label--, at++) {
            question->odd |= packet[at] == '.' || !packet[at];
            question->name[used++] = (char)lower(packet[at]);
        }
    }
    question->name[used] = 0;
    if (at + 4 > length)
        return -1;
    question->type = pod_dns_u16(packet + at);
    question->class = pod_dns_u16(packet + at + 2);
    question->length = (uint16_t)(at + 4);
    return 0;
}

/* Where what follows the name begins, or 0. Pointers lead backwards only, so a name ends. */
static size_t after_name(const uint8_t *packet, size_t length, size_t at)
{
    size_t after = 0, total = 0, limit = at;

    for (int hops = 0; hops <= HOPS;) {
        uint8_t label;
        if (at >= length)
            return 0;
        label = packet[at];
        if (label >= 0xc0) {
            size_t to;
            if (at + 2 > length)
                return 0;
            to = pod_dns_u16(packet + at) & 0x3fff;
            if (to >= limit || to < POD_DNS_HEAD)
                return 0;
            after = after ? after : at + 2;
            length = limit; /* what it leads to had ended where this name began */
            at = limit = to;
            hops++;
            continue;
        }
        if (label > 63 || (total += label + 1u) > 255)
            return 0;
        at += label + 1u;
        if (!label)
            return after ? after : at;
    }
    return 0;
}

/* Names inside of a record's data: what a client follows, too. */
static int data_is_sound(const uint8_t *packet, uint16_t type, size_t at, size_t end)
{
    switch (type) {
    case POD_DNS_A:
        return end - at == 4;
    case POD_DNS_AAAA:
        return end - at == 16;
    case POD_DNS_NS:
    case POD_DNS_CNAME:
    case POD_DNS_PTR:
        return after_name(packet, end, at) == end;
    case POD_DNS_MX:
        return end - at > 2 && after_name(packet, end, at + 2) == end;
    case POD_DNS_SRV:
        return end - at > 6 && after_name(packet, end, at + 6) == end;
    case POD_DNS_SOA:
        at = after_name(packet, end, at);
        at = at ? after_name(packet, end, at) : 0;
        return at && end - at == 20;
    default:
        return 1;
    }
}

/* One record; where the next begins, or 0. *TYPE of it, *FIXED where its type stands. */
static size_t after_record(const uint8_t *packet, size_t length, size_t at, size_t *fixed)
{
    size_t end;

    at = after_name(packet, length, at);
    if (!at || at + 10 > length)
        return 0;
    *fixed = at;
    end = at + 10 + pod_dns_u16(packet + at + 8);
    if (end > length || !data_is_sound(packet, pod_dns_u16(packet + at), at + 10, end))
        return 0;
    return end;
}

static size_t records(const uint8_t *packet)
{
    return (size_t)pod_dns_u16(packet + 6) + pod_dns_u16(packet + 8) + pod_dns_u16(packet + 10);
}

int pod_dns_question(const uint8_t *packet, size_t length, struct pod_question *question)
{
    size_t at;

    if (length < POD_DNS_HEAD || (packet[2] & 0x80))
        return -1;
    memset(question, 0, offsetof(struct pod_question, name) + 1);
    question->id = pod_dns_u16(packet);
    question->room = POD_DNS_LEAST;
    if (packet[2] & 0x78)
        return POD_DNS_NOTIMP;
    if (pod_dns_u16(packet + 4) != 1 || question_name(packet, length, question))
        return POD_DNS_FORMERR;
    at = question->length;
    for (size_t left = records(packet); left; left--) {
        size_t fixed;
        at = after_record(packet, length, at, &fixed);
        if (!at)
            return POD_DNS_FORMERR;
        if (pod_dns_u16(packet + fixed) != POD_DNS_OPT)
            continue;
        if (question->edns)
            return POD_DNS_FORMERR;
        question->edns = 1;
        question->version = packet[fixed + 5];
        question->room = pod_dns_u16(packet + fixed + 2);
        if (question->room < POD_DNS_LEAST)
            question->room = POD_DNS_LEAST;
    }
    return 0;
}

size_t pod_dns_refuse(uint8_t *answer, const uint8_t *packet, int code)
{
    memset(answer, 0, POD_DNS_HEAD);
    memcpy(answer, packet, 2);
    answer[2] = (uint8_t)(0x80 | (packet[2] & 0x79));
    answer[3] = (uint8_t)code;
    return POD_DNS_HEAD;
}

void pod_dns_begin(struct pod_reply *reply, uint8_t *bytes, size_t room, const uint8_t *packet,
                   const struct pod_question *question, int code, int recurses)
{
    reply->bytes = bytes;
    reply->question = question;
    reply->room = room - (question->edns ? OPT_LENGTH : 0);
    reply->used = question->length;
    reply->count = 0;
    memcpy(bytes, packet, question->length);
    bytes[2] = (uint8_t)(0x80 | (packet[2] & 0x01));
    bytes[3] = (uint8_t)((recurses ? 0x80 : 0) | (packet[3] & 0x10) | (code & 15));
    memset(bytes + 6, 0, 6);
    if (question->edns) {
        static const uint8_t opt[OPT_LENGTH] = {0, 0, POD_DNS_OPT, POD_DNS_ROOM >> 8,
                                                POD_DNS_ROOM & 255};
        /* Behind the room for answers: _finish moves it. */
        memcpy(bytes + reply->room, opt, OPT_LENGTH);
        bytes[reply->room + 5] = (uint8_t)(code >> 4);
    }
}

/* Room for a record to the question's name, with LENGTH bytes of data; NULL where there is none. */
static uint8_t *record(struct pod_reply *reply, uint16_t type, size_t length)
{
    uint8_t *at = reply->bytes + reply->used;

    if (reply->used + 12 + length > reply->room) {
        reply->bytes[2] |= 0x02;
        return NULL;
    }
    pod_dns_put16(at, POINTER_TO_QUESTION);
    pod_dns_put16(at + 2, type);
    pod_dns_put16(at + 4, 1);
    pod_dns_put16(at + 6, 0);
    pod_dns_put16(at + 8, POD_DNS_TTL);
    pod_dns_put16(at + 10, (unsigned)length);
    reply->used += 12 + length;
    reply->count++;
    return at + 12;
}

void pod_dns_address(struct pod_reply *reply, const struct in6_addr *address)
{
    int four = IN6_IS_ADDR_V4MAPPED(address);
    uint8_t *data = record(reply, four ? POD_DNS_A : POD_DNS_AAAA, four ? 4 : 16);

    if (data)
        memcpy(data, address->s6_addr + (four ? 12 : 0), four ? 4 : 16);
}

void pod_dns_pointer(struct pod_reply *reply, const char *name)
{
    uint8_t wire[POD_DNS_NAME], *data;
    size_t used = 0;

    while (*name) {
        size_t label = strcspn(name, ".");
        if (!label || label > 63 || used + label + 2 > 255)
            return;
        wire[used++] = (uint8_t)label;
        memcpy(wire + used, name, label);
        used += label;
        name += label + (name[label] == '.');
    }
    wire[used++] = 0;
    data = record(reply, POD_DNS_PTR, used);
    if (data)
        memcpy(data, wire, used);
}

size_t pod_dns_finish(struct pod_reply *reply)
{
    pod_dns_put16(reply->bytes + 6, (unsigned)reply->count);
    if (reply->question->edns) {
        memmove(reply->bytes + reply->used, reply->bytes + reply->room, OPT_LENGTH);
        reply->bytes[11] = 1;
        reply->used += OPT_LENGTH;
    }
    return reply->used;
}

size_t pod_dns_cut(uint8_t *answer, size_t question)
{
    answer[2] |= 0x02;
    memset(answer + 6, 0, 6);
    return question;
}

static int same_question(const uint8_t *one, const uint8_t *other, size_t length)
{
    for (size_t i = 0; i < length - 4; i++)
        if (lower(one[i]) != lower(other[i]))
            return 0;
    return !memcmp(one + length - 4, other + length - 4, 4);
}

int pod_dns_answers(const uint8_t *query, size_t question, const uint8_t *answer, size_t length)
{
    int code = answer[3] & 15;

    if (!(answer[2] & 0x80) || (answer[2] & 0x78))
        return 0;
    /* Who cannot or may not answer may leave the question out. */
    if (!pod_dns_u16(answer + 4))
        return length == POD_DNS_HEAD && !records(answer) && code && code != POD_DNS_NXDOMAIN;
    return pod_dns_u16(answer + 4) == 1 && length >= question &&
           same_question(query + POD_DNS_HEAD, answer + POD_DNS_HEAD, question - POD_DNS_HEAD);
}

int pod_dns_check(const uint8_t *query, size_t question, uint8_t *answer, size_t *length)
{
    size_t at = question;

    if (*length == POD_DNS_HEAD)
        return answer[3] & 15;
    memcpy(answer + POD_DNS_HEAD, query + POD_DNS_HEAD, question - POD_DNS_HEAD);
    for (size_t left = records(answer); left && at; left--) {
        size_t fixed;
        at = after_record(answer, *length, at, &fixed);
    }
    if (!at && !pod_dns_is_cut(answer))
        return -1;
    /* Cut in the middle of a record: the client asks again by TCP, as it would anyway. */
    *length = at ? at : pod_dns_cut(answer, question);
    return answer[3] & 15;
}
