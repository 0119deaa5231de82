/* Names against patterns: what core/builder/ignore.py made of them (Ignore.encoded, states_bytes), for whole trees. The steps of
 * one match are at most (characters of the path) x (states). */
#ifndef POD_MATCH_H
#define POD_MATCH_H

#include <stddef.h>
#include <stdint.h>

#include "../core/err.h"

#define POD_MATCH_PATTERNS_MAX 10000u
#define POD_MATCH_STATES_MAX 16384u

/* Numbers of ignore.py. */
enum pod_match_kind {
    POD_MATCH_SET,
    POD_MATCH_STAR,
    POD_MATCH_SPLIT,
    POD_MATCH_DIRS,
    POD_MATCH_BEGIN,
    POD_MATCH_END,
    POD_MATCH_WORD,
    POD_MATCH_NOT_WORD,
};

enum pod_match_form {
    POD_MATCH_EXACT,
    POD_MATCH_PREFIX,
    POD_MATCH_SUFFIX,
    POD_MATCH_STATES,
};

enum pod_match_descend {
    POD_MATCH_NEVER,
    POD_MATCH_ALWAYS,
    POD_MATCH_PREFIXES,
};

/* Bytes that are read once, in the machine's order. */
struct pod_request {
    const unsigned char *at, *end;
};

struct pod_match_state {
    uint32_t kind, negated, count;
    const unsigned char *ranges; /* COUNT pairs of uint32_t, not aligned */
};

struct pod_match_states {
    struct pod_match_state *states;
    uint32_t count;
};

struct pod_match_pattern {
    uint32_t form, exclusion;
    const char *text, *place; /* not ended by NUL */
    uint32_t text_length, place_length;
    uint32_t has_place;
    struct pod_match_states states;
};

/* Zero at first. */
struct pod_matcher {
    struct pod_match_pattern *patterns;
    uint32_t count;
    uint32_t descend;
    unsigned char *levels; /* COUNT flags for each depth: which patterns matched there */
    size_t room;
    unsigned char *active; /* twice POD_MATCH_STATES_MAX + 2 */
};

int pod_request_number(struct pod_request *request, uint32_t *number, struct pod_err *err);
/* *TEXT is inside of the request. */
int pod_request_text(struct pod_request *request, const char **text, uint32_t *length,
                     struct pod_err *err);

int pod_match_read_states(struct pod_request *request, struct pod_match_states *states,
                          struct pod_err *err);
int pod_matcher_read(struct pod_request *request, struct pod_matcher *matcher, struct pod_err *err);
void pod_matcher_free(struct pod_matcher *matcher);

/* ACTIVE: as in pod_matcher. */
int pod_match_name(const struct pod_match_states *states, unsigned char *active, const char *text,
                   size_t length);
/* Whether PATH, which is DEPTH names long, is matched by itself or a folder above it. The folders above it were asked for
 * before, each at its depth, the first at 1. */
int pod_matcher_at(struct pod_matcher *matcher, const char *path, size_t depth, int *matched,
                   struct pod_err *err);
/* Whether something below the folder PATH may be other than PATH itself is. */
int pod_matcher_may_hold(const struct pod_matcher *matcher, const char *path);

#endif
