/* A growing text, for JSON that the helper writes itself. */
#ifndef POD_TEXT_H
#define POD_TEXT_H

#include <stddef.h>

struct pod_text {
    char *bytes; /* the owner frees them */
    size_t used, room;
    int failed; /* out of memory, now or earlier: what is there is not the whole */
};

void pod_text_add(struct pod_text *text, const void *bytes, size_t length);
/* WORDS as they are. */
void pod_text_add_words(struct pod_text *text, const char *words);
/* A JSON string of text that is meant to be UTF-8: what is none becomes U+FFFD. */
void pod_text_add_string(struct pod_text *text, const char *bytes, size_t length);
/* A JSON string; only what is plain ASCII is kept as it is, for a path may hold anything. */
void pod_text_add_quoted(struct pod_text *text, const char *value);

#endif
