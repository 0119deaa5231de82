#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
