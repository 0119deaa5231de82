/* Numbers as text where stdio may not be used: between clone and exec, without allocation. */
#ifndef POD_DECIMAL_H
#define POD_DECIMAL_H

#include <stdint.h>

/* At least this many bytes for any number, its NUL with it. */
#define POD_DECIMAL_MAX 21

/* Writes VALUE and a NUL; returns where the NUL is. */
static inline char *pod_put_decimal(char *at, uint64_t value)
{
    char digits[POD_DECIMAL_MAX];
    int count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (count)
        *at++ = digits[--count];
    *at = '\0';
    return at;
}

#endif
