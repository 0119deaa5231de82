/* The page that the emulator shares with the library inside the container's programs (src/preload): what can be answered
 * without asking. A file, mapped read-only by programs and written by pwrite(2) alone, in order: an entry before the answer
 * that makes it true. Everything in it is a hint to ask less: without it, or where it says nothing, the library asks.
 *
 * Included by both sides: no C library's headers. */
#ifndef POD_PAGE_H
#define POD_PAGE_H

#include <stdint.h>

/* In the sixth argument of some calls, where the filter lets them pass (core/runtime/seccomp_notify.py has the same). Who
 * forges it is shown the disk's owners, and that set-id programs have no effect. */
#define POD_COOKIE 0x706f642d6c6f6f6bull

#define POD_OWNER_XATTR "user.pod.owner" /* "UID:GID" or "UID:GID:c|b:MAJOR:MINOR" */
#define POD_SLACK_BASE 50000u /* timer slack of the container's root; others: plus their token */

#define POD_PAGE_FILE "/dev/.pod/shown"
#define POD_PAGE_LIBRARY "/dev/.pod/root.so"
#define POD_PAGE_READY 0x706f6431u
#define POD_PAGE_SLOTS (1u << 20) /* of inode numbers, modulo */
#define POD_PAGE_TOKENS 1024u /* whose ids it holds */

struct pod_page_ids {
    uint32_t known; /* 1 */
    uint32_t uid[3], gid[3]; /* real, effective, saved */
    uint32_t unused;
};

/* ready      POD_PAGE_READY, or nothing below counts
 * sandboxes  how often a process of the container has confined itself by a filter of its own
 * filters    Seccomp_filters of the others, where there are such
 * complete   1: SHOWN has every inode of ROOT_DEV with a record; else not those that have it as an attribute
 * elsewhere  1: on other devices there may be records that SHOWN does not have, of what can have no attribute
 * nested     1: a process may be in a user namespace of its own, whose ids are the kernel's
 * root_dev   major << 32 | minor of the container's root file system; ~0: an ordinary one, of the host's
 * ids        by token; that of 0 is never asked for */
struct pod_page {
    uint32_t ready, sandboxes, filters, complete, elsewhere, nested;
    uint64_t root_dev;
    uint8_t empty[4096 - 32];
    uint8_t shown[POD_PAGE_SLOTS / 8];
    struct pod_page_ids ids[POD_PAGE_TOKENS];
};
_Static_assert(sizeof(struct pod_page) == 4096 + POD_PAGE_SLOTS / 8 + POD_PAGE_TOKENS * 32,
               "layout of the page");

static inline uint32_t pod_page_slot(uint64_t ino)
{
    return (uint32_t)(ino ^ ino >> 20) & (POD_PAGE_SLOTS - 1);
}

/* At the head of the library's data, for the emulator to find in a process that confines itself. */
#define POD_PAGE_MAGIC "pod root library"

struct pod_page_state {
    char magic[16]; /* POD_PAGE_MAGIC */
    uint32_t
        sandboxed; /* 1: a call that the program does not make itself could kill it; written by the emulator too */
    uint32_t unused;
    const struct pod_page *page; /* NULL: not there */
};

#endif
