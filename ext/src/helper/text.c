#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

void pod_text_add(struct pod_text *text, const void *bytes, size_t length)
{
    if (text->failed)
        return;
    if (length > text->room - text->used) {
        size_t room = (text->used + length) * 2 + 512;
        char *grown = realloc(text->bytes, room);
        if (!grown) {
            text->failed = 1;
            return;
        }
        text->bytes = grown;
        text->room = room;
    }
    if (length)
        memcpy(text->bytes + text->used, bytes, length);
    text->used += length;
}

void pod_text_add_words(struct pod_text *text, const char *words)
{
    pod_text_add(text, words, strlen(words));
}

void pod_text_add_string(struct pod_text *text, const char *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *)bytes;
    char escaped[8];

    pod_text_add_words(text, "\"");
    for (size_t i = 0, taken; i < length; i += taken) {
        size_t good = pod_utf8_length(at + i, length - i);
        taken = good ? good : 1;
        if (!good) {
            pod_text_add_words(text, "\\ufffd");
        } else if (at[i] < 0x20 || at[i] == 0x7f || at[i] == '"' || at[i] == '\\') {
            snprintf(escaped, sizeof escaped, "\\u%04x", at[i]);
            pod_text_add_words(text, escaped);
        } else {
            pod_text_add(text, at + i, good);
        }
    }
    pod_text_add_words(text, "\"");
}

void pod_text_add_quoted(struct pod_text *text, const char *value)
{
    char escaped[8];

    pod_text_add(text, "\"", 1);
    for (const unsigned char *at = (const unsigned char *)value; *at; at++) {
        if (*at >= 0x20 && *at <= 0x7e && *at != '"' && *at != '\\') {
            pod_text_add(text, at, 1);
            continue;
        }
        snprintf(escaped, sizeof escaped, "\\u%04x", *at);
        pod_text_add(text, escaped, 6);
    }
    pod_text_add(text, "\"", 1);
}
