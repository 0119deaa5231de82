/* stat(2) of 32-bit programs: structures that only the kernel fills there. */
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "calls.h"
#include "err.h"

#define ABSENT 0xffu

/* Where the fields stand and how wide they are (asm/stat.h, asm/compat.h); times are pairs of 32 bits from ATIME on. */
struct layout {
    uint8_t size, dev, dev_width, old_ino, ino, mode, nlink, uid, gid, id_width, rdev, rdev_width;
    uint8_t length, length_width, blksize, blocks, blocks_width, atime;
};

#if defined(__x86_64__)
static const struct layout wide = {96, 0,  8, 12, 88, 16, 20, 24, 28,
                                   4,  32, 8, 44, 8,  52, 56, 8,  64};
#else
static const struct layout wide = {104, 0,  8, 12, 96, 16, 20, 24, 28,
                                   4,   32, 8, 48, 8,  56, 64, 8,  72};
#endif
static const struct layout old = {64, 0,  4, 4,  ABSENT, 8,  10, 12, 14,
                                  2,  16, 4, 20, 4,      24, 28, 4,  32};

static void put(char *raw, uint8_t at, uint64_t value, size_t width)
{
    if (at != ABSENT)
        memcpy(raw + at, &value, width); /* little-endian, as all that this is built for */
}

static uint32_t shown(uint32_t id, const struct layout *l)
{
    return l->id_width == 2 && id > UINT16_MAX ? 65534 : id;
}

static void fill(char *raw, const struct layout *l, const struct statx *st,
                 const struct pod_owned *owned)
{
    const struct statx_timestamp *times[] = {&st->stx_atime, &st->stx_mtime, &st->stx_ctime};
    uint32_t mode = st->stx_mode, half = l->id_width == 2 ? 2 : 4;
    uint64_t device = makedev(st->stx_rdev_major, st->stx_rdev_minor);

    if (owned->device) {
        mode = (mode & 07777) | owned->device;
        device = makedev(owned->major, owned->minor);
    }
    memset(raw, 0, l->size);
    put(raw, l->dev, makedev(st->stx_dev_major, st->stx_dev_minor), l->dev_width);
    put(raw, l->old_ino, st->stx_ino, 4);
    put(raw, l->ino, st->stx_ino, 8);
    put(raw, l->mode, mode, half);
    put(raw, l->nlink, st->stx_nlink, half);
    put(raw, l->uid, shown(owned->uid, l), l->id_width);
    put(raw, l->gid, shown(owned->gid, l), l->id_width);
    put(raw, l->rdev, device, l->rdev_width);
    put(raw, l->length, st->stx_size, l->length_width);
    put(raw, l->blksize, st->stx_blksize, 4);
    put(raw, l->blocks, st->stx_blocks, l->blocks_width);
    for (int i = 0; i < 3; i++) {
        put(raw, (uint8_t)(l->atime + 8 * i), (uint64_t)times[i]->tv_sec, 4);
        put(raw, (uint8_t)(l->atime + 8 * i + 4), times[i]->tv_nsec, 4);
    }
}

int64_t pod_answer_stat_narrow(struct pod_call *call, int dirfd, uint64_t path, uint64_t buffer,
                               int flags)
{
    const struct layout *l = call->bits == 16 ? &old : &wide;
    struct pod_owned owned;
    struct statx st;
    char raw[128];
    POD_AUTO_FD int fd = -1;
    int64_t found = pod_find_owner(call, dirfd, path, flags, &owned, &fd);

    if (found == POD_CALL_GONE)
        return found;
    memset(&st, 0, sizeof st);
    if (!found || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st))
        return POD_CALL_PASS;
    /* What does not fit is the kernel's to word. */
    if (call->bits == 16 && (st.stx_size > INT32_MAX || st.stx_ino > UINT32_MAX))
        return POD_CALL_PASS;
    fill(raw, l, &st, &owned);
    return pod_call_write(call, buffer, raw, l->size);
}
