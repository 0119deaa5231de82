#include "removal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "restart.h"
#include "rmtree.h"

#define FIRST_VOLUME 2 /* in REMOVE: after the record and the name */

/* An anonymous volume that another container has got too stays, with word of it for core/volume/leftovers.py. */
static int keep_shared(const char *volume)
{
    POD_AUTO_FD int folder = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (folder < 0 || faccessat(folder, "shared", F_OK, AT_SYMLINK_NOFOLLOW))
        return 0;
    POD_AUTO_FD int word =
        openat(folder, "released", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return 1;
}

/* The container's name may be another by now (rename), and the one of the plan another container's. */
static const char *present_name(const struct pod_plan *plan, int dirfd, const char *path,
                                char *renamed, size_t size)
{
    const char *id = pod_plan_str(plan, POD_KEY_ID), *slash = strrchr(path, '/');
    char name[256], owner[64];

    if (slash && !pod_changes_read(dirfd, "Name", name, sizeof name) && name[0] == '/' &&
        !strchr(name + 1, '/') &&
        (size_t)snprintf(renamed, size, "%.*s%s", (int)(slash - path), path, name) < size)
        path = renamed;
    POD_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || !id || read(fd, owner, sizeof owner) != (ssize_t)sizeof owner ||
        strncmp(owner, id, sizeof owner))
        return NULL;
    return path;
}

void pod_removal_names(const struct pod_plan *plan, int dirfd)
{
    const char *path = pod_plan_str(plan, POD_KEY_REMOVE),
               *trash = pod_plan_str(plan, POD_KEY_TRASH);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_REMOVE);
    char target[4200], renamed[4352];

    for (uint32_t i = 0; trash && i < count; i++, path += strlen(path) + 1) {
        if (i >= FIRST_VOLUME && keep_shared(path))
            continue;
        const char *from = i == 1 ? present_name(plan, dirfd, path, renamed, sizeof renamed) : path;
        const char *slash = strrchr(path, '/');
        snprintf(target, sizeof target, "%s/%s.%ld.%u", trash, slash ? slash + 1 : path,
                 (long)getpid(), i);
        if (from && rename(from, target) && errno != ENOENT)
            continue; /* the next command heals it from the exit record */
    }
}

void pod_removal_bytes(const struct pod_plan *plan)
{
    const char *path = pod_plan_str(plan, POD_KEY_REMOVE),
               *trash = pod_plan_str(plan, POD_KEY_TRASH);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_REMOVE);
    struct pod_err ignored;
    char name[300];

    if (!trash)
        return;
    POD_AUTO_FD int folder = open(trash, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (uint32_t i = 0; folder >= 0 && i < count; i++, path += strlen(path) + 1) {
        const char *slash = strrchr(path, '/');
        snprintf(name, sizeof name, "%s.%ld.%u", slash ? slash + 1 : path, (long)getpid(), i);
        pod_rmtree(folder, name, &ignored);
    }
}

void pod_removal_socket(const struct pod_plan *plan, int whole)
{
    const char *folder = pod_plan_str(plan, POD_KEY_SOCKET_DIR);
    struct pod_err ignored;

    if (!folder)
        return;
    if (whole) {
        pod_rmtree(AT_FDCWD, folder, &ignored);
        return;
    }
    POD_AUTO_FD int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir >= 0) {
        unlinkat(dir, "ctl", 0);
        unlinkat(dir, "emu", 0);
        unlinkat(dir, "shown", 0);
    }
}
