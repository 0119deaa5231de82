#include "preload.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "beneath.h"
#include "mount.h"
#include "page.h"

#define LIST "etc/ld.so.preload"
#define LIBRARY_MAX (1 << 20) /* bytes of it: a bound */
#if defined(__x86_64__)
#define MUSL "lib/ld-musl-x86_64.so.1"
#define LOADER_32 "ld-linux.so.2"
#else
#define MUSL "lib/ld-musl-aarch64.so.1"
#define LOADER_32 "ld-linux-armhf.so.3"
#endif

static const char *tree_of(const char *library)
{
    return library + strlen(library) + 1;
}

static const char *library_of(const struct pod_plan *plan)
{
    return pod_plan_strv_count(plan, POD_KEY_PRELOAD) >= 2 ? pod_plan_str(plan, POD_KEY_PRELOAD)
                                                           : NULL;
}

/* A loader of 32-bit programs says for each of them that it cannot load a library of 64 bits. */
static int has_32bit_loader(const struct pod_plan *plan)
{
    const char *layer = pod_plan_str(plan, POD_KEY_LOWERS);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_LOWERS);
    char path[4200];
    struct stat st;

    for (uint32_t i = 0; i < count; i++, layer += strlen(layer) + 1)
        for (int usr = 0; usr < 2; usr++) {
            snprintf(path, sizeof path, "%s%s/lib/" LOADER_32, layer, usr ? "/usr" : "");
            if (!lstat(path, &st))
                return 1;
        }
    return 0;
}

int pod_preload_tree(const struct pod_plan *plan, int firstfd)
{
    const char *library = library_of(plan);
    struct stat layer, tree;

    if (!library || has_32bit_loader(plan))
        return -1;
    POD_AUTO_FD int fd = open(tree_of(library), O_PATH | O_DIRECTORY | O_CLOEXEC);
    /* Of another file system, overlayfs would give every file another device number. */
    if (fd < 0 || fstat(firstfd, &layer) || fstat(fd, &tree) || layer.st_dev != tree.st_dev)
        return -1;
    return pod_steal_fd(&fd);
}

static int bind_file(const char *source, int rootfd, const char *target, unsigned long flags)
{
    struct pod_err ignored;
    char name[256];
    POD_AUTO_FD int from = open(source, O_PATH | O_CLOEXEC | O_NOFOLLOW);

    if (from < 0)
        return -1;
    POD_AUTO_FD int folder = pod_parent_in_root(rootfd, target, 1, name, &ignored);
    if (folder < 0)
        return -1;
    POD_AUTO_FD int made =
        openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    POD_AUTO_FD int to = openat(folder, name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (to < 0)
        return -1;
    return pod_mount_bind(from, to, MS_RDONLY | MS_NOSUID | MS_NODEV | flags, 0, target, &ignored);
}

/* The bytes of SOURCE in a new file of the container's own /dev, bound read-only over itself. Not the file of the cache: who
 * has CAP_SYS_ADMIN in there makes such a bind writable again, and all containers of the user load that file. */
static int copy_file(const char *source, int rootfd, const char *target)
{
    struct pod_err ignored;
    struct statfs fs;
    char name[256];
    ssize_t got;
    POD_AUTO_FD int from = open(source, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (from < 0)
        return -1;
    POD_AUTO_FD int folder = pod_parent_in_root(rootfd, target, 1, name, &ignored);
    /* In a /dev of the user's choice nothing is left; on noexec the loader would complain at each start of a program. */
    if (folder < 0 || fstatfs(folder, &fs) || fs.f_type != TMPFS_MAGIC || fs.f_flags & ST_NOEXEC)
        return -1;
    POD_AUTO_FD int made =
        openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (made < 0)
        return -1;
    for (off_t size = 0; (got = sendfile(made, from, NULL, LIBRARY_MAX)) > 0;)
        if ((size += got) > LIBRARY_MAX)
            return -1;
    POD_AUTO_FD int path = openat(folder, name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (got || fchmod(made, 0644) || path < 0)
        return -1;
    return pod_mount_bind(path, path, MS_RDONLY | MS_NOSUID | MS_NODEV, 0, target, &ignored);
}

/* Whether the root's list for glibc's loader is ours. */
static int has_list(int rootfd)
{
    struct pod_err ignored;
    char text[sizeof POD_PAGE_LIBRARY];
    POD_AUTO_FD int list = pod_open_in_root(rootfd, LIST, O_RDONLY | O_NONBLOCK, 0, &ignored);

    return list >= 0 && read(list, text, sizeof text) == (ssize_t)sizeof text &&
           !memcmp(text, POD_PAGE_LIBRARY "\n", sizeof text);
}

/* Without a library to load: no list is better than a complaint of each program. */
static void cover_list(int rootfd)
{
    struct pod_err ignored;

    if (!has_list(rootfd))
        return;
    POD_AUTO_FD int null = open("/dev/null", O_PATH | O_CLOEXEC | O_NOFOLLOW);
    POD_AUTO_FD int target = pod_open_in_root(rootfd, LIST, O_PATH, 0, &ignored);
    if (null >= 0 && target >= 0)
        pod_mount_bind(null, target, MS_NOSUID | MS_NOEXEC, 0, LIST, &ignored);
}

void pod_preload_mount(const struct pod_plan *plan, int rootfd)
{
    const char *library = library_of(plan), *folder = pod_plan_str(plan, POD_KEY_SOCKET_DIR);
    char page[4200];

    if (!library || !folder)
        return;
    snprintf(page, sizeof page, "%s/shown", folder);
    /* Without the page the library would only be in the way: it comes last. */
    if (bind_file(page, rootfd, POD_PAGE_FILE, MS_NOEXEC) ||
        copy_file(library, rootfd, POD_PAGE_LIBRARY))
        cover_list(rootfd);
}

static int has_file(int rootfd, const char *path)
{
    struct pod_err ignored;
    int fd = pod_open_in_root(rootfd, path, O_PATH, 0, &ignored);

    pod_cleanup_fd(&fd);
    return fd >= 0;
}

int pod_preload_in_force(const struct pod_plan *plan, int rootfd)
{
    return library_of(plan) && has_file(rootfd, POD_PAGE_LIBRARY) && has_list(rootfd);
}

void pod_preload_environment(const struct pod_plan *plan, int rootfd, char **env, char *text)
{
    static const char name[] = "LD_PRELOAD=";
    size_t length = sizeof name - 1;

    if (!library_of(plan) || !has_file(rootfd, MUSL) || !has_file(rootfd, POD_PAGE_LIBRARY))
        return;
    while (*env && strncmp(*env, name, length))
        env++;
    /* What the user has there comes first: it may want to have the last word. */
    const char *own = *env ? *env + length : "";
    int written =
        snprintf(text, POD_PRELOAD_VARIABLE, "%s%s%s" POD_PAGE_LIBRARY, name, own, *own ? ":" : "");
    if (written > 0 && written < POD_PRELOAD_VARIABLE)
        *env = text;
}
