/* getdents64(2). */
#ifndef POD_DENTS_H
#define POD_DENTS_H

#include <stdint.h>

struct pod_dent {
    uint64_t ino;
    int64_t off; /* position of the entry after this one */
    uint16_t reclen;
    uint8_t type;
    char name[];
};

#endif
