#define _GNU_SOURCE 1

#include "copydata.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef FICLONE
#define FICLONE _IOW(0x94, 9, int)
#endif

static int copy_by_hand(struct pod_copy_data *copy, int src, int dst, off_t at, off_t end,
                        const char *name, struct pod_err *err)
{
    while (at < end) {
        size_t wanted = end - at < POD_COPY_BUFFER_SIZE ? (size_t)(end - at) : POD_COPY_BUFFER_SIZE;
        ssize_t got = pread(src, copy->buffer, wanted, at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pod_fail(err, POD_READ, name);
        if (got == 0)
            return 0; /* it became shorter meanwhile */
        for (ssize_t done = 0; done < got;) {
            ssize_t put = pwrite(dst, copy->buffer + done, (size_t)(got - done), at + done);
            if (put < 0 && errno == EINTR)
                continue;
            if (put < 0)
                return pod_fail(err, POD_WRITE, name);
            done += put;
        }
        at += got;
    }
    return 0;
}

static int copy_extent(struct pod_copy_data *copy, int src, int dst, off_t at, off_t end,
                       const char *name, struct pod_err *err)
{
    while (at < end && !copy->no_range) {
        loff_t from = at;
        loff_t to = at;
        long done = syscall(SYS_copy_file_range, src, &from, dst, &to, (size_t)(end - at), 0u);

        if (done > 0) {
            at += done;
            continue;
        }
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
            return pod_fail(err, POD_WRITE, name);
        /* 0 bytes: procfs and the like, before 5.19 also other things. Other errors: not this pair
         * of files. */
        if (done < 0 &&
            (errno == ENOSYS || errno == EPERM || errno == EXDEV || errno == EOPNOTSUPP))
            copy->no_range = 1;
        break;
    }
    return copy_by_hand(copy, src, dst, at, end, name, err);
}

int pod_copy_data(struct pod_copy_data *copy, int src, int dst, off_t size, const char *name,
                  struct pod_err *err)
{
    off_t at = 0;

    if (size == 0)
        return 0;
    if (!copy->no_clone) {
        if (ioctl(dst, FICLONE, src) == 0)
            return 0;
        if (errno == EOPNOTSUPP || errno == ENOTTY || errno == EXDEV || errno == ENOSYS ||
            errno == EPERM)
            copy->no_clone = 1;
    }
    if (ftruncate(dst, size) < 0)
        return pod_fail(err, POD_WRITE, name);
    while (at < size) {
        off_t start = lseek(src, at, SEEK_DATA);
        off_t end;

        if (start < 0 && errno == ENXIO)
            return 0; /* the rest is a hole */
        if (start < 0)
            start = at;
        end = lseek(src, start, SEEK_HOLE);
        if (end < 0 || end > size)
            end = size;
        if (copy_extent(copy, src, dst, start, end, name, err) < 0)
            return -1;
        at = end > at ? end : size;
    }
    return 0;
}
