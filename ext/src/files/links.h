/* Files with several names, and the first name that each was met under. Bounded: once POD_LINKS_TEXT_MAX bytes of names
 * or POD_LINKS_MAX files are known, further ones are forgotten, and count as files of their own. */
#ifndef POD_LINKS_H
#define POD_LINKS_H

#include <stdint.h>
#include <sys/stat.h>

#define POD_LINKS_TEXT_MAX (32u << 20)
#define POD_LINKS_MAX (1u << 19)

struct pod_links_slot {
    uint64_t dev, ino;
    uint32_t path; /* 1 + its place in `text`; 0: free */
};

/* Zero at first. */
struct pod_links {
    struct pod_links_slot *slots;
    uint32_t room, count; /* a power of two */
    char *text;
    uint32_t used, text_room;
};

/* The path under which that file came before; else NULL, and it is known as PATH from now on. */
const char *pod_links_find(struct pod_links *links, const struct stat *st, const char *path);
void pod_links_free(struct pod_links *links);

#endif
