#include "match.h"

#include <stdlib.h>
#include <string.h>

#define REPLACEMENT 0xfffdu

/* ---- requests ----------------------------------------------------- */

static int broken(struct pod_err *err)
{
    return pod_fail_errno(err, POD_INTERNAL, EINVAL, "request");
}

int pod_request_number(struct pod_request *request, uint32_t *number, struct pod_err *err)
{
    if ((size_t)(request->end - request->at) < sizeof *number)
        return broken(err);
    memcpy(number, request->at, sizeof *number);
    request->at += sizeof *number;
    return 0;
}

int pod_request_text(struct pod_request *request, const char **text, uint32_t *length,
                     struct pod_err *err)
{
    if (pod_request_number(request, length, err) < 0)
        return -1;
    if ((size_t)(request->end - request->at) < *length)
        return broken(err);
    *text = (const char *)request->at;
    request->at += *length;
    return 0;
}

static int read_state(struct pod_request *request, struct pod_match_state *state,
                      struct pod_err *err)
{
    if (pod_request_number(request, &state->kind, err) < 0 ||
        pod_request_number(request, &state->negated, err) < 0 ||
        pod_request_number(request, &state->count, err) < 0)
        return -1;
    if ((size_t)(request->end - request->at) / 8 < state->count)
        return broken(err);
    state->ranges = request->at;
    request->at += 8 * (size_t)state->count;
    return 0;
}

int pod_match_read_states(struct pod_request *request, struct pod_match_states *states,
                          struct pod_err *err)
{
    if (pod_request_number(request, &states->count, err) < 0)
        return -1;
    if (states->count > POD_MATCH_STATES_MAX)
        return broken(err);
    states->states = calloc(states->count + 1, sizeof *states->states);
    if (!states->states)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    for (uint32_t i = 0; i < states->count; i++)
        if (read_state(request, &states->states[i], err) < 0)
            return -1;
    return 0;
}

static int read_pattern(struct pod_request *request, struct pod_match_pattern *pattern,
                        struct pod_err *err)
{
    if (pod_request_number(request, &pattern->form, err) < 0 ||
        pod_request_number(request, &pattern->exclusion, err) < 0 ||
        pod_request_text(request, &pattern->text, &pattern->text_length, err) < 0 ||
        pod_match_read_states(request, &pattern->states, err) < 0 ||
        pod_request_number(request, &pattern->has_place, err) < 0)
        return -1;
    return pod_request_text(request, &pattern->place, &pattern->place_length, err);
}

int pod_matcher_read(struct pod_request *request, struct pod_matcher *matcher, struct pod_err *err)
{
    uint32_t count = 0;

    if (pod_request_number(request, &count, err) < 0 ||
        pod_request_number(request, &matcher->descend, err) < 0)
        return -1;
    if (count > POD_MATCH_PATTERNS_MAX)
        return broken(err);
    matcher->patterns = calloc(count + 1, sizeof *matcher->patterns);
    matcher->active = malloc(2 * (POD_MATCH_STATES_MAX + 2));
    if (!matcher->patterns || !matcher->active)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    matcher->count = count;
    for (uint32_t i = 0; i < count; i++)
        if (read_pattern(request, &matcher->patterns[i], err) < 0)
            return -1;
    return 0;
}

void pod_matcher_free(struct pod_matcher *matcher)
{
    for (uint32_t i = 0; i < matcher->count; i++)
        free(matcher->patterns[i].states.states);
    free(matcher->patterns);
    free(matcher->levels);
    free(matcher->active);
    memset(matcher, 0, sizeof *matcher);
}

/* ---- states ----------------------------------------------------- */

/* The character at *TEXT, which moves behind it; what is no UTF-8 is one byte long. */
static uint32_t next_code(const unsigned char **text, const unsigned char *end)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = *text;
    uint32_t code = *at;
    int length = code < 0x80             ? 1
                 : (code & 0xe0) == 0xc0 ? 2
                 : (code & 0xf0) == 0xe0 ? 3
                 : (code & 0xf8) == 0xf0 ? 4
                                         : 0;

    *text = at + 1;
    if (length == 1)
        return code;
    if (!length || end - at < length)
        return REPLACEMENT;
    code &= 0xffu >> (length + 1);
    for (int i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return REPLACEMENT;
        code = code << 6 | (at[i] & 0x3f);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return REPLACEMENT;
    *text = at + length;
    return code;
}

static int is_word(uint32_t code)
{
    return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') || code == '_' ||
           (code >= 'a' && code <= 'z');
}

static int fits(const struct pod_match_state *state, uint32_t code)
{
    for (uint32_t i = 0; i < state->count; i++) {
        uint32_t range[2];

        memcpy(range, state->ranges + 8 * (size_t)i, sizeof range);
        if (range[0] <= code && code <= range[1])
            return !state->negated;
    }
    return state->negated != 0;
}

struct place {
    int first, last; /* of the text */
    int word; /* whether one begins or ends here */
};

