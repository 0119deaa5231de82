/* Which bytes of strangers are UTF-8. */
#ifndef POD_UTF8_H
#define POD_UTF8_H

#include <stddef.h>

/* Length of the well-formed UTF-8 sequence at BYTES, of which there are LEFT, at least one; 0 where there is none (Unicode 15,
 * table 3-7). */
static inline size_t pod_utf8_length(const unsigned char *bytes, size_t left)
{
    unsigned char first = bytes[0];
    size_t need = first < 0x80   ? 1
                  : first < 0xc2 ? 0
                  : first < 0xe0 ? 2
                  : first < 0xf0 ? 3
                  : first < 0xf5 ? 4
                                 : 0;

    if (!need || need > left)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    if ((first == 0xe0 && bytes[1] < 0xa0) || (first == 0xed && bytes[1] > 0x9f) ||
        (first == 0xf0 && bytes[1] < 0x90) || (first == 0xf4 && bytes[1] > 0x8f))
        return 0;
    return need;
}

#endif
