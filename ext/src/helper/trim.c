#include "trim.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "clock.h"

#define AFTER_MS 100
#define PAGE 4096
/* A fault maps up to 16 pages around the one that is wanted (fault_around_bytes), but none beyond its mapping: so the code is cut
 * into mappings of two pages, by an advice that alternates and means nothing for memory files. */
#define PIECE (2 * (uintptr_t)PAGE)

static void forget(uintptr_t begin, uintptr_t end, int first)
{
    for (uintptr_t at = begin; first && at < end; at += PIECE)
        madvise((void *)at, end - at < PIECE ? end - at : PIECE,
                at / PIECE % 2 ? MADV_RANDOM : MADV_SEQUENTIAL);
    madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static void trim_code(int first)
{
    const ElfW(Phdr) *header = (const void *)getauxval(AT_PHDR);
    unsigned long count = getauxval(AT_PHNUM);
    uintptr_t moved = 0;

    if (!header || getauxval(AT_PAGESZ) != PAGE)
        return;
    for (unsigned long i = 0; i < count; i++)
        if (header[i].p_type == PT_PHDR)
            moved = (uintptr_t)header - header[i].p_vaddr;
    for (unsigned long i = 0; i < count; i++)
        if (header[i].p_type == PT_LOAD && !(header[i].p_flags & PF_W))
            forget((moved + header[i].p_vaddr) & ~(uintptr_t)(PAGE - 1),
                   (moved + header[i].p_vaddr + header[i].p_memsz + PAGE - 1) &
                       ~(uintptr_t)(PAGE - 1),
                   first);
}

void pod_trim_later(struct pod_trim *trim)
{
    trim->at = pod_now_ms() + AFTER_MS;
}

int pod_trim_look(struct pod_trim *trim, int within)
{
    if (!trim->at)
        return within;
    int64_t left = trim->at - pod_now_ms();
    if (left > 0)
        return within < 0 || left < within ? (int)left : within;
    trim->at = 0;
    trim_code(!trim->done);
    trim->done = 1;
    return within;
}