/* With the states that are reached without a character. 0: none is active. */
static int close_states(const struct pod_match_states *states, unsigned char *active,
                        const struct place *place)
{
    int some = active[states->count];

    for (uint32_t i = 0; i < states->count; i++) {
        if (!active[i])
            continue;
        some = 1;
        switch (states->states[i].kind) {
        case POD_MATCH_SPLIT:
            active[i + 1] = 1;
            active[i + 2 <= states->count ? i + 2 : i + 1] = 1;
            break;
        case POD_MATCH_STAR:
            active[i + 1] = 1;
            break;
        case POD_MATCH_BEGIN:
            active[i + 1] |= place->first != 0;
            break;
        case POD_MATCH_END:
            active[i + 1] |= place->last != 0;
            break;
        case POD_MATCH_WORD:
            active[i + 1] |= place->word != 0;
            break;
        case POD_MATCH_NOT_WORD:
            active[i + 1] |= !place->word;
            break;
        default:
            break;
        }
        some |= active[states->count];
    }
    return some;
}

static void consume(const struct pod_match_states *states, const unsigned char *active,
                    unsigned char *reached, uint32_t code)
{
    memset(reached, 0, states->count + 1);
    for (uint32_t i = 0; i < states->count; i++) {
        const struct pod_match_state *state = &states->states[i];

        if (!active[i])
            continue;
        if (state->kind == POD_MATCH_DIRS) {
            reached[i] |= code != '\n';
            reached[i + 1] |= code == '/';
        } else if (state->kind == POD_MATCH_SET) {
            reached[i + 1] |= (unsigned char)fits(state, code);
        } else if (state->kind == POD_MATCH_STAR) {
            reached[i] |= (unsigned char)fits(state, code);
        }
    }
}

int pod_match_name(const struct pod_match_states *states, unsigned char *active, const char *text,
                   size_t length)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    unsigned char *now = active, *next = active + POD_MATCH_STATES_MAX + 2;
    struct place place = {1, length == 0, length && is_word(*at)};

    memset(now, 0, states->count + 1);
    now[0] = 1;
    if (!close_states(states, now, &place))
        return 0;
    while (at < end) {
        unsigned char *other = now;
        uint32_t code = next_code(&at, end);

        consume(states, now, next, code);
        now = next;
        next = other;
        place.first = 0;
        place.last = at == end;
        place.word = is_word(code) != (at < end && is_word(*at));
        if (!close_states(states, now, &place))
            return 0;
    }
    return now[states->count];
}

/* ---- patterns ----------------------------------------------------- */

static int ends_with(const char *path, size_t length, const char *end, size_t end_length)
{
    return end_length <= length && !memcmp(path + length - end_length, end, end_length);
}

static int matches(struct pod_matcher *matcher, const struct pod_match_pattern *pattern,
                   const char *path, size_t length)
{
    const char *text = pattern->text;
    size_t size = pattern->text_length;

    switch (pattern->form) {
    case POD_MATCH_EXACT:
        return length == size && !memcmp(path, text, size);
    case POD_MATCH_PREFIX:
        return length >= size && !memcmp(path, text, size);
    case POD_MATCH_SUFFIX:
        return ends_with(path, length, text, size) ||
               (size && text[0] == '/' && length == size - 1 && !memcmp(path, text + 1, length));
    default:
        return pod_match_name(&pattern->states, matcher->active, path, length);
    }
}

int pod_matcher_at(struct pod_matcher *matcher, const char *path, size_t depth, int *matched,
                   struct pod_err *err)
{
    size_t wanted = (depth + 1) * matcher->count, length = strlen(path);
    unsigned char *above, *here;

    *matched = 0;
    if (!matcher->count)
        return 0;
    if (wanted > matcher->room) {
        unsigned char *moved = realloc(matcher->levels, 2 * wanted);

        if (!moved)
            return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
        memset(moved + matcher->room, 0, 2 * wanted - matcher->room);
        matcher->levels = moved;
        matcher->room = 2 * wanted;
    }
    above = matcher->levels + (depth - 1) * matcher->count; /* at 0: nothing matched */
    here = above + matcher->count;
    for (uint32_t i = 0; i < matcher->count; i++) {
        const struct pod_match_pattern *pattern = &matcher->patterns[i];

        here[i] = above[i] || ((pattern->exclusion != 0) == *matched &&
                               matches(matcher, pattern, path, length));
        if (here[i])
            *matched = !pattern->exclusion;
    }
    return 0;
}

/* Whether SHORTER is LONGER or a folder above it. */
static int is_above(const char *shorter, size_t length, const char *longer, size_t more)
{
    return !length || (length <= more && !memcmp(shorter, longer, length) &&
                       (length == more || longer[length] == '/'));
}

int pod_matcher_may_hold(const struct pod_matcher *matcher, const char *path)
{
    size_t length = strlen(path);

    if (matcher->descend != POD_MATCH_PREFIXES)
        return matcher->descend == POD_MATCH_ALWAYS;
    for (uint32_t i = 0; i < matcher->count; i++) {
        const struct pod_match_pattern *pattern = &matcher->patterns[i];

        if (!pattern->has_place)
            continue;
        if (is_above(path, length, pattern->place, pattern->place_length))
            return 1;
        /* Of what is wanted (not of what is taken back) only the folders before the first wildcard are known. */
        if (!pattern->exclusion && is_above(pattern->place, pattern->place_length, path, length))
            return 1;
    }
    return 0;
}
