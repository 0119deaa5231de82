#define _GNU_SOURCE 1

#include "copylinks.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "decimal.h"
#include "rmtree.h"

static void link_key(const struct stat *st, char *key)
{
    key = pod_put_decimal(key, (uint64_t)st->st_dev);
    *key++ = '-';
    pod_put_decimal(key, (uint64_t)st->st_ino);
}

void pod_copy_links_begin(struct pod_copy_links *links, int topfd)
{
    memset(links, 0, sizeof *links);
    links->topfd = topfd;
    links->fd = -1;
}

int pod_copy_links_again(const struct pod_copy_links *links, const struct stat *st, int dirfd,
                         const char *name)
{
    char key[64];

    if (links->fd < 0)
        return 0;
    link_key(st, key);
    return linkat(links->fd, key, dirfd, name, 0) == 0;
}

void pod_copy_links_first(struct pod_copy_links *links, const struct stat *st, int dirfd,
                          const char *name)
{
    char key[64];

    for (unsigned tries = 0; links->fd < 0 && !links->made && tries < 1000; tries++) {
        char *end = stpcpy(links->name, ".pod-links-");
        end = pod_put_decimal(end, (uint64_t)getpid());
        *end++ = '-';
        pod_put_decimal(end, tries);
        if (mkdirat(links->topfd, links->name, 0700) == 0)
            links->made = 1;
        else if (errno != EEXIST)
            return;
    }
    if (links->fd < 0)
        links->fd =
            openat(links->topfd, links->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (links->fd < 0)
        return;
    link_key(st, key);
    /* EMLINK and the like: later names become copies. */
    if (linkat(dirfd, name, links->fd, key, 0) < 0)
        errno = 0;
}

int pod_copy_links_end(struct pod_copy_links *links, struct pod_err *err)
{
    int made = links->made;

    pod_cleanup_fd(&links->fd);
    links->fd = -1;
    links->made = 0;
    return made ? pod_rmtree(links->topfd, links->name, err) : 0;
}
