/* The header block of tar archives: its layout and how its fields are read. */
#ifndef POD_USTAR_H
#define POD_USTAR_H

#include <stddef.h>
#include <stdint.h>

#define POD_TAR_BLOCK_SIZE 512

/* POSIX ustar header; GNU and star lay other things over `prefix`. */
struct pod_tar_header {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[8]; /* "ustar\0" "00", or GNU's "ustar  \0" */
    char uname[32];
    char gname[32];
    char major[8];
    char minor[8];
    char prefix[155];
    char pad[12]; /* star: "tar\0" in the last four */
};
_Static_assert(sizeof(struct pod_tar_header) == POD_TAR_BLOCK_SIZE, "header layout");

/* Octal digits among blanks and NULs, or GNU's base-256 (first bit set, two's complement). Negative
 * numbers and those of more than 63 bits are refused. An empty field is 0. Returns 0 or -1. */
int pod_tar_number(const char *field, size_t width, uint64_t *value);
/* mtime may be negative in base-256 (before 1970). */
int pod_tar_time(const char *field, int64_t *seconds);
int pod_tar_checksum_fits(const struct pod_tar_header *header);
/* Bytes before the field's first NUL, which is missing where the field is full. */
size_t pod_tar_field_length(const char *field, size_t width);

#endif
