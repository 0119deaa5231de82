#include "sidecar.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "table.h"

#define ROW sizeof(struct pod_record)
#define CHUNK (85 * ROW)
#define SIDECAR_MAX (32 << 20) /* bytes of it that are written and read: 700 000 changes */
#define WAIT_MS 200 /* for somebody who writes it anew: some milliseconds of work */
#define WORTH_IT 64 /* rows that hold no more */
#define LONG 75000
#define LEFT 50000

uint32_t pod_record_check(const struct pod_record *row)
{
    const uint32_t *words = (const uint32_t *)(const void *)row;
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < offsetof(struct pod_record, check) / sizeof *words; i++)
        hash = (hash ^ words[i]) * 16777619u;
    return (hash ^ hash >> 15) | 1;
}

typedef int on_row(void *context, const struct pod_record *row, off_t at);

/* Every whole row from FROM on; where bytes are none, the next one is looked for at each byte. Returns where it ended. */
static off_t each_row(int fd, off_t from, on_row *row, void *context)
{
    char bytes[CHUNK];
    struct pod_record one;
    ssize_t got;

    while (from < SIDECAR_MAX && (got = pread(fd, bytes, sizeof bytes, from)) >= (ssize_t)ROW) {
        size_t at = 0;
        while (at + ROW <= (size_t)got) {
            memcpy(&one, bytes + at, ROW);
            int whole = one.check == pod_record_check(&one);
            if (whole && row(context, &one, from + (off_t)at))
                return from + (off_t)at;
            at += whole ? ROW : 1;
        }
        from += (off_t)at;
    }
    return from;
}

/* ---- written anew ----------------------------------------------------- */

struct rewriting {
    struct pod_table last; /* by file: where its last row is */
    uint64_t rows, skip; /* SKIP of the rows that hold are forgotten */
    int to, flags, failed;
};

static uint64_t key_of(const struct pod_record *row)
{
    return pod_table_mix(row->dev, row->ino);
}

static int note_row(void *context, const struct pod_record *row, off_t at)
{
    struct rewriting *r = context;

    r->rows++;
    if (r->flags & POD_SIDECAR_TEMPORARY && row->dev)
        return 0;
    r->failed = pod_table_reserve(&r->last, UINT32_MAX / 4);
    if (!r->failed)
        pod_table_put(&r->last, key_of(row), 0, (uint64_t)at);
    return r->failed;
}

static int keep_row(void *context, const struct pod_record *row, off_t at)
{
    struct rewriting *r = context;
    const struct pod_table_slot *last = pod_table_get(&r->last, key_of(row));

    if (!last || last->value != (uint64_t)at)
        return 0;
    if (r->skip) {
        r->skip--;
        return 0;
    }
    r->failed = write(r->to, row, ROW) == (ssize_t)ROW ? 0 : -EIO;
    return r->failed;
}

/* The caller is alone with FD. Returns the descriptor of the new file, or FD. */
static int write_anew(int fd, int folder, const char *name, int flags)
{
    struct rewriting r = {.flags = flags, .to = -1};
    char temporary[64];

    each_row(fd, 0, note_row, &r);
    if (flags & POD_SIDECAR_FORGETS && r.last.count > LONG)
        r.skip = r.last.count - LEFT;
    if (!r.failed && (r.skip || r.rows > 2 * (uint64_t)r.last.count + WORTH_IT)) {
        snprintf(temporary, sizeof temporary, "%s.new", name);
        r.to = openat(folder, temporary,
                      O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (r.to >= 0)
            each_row(fd, 0, keep_row, &r);
    }
    pod_table_free(&r.last);
    if (r.to < 0)
        return fd;
    /* Locked before anybody can open it by its name. */
    if (r.failed || fdatasync(r.to) || flock(r.to, LOCK_EX | LOCK_NB) ||
        renameat(folder, temporary, folder, name)) {
        unlinkat(folder, temporary, 0);
        close(r.to);
        return fd;
    }
    close(fd);
    return r.to;
}

/* ---- opened, read, added to ------------------------------------------------ */

/* Whether FD is what NAME is still. */
static int is_current(int fd, int folder, const char *name)
{
    struct stat mine, now;

    return !fstat(fd, &mine) && !fstatat(folder, name, &now, AT_SYMLINK_NOFOLLOW) &&
           mine.st_ino == now.st_ino && mine.st_dev == now.st_dev;
}

/* 1: FD is locked, shared, and the file of that name; 0: try again, it is somebody's who writes it anew. */
static int settle(int *fd, int folder, const char *name, int flags)
{
    if (!flock(*fd, LOCK_EX | LOCK_NB)) {
        if (is_current(*fd, folder, name))
            *fd = write_anew(*fd, folder, name, flags);
        flock(*fd, LOCK_SH | LOCK_NB);
    } else if (errno != EWOULDBLOCK) {
        return 1; /* a file system without locks: it is never written anew there */
    } else if (flock(*fd, LOCK_SH | LOCK_NB)) {
        return 0;
    }
    return is_current(*fd, folder, name);
}

void pod_sidecar_open(struct pod_sidecar *sidecar, int folder, const char *name, int flags)
{
    const int how = O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    struct timespec moment = {.tv_nsec = 1000000};

    *sidecar = (struct pod_sidecar){.fd = -1};
    for (int tries = 0; tries < WAIT_MS; tries++) {
        pod_cleanup_fd(&sidecar->fd);
        sidecar->fd = openat(folder, name, O_RDWR | how, 0600);
        if (sidecar->fd < 0) {
            sidecar->fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
            return;
        }
        if (settle(&sidecar->fd, folder, name, flags))
            return;
        nanosleep(&moment, NULL);
    }
}

struct reading {
    void (*row)(void *, const struct pod_record *);
    void *context;
};

static int hand_on(void *context, const struct pod_record *row, off_t at)
{
    const struct reading *reading = context;

    (void)at;
    reading->row(reading->context, row);
    return 0;
}

void pod_sidecar_read(struct pod_sidecar *sidecar, void (*row)(void *, const struct pod_record *),
                      void *context)
{
    struct reading reading = {.row = row, .context = context};
    struct stat st;

    if (sidecar->fd < 0 || fstat(sidecar->fd, &st) || st.st_size < sidecar->read + (off_t)ROW)
        return;
    /* At its bound: what lies behind is not read, now or later. */
    sidecar->read = sidecar->read >= SIDECAR_MAX
                        ? sidecar->read
                        : each_row(sidecar->fd, sidecar->read, hand_on, &reading);
}

int pod_sidecar_add(struct pod_sidecar *sidecar, struct pod_record *row)
{
    row->check = pod_record_check(row);
    if (sidecar->fd < 0)
        return 0;
    if (lseek(sidecar->fd, 0, SEEK_END) >= SIDECAR_MAX)
        return -ENOSPC;
    ssize_t written = write(sidecar->fd, row, ROW);
    if (written < 0)
        return errno == EBADF ? -EROFS : -errno;
    return written == (ssize_t)ROW ? 0 : -ENOSPC;
}
