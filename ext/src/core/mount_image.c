/* An image's tree mounted into a container: read-only, of the layers that its containers stack. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "beneath.h"
#include "mount_parts.h"

#define LAYERS_MAX 200 /* as many as the page of mount(2) has room for */

struct layers {
    int fds[LAYERS_MAX];
    uint32_t count;
    char options[4096];
};

static void close_layers(struct layers *layers)
{
    for (uint32_t i = 0; i < layers->count; i++)
        close(layers->fds[i]);
}

/* Opens layers FIRST … FIRST + COUNT - 1 of IMAGE_LOWERS and names them by descriptor, so that no path of the host shows. */
static int open_layers(const struct pod_plan *plan, uint32_t first, uint32_t count,
                       const char *further, struct layers *layers, struct pod_err *err)
{
    const char *path = pod_plan_str(plan, POD_KEY_IMAGE_LOWERS);
    uint32_t all = pod_plan_strv_count(plan, POD_KEY_IMAGE_LOWERS);
    size_t used = 0;

    layers->count = 0;
    if (count > LAYERS_MAX)
        return pod_fail_errno(err, POD_OVERLAY, E2BIG, "too many layers");
    if (!count || first + count > all)
        return pod_fail_errno(err, POD_PLAN, EINVAL, "IMAGE_LOWERS");
    for (uint32_t i = 0; i < first + count; i++, path += strlen(path) + 1) {
        if (i < first)
            continue;
        int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return pod_fail(err, POD_OVERLAY, path);
        layers->fds[layers->count++] = fd;
        int written = snprintf(layers->options + used, sizeof layers->options - used, "%s%s",
                               i == first ? "lowerdir=" : ":", pod_fd_path(fd).text);
        used += (size_t)written;
        if (used >= sizeof layers->options)
            return pod_fail_errno(err, POD_OVERLAY, E2BIG, "too many layers");
    }
    int written = snprintf(layers->options + used, sizeof layers->options - used, ",%s", further);
    return used + (size_t)written >= sizeof layers->options
               ? pod_fail_errno(err, POD_OVERLAY, E2BIG, "too many layers")
               : 0;
}

/* A folder of the image alone: bound on top of the whole, which nobody sees any more. */
static int narrow(const struct pod_mount *m, int rootfd, const char *target, const char *below,
                  struct pod_err *err)
{
    POD_AUTO_FD int whole = pod_open_in_root(rootfd, target, O_PATH | O_DIRECTORY, 0, err);
    if (whole < 0)
        return -1;
    POD_AUTO_FD int inner = pod_open_within(whole, below, O_PATH | O_DIRECTORY, err);
    if (inner < 0) {
        err->step = POD_SUBPATH;
        return -1;
    }
    return pod_mount_bind(inner, whole, m->flags, POD_BIND_TOP, target, err);
}

int pod_mount_do_image(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                       struct pod_err *err)
{
    const char *target = pod_plan_string(plan, m->target), *below = pod_plan_string(plan, m->data);
    struct layers layers;
    POD_AUTO_FD int fd = pod_mount_target_directory(m, rootfd, target, err);

    if (fd < 0 || pod_mount_check_place(fd, target, err))
        return -1;
    int failed = open_layers(plan, m->mode >> 16, m->mode & 0xffff,
                             pod_plan_string(plan, m->fstype), &layers, err);
    if (!failed && mount("overlay", pod_fd_path(fd).text, "overlay", m->flags, layers.options))
        failed = pod_fail(err, POD_OVERLAY, target);
    close_layers(&layers);
    return failed || (*below && narrow(m, rootfd, target, below, err)) ? -1 : 0;
}
