#define _GNU_SOURCE 1

#include "folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int pod_folder_open(int fd, const char *path, struct pod_folder **folder, struct pod_err *err)
{
    size_t length = strlen(path);
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    struct pod_folder *made;

    *folder = NULL;
    if (own < 0)
        return errno == EMFILE ? 0 : pod_fail(err, POD_OPEN, path);
    made = calloc(1, sizeof *made + length + 1);
    if (!made) {
        close(own);
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    }
    made->fd = own;
    made->references = 1;
    memcpy(made->path, path, length + 1);
    *folder = made;
    return 0;
}

void pod_folder_hold(struct pod_folder *folder)
{
    __atomic_add_fetch(&folder->references, 1, __ATOMIC_RELAXED);
}

static int settle(const struct pod_folder *folder, struct pod_err *err)
{
    if (folder->on_disk != folder->mode && fchmod(folder->fd, folder->mode) < 0)
        return pod_fail(err, POD_CHMOD, folder->path);
    if (folder->keep_times && futimens(folder->fd, folder->times) < 0)
        return pod_fail(err, POD_UTIMES, folder->path);
    return 0;
}

int pod_folder_release(struct pod_folder *folder, struct pod_err *err)
{
    int failed;

    if (__atomic_sub_fetch(&folder->references, 1, __ATOMIC_ACQ_REL))
        return 0;
    failed = folder->left ? settle(folder, err) : 0;
    close(folder->fd);
    free(folder);
    return failed;
}
