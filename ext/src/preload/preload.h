/* The library that answers in the process what the emulator (src/emulator) would answer from outside: loaded into every
 * dynamic program of a container whose root is emulated in full, by /etc/ld.so.preload (glibc) or LD_PRELOAD (musl).
 *
 * It has no C library below it: raw calls, nothing allocated, no state but struct pod_page_state, so that it is right in
 * threads, in signal handlers and in a child of vfork. Where it does not know the answer it makes the same call as the C
 * library would, which the filter hands to the emulator; so it can only ever save time. */
#ifndef POD_PRELOAD_H
#define POD_PRELOAD_H

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/page.h"
#include "call.h"

#define EXPORT __attribute__((visibility("default")))
#define ALIAS(name) __attribute__((alias(#name), visibility("default")))

#define COOKIE ((long)POD_COOKIE)
#define NOENT 2
#define INVAL 22
#define NODATA 61
#define NOTSUP 95

/* Also what is only declared here: no table of addresses is needed for it. */
#pragma GCC visibility push(hidden)

extern struct pod_page_state state;

/* The page, where it may be used; NULL: ask. */
static inline const struct pod_page *page_of(void)
{
    const struct pod_page *page = __atomic_load_n(&state.page, __ATOMIC_ACQUIRE);

    if (!page || __atomic_load_n(&page->ready, __ATOMIC_ACQUIRE) != POD_PAGE_READY ||
        __atomic_load_n(&state.sandboxed, __ATOMIC_RELAXED))
        return NULL;
    return page;
}

/* The thread's ids as a token; 0: root; -1: not known. Needs the page. */
long token_of_thread(void);

/* A call's result as C has it: -1 and errno, or the value. */
long result_of(long raw);

#pragma GCC visibility pop

#endif
