/* Copies of the image's files get its owners, before the container's program runs: a volume's first content, and the tree of
 * a container where there is no overlay. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"
#include "layers.h"
#include "mount.h"

#define TREE_OWNERS \
    "image-owners" /* core/runtime/plaintree.py: of a tree that was copied, until it has them */

/* Path of the open FD below that of ROOTFD, without a leading slash; -1 where it is not there. */
static int path_below(int rootfd, int fd, char *path, size_t size)
{
    char self[32], root[PATH_MAX], whole[PATH_MAX];

    snprintf(self, sizeof self, "self/fd/%d", rootfd);
    ssize_t above = readlink(self, root, sizeof root - 1);
    snprintf(self, sizeof self, "self/fd/%d", fd);
    ssize_t length = readlink(self, whole, sizeof whole - 1);
    if (above <= 0 || length < above || memcmp(root, whole, (size_t)above))
        return -1;
    whole[length] = '\0';
    int written = snprintf(path, size, "%s", whole + above + (whole[above] == '/'));
    return written >= 0 && (size_t)written < size ? 0 : -1;
}

/* What lies below FROM and has a record of its own gets it at the same path below TO. */
static int own_range(struct pod_records *records, const struct pod_owners *owners, const char *path,
                     int from, int to)
{
    size_t first, end, length = strlen(path);
    struct pod_err ignored;
    struct pod_owned owned;
    struct pod_owner owner;
    int failed = 0;

    pod_owners_range(owners, path, length, &first, &end);
    for (size_t i = first; i < end && !failed; i++) {
        pod_owners_at(owners, i, &owner);
        const char *below = owner.path + length;
        below += *below == '/';
        POD_AUTO_FD int source =
            pod_open_beneath(from, *below ? below : ".", O_PATH | O_NOFOLLOW, 0, &ignored);
        POD_AUTO_FD int copy =
            pod_open_beneath(to, *below ? below : ".", O_PATH | O_NOFOLLOW, 0, &ignored);
        if (source >= 0 && copy >= 0 && pod_records_get(records, source, &owned))
            failed = pod_records_set(records, copy, &owned);
    }
    return failed;
}

/* Records as they are before anything of the container runs. The caller's directory becomes /proc. */
static int begin_early(struct pod_records *records, const struct pod_plan *plan, int proc,
                       int rootfd)
{
    const char *own = pod_plan_str(plan, POD_KEY_DIR);
    POD_AUTO_FD int folder = own ? open(own, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

    if (folder < 0 || fchdir(proc))
        return -errno;
    pod_records_begin(records, plan, folder, NULL);
    pod_places_settle(records, rootfd);
    return 0;
}

static int own_volume(const struct pod_plan *plan, int proc, int rootfd, int content, int volume)
{
    const char *diff = pod_plan_str(plan, POD_KEY_LOWERS);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_LOWERS);
    struct pod_records records;
    struct pod_owners owners;
    char path[PATH_MAX];
    int failed = begin_early(&records, plan, proc, rootfd);

    if (failed)
        return failed;
    pod_places_see(&records, volume);
    if (path_below(rootfd, content, path, sizeof path))
        count = 0;
    for (uint32_t i = 0; i < count && !failed; i++, diff += strlen(diff) + 1)
        if (!pod_layer_map(diff, &owners)) {
            failed = own_range(&records, &owners, path, content, volume);
            pod_owners_unmap(&owners);
        }
    pod_records_end(&records);
    return failed;
}

static int tree_owners(const struct pod_plan *plan, struct pod_owners *owners)
{
    const char *own = pod_plan_str(plan, POD_KEY_DIR);
    struct pod_err ignored;
    POD_AUTO_FD int folder = own ? open(own, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    POD_AUTO_FD int file =
        folder < 0 ? -1 : openat(folder, TREE_OWNERS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return file < 0 || pod_owners_map(file, owners, &ignored) ? -1 : 0;
}

static int own_tree(const struct pod_plan *plan, int proc, int rootfd)
{
    struct pod_records records;
    struct pod_owners owners;
    struct pod_err ignored;
    struct pod_owner owner;

    if (pod_plan_has(plan, POD_KEY_LOWERS) || tree_owners(plan, &owners))
        return 0;
    int failed = begin_early(&records, plan, proc, rootfd);
    for (size_t i = 0; i < owners.count && !failed; i++) {
        pod_owners_at(&owners, i, &owner);
        POD_AUTO_FD int fd = pod_open_beneath(rootfd, owner.path_length ? owner.path : ".",
                                              O_PATH | O_NOFOLLOW, 0, &ignored);
        struct pod_owned owned = pod_layer_owned(&owner);
        if (fd >= 0 && pod_layer_has_owner(&owner))
            failed = pod_records_set(&records, fd, &owned);
    }
    pod_owners_unmap(&owners);
    pod_records_end(&records);
    return failed;
}

static void forget_tree(const struct pod_plan *plan)
{
    const char *own = pod_plan_str(plan, POD_KEY_DIR);
    POD_AUTO_FD int folder = own ? open(own, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

    if (folder >= 0 && !pod_plan_has(plan, POD_KEY_LOWERS))
        unlinkat(folder, TREE_OWNERS, 0);
}

struct making {
    const struct pod_plan *plan;
    int proc;
};

static int on_filled(void *context, int rootfd, int content, int volume, struct pod_err *err)
{
    const struct making *making = context;
    int failed = own_volume(making->plan, making->proc, rootfd, content, volume);

    return failed ? pod_fail_errno(err, POD_COPY, -failed, "owners of a volume") : 0;
}

int pod_records_mount_all(const struct pod_plan *plan, int proc, int rootfd, struct pod_err *err)
{
    struct making making = {plan, proc};
    const struct pod_mount_watch watch = {on_filled, &making};
    int failed = own_tree(plan, proc, rootfd);

    if (failed)
        return pod_fail_errno(err, POD_COPY, -failed, "owners of the image");
    if (pod_mount_all(plan, rootfd, &watch, err))
        return -1;
    forget_tree(plan);
    return 0;
}
