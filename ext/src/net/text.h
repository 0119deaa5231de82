/* Text and JSON into a bounded buffer. */
#ifndef POD_NET_TEXT_H
#define POD_NET_TEXT_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct pod_text {
    char *bytes;
    size_t size, used; /* no NUL */
    int overflow;
};

static inline void pod_text_bytes(struct pod_text *text, const char *bytes, size_t length)
{
    if (text->overflow || length > text->size - text->used) {
        text->overflow = 1;
        return;
    }
    memcpy(text->bytes + text->used, bytes, length);
    text->used += length;
}

static inline void pod_text_str(struct pod_text *text, const char *value)
{
    pod_text_bytes(text, value, strlen(value));
}

static inline __attribute__((format(printf, 2, 3))) void pod_text_format(struct pod_text *text,
                                                                         const char *format, ...)
{
    char line[512];
    va_list values;

    va_start(values, format);
    int length = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    if (length < 0 || (size_t)length >= sizeof line)
        text->overflow = 1;
    else
        pod_text_bytes(text, line, (size_t)length);
}

/* In quotes; what is no ASCII goes as it is (names are UTF-8). */
static inline void pod_text_json(struct pod_text *text, const char *value)
{
    pod_text_bytes(text, "\"", 1);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            pod_text_format(text, "\\%c", *value);
        else if ((unsigned char)*value < 0x20 || *value == 0x7f)
            pod_text_format(text, "\\u%04x", (unsigned char)*value);
        else
            pod_text_bytes(text, value, 1);
    }
    pod_text_bytes(text, "\"", 1);
}

#endif
