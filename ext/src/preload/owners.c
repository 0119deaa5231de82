#include "owners.h"

#define TYPE 0170000u
#define REGULAR 0100000u
#define FOLDER 0040000u
#define PATH_SIZE 4096

static const char *number(const char *text, uint32_t *value)
{
    uint64_t sum = 0;

    if (*text < '0' || *text > '9')
        return NULL;
    if (*text == '0' && text[1] >= '0' && text[1] <= '9')
        return NULL; /* the emulator writes no such number */
    for (; *text >= '0' && *text <= '9'; text++)
        if ((sum = sum * 10 + (uint64_t)(*text - '0')) > 0xffffffffu)
            return NULL;
    *value = (uint32_t)sum;
    return text;
}

/* The attribute's text, as the emulator writes it. 1, or 0 for anything else. */
static int parse(const char *text, struct owned *owned)
{
    owned->device = 0;
    if (!(text = number(text, &owned->uid)) || *text++ != ':' ||
        !(text = number(text, &owned->gid)))
        return 0;
    if (!*text)
        return 1;
    if (*text++ != ':' || (*text != 'c' && *text != 'b'))
        return 0;
    owned->device = (uint32_t)*text++;
    if (*text++ != ':' || !(text = number(text, &owned->major)) || *text++ != ':' ||
        !(text = number(text, &owned->minor)))
        return 0;
    return !*text;
}

/* "/proc/self/fd/DIRFD/PATH" into BUFFER; 0 where it is too long. */
static int join(char *buffer, int dirfd, const char *path)
{
    static const char head[] = "/proc/self/fd/";
    char digits[12];
    size_t used = 0, count = 0;

    for (; head[used]; used++)
        buffer[used] = head[used];
    for (unsigned rest = (unsigned)dirfd; rest || !count; rest /= 10)
        digits[count++] = (char)('0' + rest % 10);
    while (count)
        buffer[used++] = digits[--count];
    buffer[used++] = '/';
    for (; *path; path++) {
        if (used >= PATH_SIZE - 1)
            return 0;
        buffer[used++] = *path;
    }
    buffer[used] = '\0';
    return 1;
}

/* The length of the attribute or a negative errno. A folder of another process' making may be in the way of
 * /proc/self/fd: then it is ENOENT, which is no answer (judge). */
static long attribute(int dirfd, const char *path, int flags, char *text, size_t size)
{
    char buffer[PATH_SIZE];
    long call = flags & AT_SYMLINK_NOFOLLOW ? __NR_lgetxattr : __NR_getxattr;

    if (!path || (!*path && flags & AT_EMPTY_PATH)) {
        if (dirfd == AT_FDCWD)
            return call4(__NR_getxattr, (long)".", (long)POD_OWNER_XATTR, (long)text, (long)size);
        return call4(__NR_fgetxattr, dirfd, (long)POD_OWNER_XATTR, (long)text, (long)size);
    }
    if (*path != '/' && dirfd != AT_FDCWD) {
        if (dirfd < 0 || !join(buffer, dirfd, path))
            return -NOENT;
        path = buffer;
    }
    return call4(call, (long)path, (long)POD_OWNER_XATTR, (long)text, (long)size);
}

/* Root's, however the kernel shows it. */
static enum verdict roots(const struct seen *seen, struct owned *owned)
{
    owned->uid = owned->gid = owned->device = 0;
    return seen->uid || seen->gid ? OWNED : ROOTS;
}

enum verdict judge(const struct pod_page *page, const struct seen *seen, int dirfd,
                   const char *path, int flags, struct owned *owned)
{
    char text[64];
    uint32_t slot = pod_page_slot(seen->ino), type = seen->mode & TYPE;
    int marked = __atomic_load_n(&page->shown[slot / 8], __ATOMIC_ACQUIRE) >> slot % 8 & 1;
    int at_root = seen->dev == page->root_dev || page->root_dev == ~0ull;

    /* Somebody else's on the host: nothing about it is believed or recorded, but what a layer has. A process in a user
     * namespace of its own sees root's so too. */
    if (seen->uid)
        return at_root || page->nested ? ASK : roots(seen, owned);
    if (type != REGULAR && type != FOLDER)
        return marked || (page->elsewhere && !at_root) ? ASK : roots(seen, owned);
    if (!marked && page->complete && at_root)
        return roots(seen, owned);
    long size = attribute(dirfd, path, flags, text, sizeof text - 1);
    if (size > 0) {
        text[size] = '\0';
        return parse(text, owned) ? OWNED : ASK;
    }
    if (marked || (size == -NOTSUP && page->elsewhere && !at_root))
        return ASK;
    return size == -NODATA || size == -NOTSUP ? roots(seen, owned) : ASK;
}
