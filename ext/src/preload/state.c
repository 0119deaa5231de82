#include "preload.h"

#define PR_GET_TIMERSLACK 30
#define MAP_SHARED 1
#define PROT_READ 1

/* Not in .bss: the emulator looks for it in the pages that are mapped from the file. */
struct pod_page_state state
    __attribute__((section(".data"), used, aligned(16))) = {.magic = POD_PAGE_MAGIC};

/* glibc and musl have it; a program without a C library has no errno either. */
extern int *__errno_location(void) __attribute__((weak));

long result_of(long raw)
{
    if (raw >= 0 || raw < -4095)
        return raw;
    if (__errno_location)
        *__errno_location() = (int)-raw;
    return -1;
}

long token_of_thread(void)
{
    long slack = call6(__NR_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0, COOKIE);

    if (slack < POD_SLACK_BASE || slack - POD_SLACK_BASE >= (long)POD_PAGE_TOKENS)
        return -1;
    return slack - POD_SLACK_BASE;
}

/* Whether this process was born with filters of its own: "Seccomp_filters:" of /proc/self/status is not what it is
 * for the others. The calls are those that have just loaded this library, but for read(2). */
static int is_sandboxed(const struct pod_page *page)
{
    static const char key[] = "\nSeccomp_filters:\t";
    char text[4096];
    long fd = call4(__NR_openat, AT_FDCWD, (long)"/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
    long size = fd < 0 ? -1 : call4(__NR_read, fd, (long)text, sizeof text, 0);

    if (fd >= 0)
        call4(__NR_close, fd, 0, 0, 0);
    for (long at = 0; at + (long)sizeof key < size; at++) {
        size_t same = 0;
        uint32_t number = 0;
        while (same < sizeof key - 1 && text[at + (long)same] == key[same])
            same++;
        if (same < sizeof key - 1)
            continue;
        for (at += (long)same; at < size && text[at] >= '0' && text[at] <= '9'; at++)
            number = number * 10 + (uint32_t)(text[at] - '0');
        return number != page->filters;
    }
    return 1;
}

/* link.h: what the loader has loaded. glibc's has the list under this name, and lets the names in it be written. */
struct loaded {
    uintptr_t base;
    char *name;
    void *dynamic;
    struct loaded *next;
};
extern struct {
    int version;
    struct loaded *first;
} _r_debug __attribute__((weak));
extern void __asan_init(void) __attribute__((weak));
extern char _DYNAMIC[] __attribute__((visibility("hidden")));

/* A program under AddressSanitizer ends where another library comes before the sanitizer's, unless it has a name as the
 * kernel's own has (sanitizer_common: "linux-"). What it wants to know of stat's buffers it does not hear then. */
static void make_way(void)
{
    static const char name[] = "linux-pod.so";

    if (!__asan_init || !&_r_debug)
        return;
    for (struct loaded *one = _r_debug.first; one; one = one->next)
        if (one->dynamic == _DYNAMIC && one->name)
            for (size_t i = 0; i < sizeof name; i++)
                one->name[i] = name[i];
}

/* Before the program: it may close every descriptor and change its root. */
__attribute__((constructor)) static void begin(void)
{
    long fd =
        call4(__NR_openat, AT_FDCWD, (long)POD_PAGE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);

    make_way();
    if (fd < 0)
        return;
    long at = call6(__NR_mmap, 0, sizeof(struct pod_page), PROT_READ, MAP_SHARED, fd, 0);
    call4(__NR_close, fd, 0, 0, 0);
    if (at < 0 && at > -4096)
        return;
    const struct pod_page *page = (const struct pod_page *)at;
    if (__atomic_load_n(&page->ready, __ATOMIC_ACQUIRE) == POD_PAGE_READY &&
        __atomic_load_n(&page->sandboxes, __ATOMIC_RELAXED) && is_sandboxed(page))
        state.sandboxed = 1;
    __atomic_store_n(&state.page, page, __ATOMIC_RELEASE);
}
