/* DNS messages: questions read, answers written, answers of others checked. Pure: no calls, no memory but the caller's; bounded for
 * any bytes. Sources: RFC 1035 (messages), 3596 (AAAA), 6891 (EDNS). */
#ifndef POD_RESOLVER_MESSAGE_H
#define POD_RESOLVER_MESSAGE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define POD_DNS_HEAD 12
#define POD_DNS_NAME 256 /* of a text, NUL included */
#define POD_DNS_QUESTION \
    1024 /* bytes of a message that asks: more is nothing that a client sends */
#define POD_DNS_ROOM 1232 /* of an answer of ours by UDP, where the client takes that much */
#define POD_DNS_LEAST 512 /* what every client takes */
#define POD_DNS_TTL 600 /* s; Docker's */

enum pod_dns_code {
    POD_DNS_OK = 0,
    POD_DNS_FORMERR = 1,
    POD_DNS_SERVFAIL = 2,
    POD_DNS_NXDOMAIN = 3,
    POD_DNS_NOTIMP = 4,
    POD_DNS_REFUSED = 5,
    POD_DNS_BADVERS = 16,
};

enum pod_dns_type {
    POD_DNS_A = 1,
    POD_DNS_NS = 2,
    POD_DNS_CNAME = 5,
    POD_DNS_SOA = 6,
    POD_DNS_PTR = 12,
    POD_DNS_MX = 15,
    POD_DNS_AAAA = 28,
    POD_DNS_SRV = 33,
    POD_DNS_OPT = 41,
    POD_DNS_ANY = 255,
};

struct pod_question {
    uint16_t id;
    uint16_t type, class;
    uint16_t length; /* of the head and the question: what an answer begins with */
    uint16_t room; /* what the client takes by UDP: 512, or as EDNS says */
    uint8_t edns, version; /* there is an OPT record, and of which version */
    uint8_t odd; /* a label has a dot or a NUL in it: no text tells the name */
    char name[POD_DNS_NAME]; /* in lower case; "" is the root */
};

/* 0; an enum pod_dns_code to refuse it with; -1: it is no question, nobody waits for an answer. */
int pod_dns_question(const uint8_t *packet, size_t length, struct pod_question *question);
/* The answer to what cannot be read, POD_DNS_HEAD bytes. */
size_t pod_dns_refuse(uint8_t *answer, const uint8_t *packet, int code);

struct pod_reply {
    uint8_t *bytes;
    size_t used, room;
    const struct pod_question *question;
    int count;
};

/* ROOM ≥ POD_DNS_LEAST of BYTES are used at most. RECURSES: whether foreign names are asked for at all (the bit RA). */
void pod_dns_begin(struct pod_reply *reply, uint8_t *bytes, size_t room, const uint8_t *packet,
                   const struct pod_question *question, int code, int recurses);
/* An A or AAAA record; what does not fit sets TC. */
void pod_dns_address(struct pod_reply *reply, const struct in6_addr *address);
/* A PTR record to a name as text; a text that is no name adds nothing. */
void pod_dns_pointer(struct pod_reply *reply, const char *name);
size_t pod_dns_finish(struct pod_reply *reply);

/* Whether it is an answer (POD_DNS_HEAD bytes at least) to the question that was sent, QUESTION bytes of it (head and question). The
 * ids are the caller's to compare. */
int pod_dns_answers(const uint8_t *query, size_t question, const uint8_t *answer, size_t length);
/* Whether such an answer is sound to its end: names that do not loop, records within it. Puts the question's own letters back and
 * cuts what follows the end. Its code (of 4 bits), or -1: nothing to believe. */
int pod_dns_check(const uint8_t *query, size_t question, uint8_t *answer, size_t *length);
/* Makes an answer that is too large one that tells so: TC, nothing but the question. The new length. */
size_t pod_dns_cut(uint8_t *answer, size_t question);

static inline uint16_t pod_dns_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline void pod_dns_put16(uint8_t *bytes, unsigned value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static inline int pod_dns_is_cut(const uint8_t *answer)
{
    return answer[2] & 0x02;
}

#endif
