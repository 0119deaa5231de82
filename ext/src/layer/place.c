#define _GNU_SOURCE 1

#include "place.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pod_place *pod_place_open(int fd, const char *path)
{
    size_t length = strlen(path);
    struct pod_place *place = calloc(1, sizeof *place + length + 1);

    if (!place)
        return NULL;
    place->fd = fd;
    place->users = 1;
    place->lane = -1;
    memcpy(place->path, path, length + 1);
    return place;
}

void pod_place_hold(struct pod_place *place)
{
    __atomic_add_fetch(&place->users, 1, __ATOMIC_RELAXED);
}

static int finish(const struct pod_place *place, struct pod_err *err)
{
    if (place->set_mode && fchmod(place->fd, place->mode) < 0)
        return pod_fail(err, POD_CHMOD, place->path);
    if (place->set_times && futimens(place->fd, place->times) < 0)
        return pod_fail(err, POD_UTIMES, place->path);
    return 0;
}

int pod_place_release(struct pod_place *place, struct pod_err *err)
{
    int failed;

    if (__atomic_sub_fetch(&place->users, 1, __ATOMIC_ACQ_REL))
        return 0;
    failed = finish(place, err);
    close(place->fd);
    free(place);
    return failed;
}
