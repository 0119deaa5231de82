#include "page_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "creds.h"

#define BLOCK 4096
#define SHOWN (POD_PAGE_SLOTS / 8)
#define AT(field) offsetof(struct pod_page, field)

/* Whether reading a hole of a mapped file takes room of its file system (tmpfs, and whatever is not known), so that a program that
 * looks there while it is full would die of SIGBUS. */
static int holes_take_room(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) || (fs.f_type != EXT4_SUPER_MAGIC && fs.f_type != XFS_SUPER_MAGIC &&
                                fs.f_type != BTRFS_SUPER_MAGIC);
}

/* Programs look at its head, and at the rest once that says READY: the rest gets its blocks then (pod_page_begin). Blocks of a
 * disk cost more to be freed than all else that a start does with the page, and most containers never need them. */
int pod_page_create(int dir)
{
    int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    int fd = openat(dir, "shown", flags, 0600);

    if (fd < 0 && errno == EEXIST && !unlinkat(dir, "shown", 0)) /* of a start before */
        fd = openat(dir, "shown", flags, 0600);
    if (fd >= 0 && ((holes_take_room(fd) && fallocate(fd, 0, 0, BLOCK)) ||
                    ftruncate(fd, sizeof(struct pod_page)))) {
        close(fd);
        unlinkat(dir, "shown", 0);
        return -1;
    }
    return fd;
}

/* Nothing in the page counts any more. */
static int give_up(struct pod_page_file *page)
{
    uint32_t none = 0;

    if (pwrite(page->fd, &none, sizeof none, AT(ready)) != sizeof none)
        return -EIO;
    close(page->fd);
    page->fd = -1;
    return 0;
}

static int put(struct pod_page_file *page, const void *data, size_t size, size_t offset)
{
    if (page->fd < 0 || pwrite(page->fd, data, size, (off_t)offset) == (ssize_t)size)
        return 0;
    return give_up(page);
}

static int put_number(struct pod_page_file *page, uint32_t number, size_t offset)
{
    return put(page, &number, sizeof number, offset);
}

/* 0 where there is no page (any more). */
static int get_number(struct pod_page_file *page, uint32_t *number, size_t offset)
{
    if (page->fd >= 0 && pread(page->fd, number, sizeof *number, (off_t)offset) != sizeof *number)
        give_up(page);
    return page->fd >= 0;
}

void pod_page_begin(struct pod_page_file *page, int fd)
{
    page->fd = fd;
    page->gathered =
        fd >= 0 && !fallocate(fd, 0, 0, sizeof(struct pod_page)) ? calloc(1, SHOWN) : NULL;
    if (!page->gathered)
        page->fd = -1; /* it never becomes ready */
}

void pod_page_ready(struct pod_page_file *page, uint64_t root_dev, int complete, int elsewhere)
{
    static const uint8_t nothing[BLOCK];
    uint8_t *shown = page->gathered;

    page->gathered = NULL;
    if (!shown)
        return;
    for (size_t at = 0; at < SHOWN; at += BLOCK)
        if (memcmp(shown + at, nothing, BLOCK))
            put(page, shown + at, BLOCK, AT(shown) + at);
    free(shown);
    put(page, &root_dev, sizeof root_dev, AT(root_dev));
    put_number(page, complete != 0, AT(complete));
    put_number(page, elsewhere != 0, AT(elsewhere));
    put_number(page, POD_PAGE_READY, AT(ready));
}

int pod_page_mark(struct pod_page_file *page, uint64_t ino)
{
    uint32_t slot = pod_page_slot(ino);
    uint8_t byte, bit = (uint8_t)(1u << slot % 8);

    if (!page || page->fd < 0)
        return 0;
    if (page->gathered) {
        page->gathered[slot / 8] |= bit;
        return 0;
    }
    if (pread(page->fd, &byte, 1, (off_t)(AT(shown) + slot / 8)) != 1)
        return give_up(page);
    if (byte & bit)
        return 0;
    byte |= bit;
    return put(page, &byte, 1, AT(shown) + slot / 8);
}

int pod_page_ids(struct pod_page_file *page, uint32_t token, const struct pod_creds *creds)
{
    struct pod_page_ids ids = {.known = 1};

    if (!page || !token || token >= POD_PAGE_TOKENS)
        return 0;
    memcpy(ids.uid, creds->uid, sizeof ids.uid);
    memcpy(ids.gid, creds->gid, sizeof ids.gid);
    return put(page, &ids, sizeof ids, AT(ids) + token * sizeof ids);
}

void pod_page_nested(struct pod_page_file *page)
{
    uint32_t known;

    if (get_number(page, &known, AT(nested)) && !known)
        put_number(page, 1, AT(nested));
}

void pod_page_confined(struct pod_page_file *page, uint32_t filters)
{
    uint32_t count;

    if (!get_number(page, &count, AT(sandboxes)))
        return;
    if (!count) /* nobody has a filter of its own yet */
        put_number(page, filters, AT(filters));
    put_number(page, count + 1, AT(sandboxes));
}
