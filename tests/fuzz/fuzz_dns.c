/* DNS messages: the input is a question's length (two bytes), the question as a container sends it, then the answer as a server does.
 * What is passed on is sound by the judgement of this file's own reader. */
#include <string.h>

#include "../../ext/src/net/resolver_message.h"
#include "fuzz.h"

/* A name from AT on, pointers followed by the letter of RFC 1035; 0 where it does not end within 255 bytes. */
static size_t name(const uint8_t *packet, size_t length, size_t at)
{
    size_t after = 0, total = 0;

    for (int steps = 0; steps < 1000; steps++) {
        CLAIM(at < length);
        if (packet[at] >= 0xc0) {
            CLAIM(at + 1 < length);
            after = after ? after : at + 2;
            at = (size_t)(packet[at] & 63) << 8 | packet[at + 1];
            continue;
        }
        CLAIM(packet[at] < 64 && (total += packet[at] + 1u) <= 255);
        if (!packet[at])
            return after ? after : at + 1;
        at += packet[at] + 1u;
    }
    CLAIM(0);
    return 0;
}

static void sound(const uint8_t *packet, size_t length)
{
    size_t at = 12, left;

    CLAIM(length >= 12);
    left = (size_t)pod_dns_u16(packet + 6) + pod_dns_u16(packet + 8) + pod_dns_u16(packet + 10);
    for (unsigned asked = pod_dns_u16(packet + 4); asked; asked--)
        at = name(packet, length, at) + 4;
    CLAIM(at <= length);
    for (; left; left--) {
        uint16_t type, data;
        at = name(packet, length, at);
        CLAIM(at + 10 <= length);
        type = pod_dns_u16(packet + at);
        data = pod_dns_u16(packet + at + 8);
        at += 10;
        CLAIM(at + data <= length);
        if (type == POD_DNS_CNAME || type == POD_DNS_NS || type == POD_DNS_PTR)
            CLAIM(name(packet, length, at) == at + data);
        CLAIM(type != POD_DNS_A || data == 4);
        at += data;
    }
    CLAIM(at == length);
}

static void answer_it(const uint8_t *packet, const struct pod_question *question)
{
    static const struct in6_addr four = {.s6_addr = {[10] = 255, [11] = 255, [12] = 172, [15] = 2}}, six = {.s6_addr = {0xfd}};
    uint8_t bytes[POD_DNS_ROOM];
    struct pod_reply reply;
    size_t room = question->room < sizeof bytes ? question->room : sizeof bytes;

    pod_dns_begin(&reply, bytes, room, packet, question, question->version ? POD_DNS_BADVERS : 0, 1);
    for (int i = 0; i < 60; i++)
        pod_dns_address(&reply, i & 1 ? &four : &six);
    pod_dns_pointer(&reply, question->name);
    CLAIM(pod_dns_finish(&reply) <= room);
    sound(bytes, reply.used);
    CLAIM(pod_dns_is_cut(bytes) && reply.count > 9);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pod_question question;
    size_t length, asked;
    uint8_t *packet, *answer;
    int code;

    if (size < 2)
        return 0;
    asked = pod_dns_u16(data) % POD_DNS_QUESTION;
    asked = asked < size - 2 ? asked : size - 2;
    packet = malloc(asked + 1);
    memcpy(packet, data + 2, asked);
    length = size - 2 - asked;
    answer = malloc(length + 1);
    memcpy(answer, data + 2 + asked, length);
    code = pod_dns_question(packet, asked, &question);
    if (code > 0) {
        uint8_t head[POD_DNS_HEAD];
        CLAIM(pod_dns_refuse(head, packet, code) == sizeof head && pod_dns_u16(head) == question.id);
    }
    if (!code) {
        CLAIM(question.length <= asked && question.length <= 12 + 255 + 4);
        CLAIM(strlen(question.name) <= 253 || question.odd);
        answer_it(packet, &question);
        if (length >= POD_DNS_HEAD && pod_dns_answers(packet, question.length, answer, length)) {
            size_t before = length;
            if (pod_dns_check(packet, question.length, answer, &length) >= 0) {
                CLAIM(length <= before);
                sound(answer, length);
                CLAIM(length == POD_DNS_HEAD || !memcmp(answer + 12, packet + 12, question.length - 12u));
            }
        }
    }
    free(packet);
    free(answer);
    return 0;
}
