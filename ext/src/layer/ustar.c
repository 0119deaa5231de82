#include "ustar.h"

#include <string.h>

int pod_tar_number(const char *field, size_t width, uint64_t *value)
{
    const unsigned char *bytes = (const unsigned char *)field;
    uint64_t sum = 0;
    size_t at = 0;

    if (bytes[0] & 0x80) {
        if (bytes[0] != 0x80)
            return -1;
        for (at = 1; at < width; at++) {
            if (sum >> 55)
                return -1;
            sum = sum << 8 | bytes[at];
        }
        *value = sum;
        return 0;
    }
    while (at < width && (bytes[at] == ' ' || bytes[at] == '\0'))
        at++;
    for (; at < width && bytes[at] != ' ' && bytes[at] != '\0'; at++) {
        if (bytes[at] < '0' || bytes[at] > '7')
            return -1;
        sum = sum << 3 | (uint64_t)(bytes[at] - '0'); /* 12 digits at most */
    }
    for (; at < width; at++)
        if (bytes[at] != ' ' && bytes[at] != '\0')
            return -1;
    *value = sum;
    return 0;
}

int pod_tar_time(const char *field, int64_t *seconds)
{
    const unsigned char *bytes = (const unsigned char *)field;
    uint64_t value;

    if (bytes[0] == 0xff) {
        value = UINT64_MAX;
        for (size_t at = 4; at < 12; at++)
            value = value << 8 | bytes[at];
        *seconds = (int64_t)value < 0 ? (int64_t)value : 0;
        return 0;
    }
    if (pod_tar_number(field, 12, &value) < 0)
        return -1;
    *seconds = (int64_t)value;
    return 0;
}

/* The sum over the block with blanks for its own field; old Sun and HP tars took bytes as signed. */
int pod_tar_checksum_fits(const struct pod_tar_header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    uint64_t wanted;
    unsigned as_unsigned = 0;
    unsigned negative = 0;

    for (size_t i = 0; i < POD_TAR_BLOCK_SIZE; i++) {
        as_unsigned += bytes[i];
        negative += bytes[i] >> 7;
    }
    for (size_t i = 0; i < sizeof header->checksum; i++) {
        unsigned char byte = (unsigned char)header->checksum[i];
        as_unsigned += ' ' - byte;
        negative -= byte >> 7;
    }
    return pod_tar_number(header->checksum, sizeof header->checksum, &wanted) == 0 &&
           (wanted == as_unsigned ||
            (int64_t)wanted == (int64_t)as_unsigned - 256 * (int64_t)negative);
}

size_t pod_tar_field_length(const char *field, size_t width)
{
    const char *end = memchr(field, '\0', width);

    return end ? (size_t)(end - field) : width;
}
