/* Who owns what, asked from within: see struct pod_page. */
#ifndef POD_PRELOAD_OWNERS_H
#define POD_PRELOAD_OWNERS_H

#include "preload.h"

struct owned {
    uint32_t uid, gid;
    uint32_t device; /* 'c', 'b' or 0 */
    uint32_t major, minor;
};

/* What the kernel said about a file. */
struct seen {
    uint64_t dev; /* major << 32 | minor */
    uint64_t ino;
    uint32_t mode, uid, gid;
};

enum verdict {
    ROOTS, /* what the kernel says is right */
    OWNED, /* OWNED says */
    ASK,   /* the emulator knows */
};

/* DIRFD, PATH and FLAGS (AT_*) as they were for the call that has SEEN the file. */
__attribute__((visibility("hidden"))) enum verdict judge(const struct pod_page *page,
                                                         const struct seen *seen, int dirfd,
                                                         const char *path, int flags,
                                                         struct owned *owned);

#endif
