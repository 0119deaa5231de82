/* The bytes of a tar stream, below headers and data. */
#include <string.h>

#include "tar_reader.h"

int pod_tar_fail(struct pod_tar *tar, enum pod_step step, int errnum, struct pod_err *err)
{
    return pod_fail_errno(err, step, errnum, tar->entry.path ? tar->entry.path : tar->name);
}

int pod_tar_some(struct pod_tar *tar, uint64_t wanted, const unsigned char **data, size_t *length,
                 struct pod_err *err)
{
    if (!tar->length && pod_source_next(tar->source, &tar->data, &tar->length, err) < 0)
        return -1;
    *length = tar->length < wanted ? tar->length : (size_t)wanted;
    *data = tar->data;
    if (!*length)
        return 0; /* of an empty stream there is no data to point into */
    tar->data += *length;
    tar->length -= *length;
    tar->position += *length;
    return 0;
}

int pod_tar_take(struct pod_tar *tar, void *target, size_t length, int atend, struct pod_err *err)
{
    size_t done = 0;

    while (done < length) {
        const unsigned char *data;
        size_t got;

        if (pod_tar_some(tar, length - done, &data, &got, err) < 0)
            return -1;
        if (!got)
            return atend && !done ? 0 : pod_tar_fail(tar, POD_TAR_DATA, ENODATA, err);
        memcpy((char *)target + done, data, got);
        done += got;
    }
    return 1;
}

int pod_tar_skip(struct pod_tar *tar, uint64_t count, struct pod_err *err)
{
    while (count) {
        const unsigned char *data;
        size_t got;

        if (pod_tar_some(tar, count, &data, &got, err) < 0)
            return -1;
        if (!got)
            return pod_tar_fail(tar, POD_TAR_DATA, ENODATA, err);
        count -= got;
    }
    return 0;
}

int pod_tar_data(struct pod_tar *tar, const unsigned char **data, size_t *length,
                 struct pod_err *err)
{
    *length = 0;
    if (!tar->left)
        return 0;
    if (pod_tar_some(tar, tar->left, data, length, err) < 0)
        return -1;
    if (!*length)
        return pod_tar_fail(tar, POD_TAR_DATA, ENODATA, err);
    tar->left -= *length;
    return 0;
}

int pod_tar_is_at_hand(const struct pod_tar *tar)
{
    return tar->left <= tar->length;
}
