/* The Internet checksum (RFC 1071). */
#ifndef POD_CHECKSUM_H
#define POD_CHECKSUM_H

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>

/* SO_FAR and what LENGTH bytes add to it; all parts but the last are of even length. */
static inline uint32_t pod_checksum_add(uint32_t so_far, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    for (; length > 1; at += 2, length -= 2)
        so_far += (uint32_t)(at[0] << 8 | at[1]);
    return length ? so_far + (uint32_t)(at[0] << 8) : so_far;
}

/* As it stands in a header. */
static inline uint16_t pod_checksum_end(uint32_t so_far)
{
    while (so_far >> 16)
        so_far = (so_far & 0xffff) + (so_far >> 16);
    return htons((uint16_t)~so_far);
}

#endif
