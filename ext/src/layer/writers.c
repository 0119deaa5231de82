#define _GNU_SOURCE 1

#include "writers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Waking a thread costs as much as writing a small file: it sleeps until there is a handful of
 * them, or as many bytes. */
#define BATCH_JOBS 24
#define BATCH_BYTES 65536

struct pod_written {
    struct lane *lane;
    int fd;
    mode_t mode;
    uint64_t left;   /* to be written: the writer's */
    uint64_t to_add; /* the reading thread's */
    struct timespec times[2];
    char path[];
};

struct job {
    struct pod_written *file;
    struct pod_block *block;
    const unsigned char *data;
    size_t length;
};

/* A writer and what it shall do: all pieces of a file go to one, in order. */
struct lane {
    struct pod_writers *writers;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t to_do;     /* the writer waits */
    pthread_cond_t made_room; /* the reading thread waits */
    int waiting;              /* the writer does, and nobody has woken it yet */
    size_t waited_bytes;      /* of what was added since it waits */
    int stopped;
    uint64_t added; /* jobs[n % POD_WRITER_JOBS] is job n; those from `done` to `added` are to do */
    uint64_t done;
    struct job jobs[POD_WRITER_JOBS];
};

struct pod_writers {
    struct pod_patience *patience;
    int count;
    struct pod_written *open; /* begun, its last byte not yet added */
    pthread_mutex_t mutex; /* of the failure */
    int failed;
    struct pod_err failure;
    struct lane lanes[POD_WRITERS];
};

static int has_failed(struct pod_writers *writers)
{
    return __atomic_load_n(&writers->failed, __ATOMIC_ACQUIRE);
}

/* ---- the writers ----------------------------------------------------- */

static int fail(const struct pod_written *file, enum pod_step step, struct pod_err *err)
{
    return pod_fail(err, step, file->path);
}

static int write_piece(const struct job *job, struct pod_err *err)
{
    const unsigned char *at = job->data;
    size_t left = job->length;

    while (left) {
        ssize_t put = write(job->file->fd, at, left);

        if (put < 0 && errno != EINTR)
            return fail(job->file, POD_WRITE, err);
        if (put > 0) {
            at += put;
            left -= (size_t)put;
        }
    }
    return 0;
}

static int finish(struct pod_written *file, struct pod_err *err)
{
    if (file->mode != (mode_t)-1 && fchmod(file->fd, file->mode) < 0)
        return fail(file, POD_CHMOD, err);
    if (futimens(file->fd, file->times) < 0)
        return fail(file, POD_UTIMES, err);
    /* NFS and quotas may tell of a lost write only here. */
    if (close(pod_steal_fd(&file->fd)) < 0 && errno != EINTR)
        return fail(file, POD_WRITE, err);
    return 0;
}

static void note_failure(struct pod_writers *writers, const struct pod_err *err)
{
    pthread_mutex_lock(&writers->mutex);
    if (!writers->failed)
        writers->failure = *err;
    __atomic_store_n(&writers->failed, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&writers->mutex);
}

static void discard(struct pod_written *file)
{
    pod_cleanup_fd(&file->fd);
    free(file);
}

/* After a failure jobs are only cleared away. */
static void do_job(struct lane *lane, const struct job *job)
{
    struct pod_written *file = job->file;
    struct pod_err err;
    int failed = 0;

    if (!has_failed(lane->writers))
        failed = write_piece(job, &err);
    pod_block_release(job->block);
    file->left -= job->length;
    if (!failed && !file->left && !has_failed(lane->writers))
        failed = finish(file, &err);
    if (failed)
        note_failure(lane->writers, &err);
    if (!file->left)
        discard(file);
}

static void *write_all(void *argument)
{
    struct lane *lane = argument;

    pthread_mutex_lock(&lane->mutex);
    for (;;) {
        struct job job;

        while (lane->done == lane->added && !lane->stopped) {
            lane->waiting = 1;
            lane->waited_bytes = 0;
            pthread_cond_wait(&lane->to_do, &lane->mutex);
        }
        lane->waiting = 0;
        if (lane->done == lane->added)
            break;
        job = lane->jobs[lane->done % POD_WRITER_JOBS];
        pthread_mutex_unlock(&lane->mutex);
        do_job(lane, &job);
        pthread_mutex_lock(&lane->mutex);
        lane->done++;
        pthread_cond_signal(&lane->made_room);
    }
    pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

/* ---- the reading thread's side ----------------------------------------------------- */

static int open_lane(struct pod_writers *writers, struct lane *lane)
{
    lane->writers = writers;
    return pthread_mutex_init(&lane->mutex, NULL) || pod_condition_open(&lane->to_do) ||
           pod_condition_open(&lane->made_room) || pod_thread_begin(&lane->thread, write_all, lane);
}

int pod_writers_open(struct pod_patience *patience, struct pod_writers **writers,
                     struct pod_err *err)
{
    struct pod_writers *made = calloc(1, sizeof *made);

    if (!made)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    made->patience = patience;
    pthread_mutex_init(&made->mutex, NULL);
    while (made->count < POD_WRITERS && open_lane(made, &made->lanes[made->count]) == 0)
        made->count++;
    if (made->count)
        *writers = made;
    else
        pod_writers_close(&made);
    return 0;
}

int pod_writers_check(struct pod_writers *writers, struct pod_err *err)
{
    if (!has_failed(writers))
        return 0;
    *err = writers->failure;
    return -1;
}

static void wake(struct lane *lane)
{
    int waiting;

    pthread_mutex_lock(&lane->mutex);
    waiting = lane->waiting && lane->added > lane->done;
    if (waiting)
        lane->waiting = 0;
    pthread_mutex_unlock(&lane->mutex);
    if (waiting)
        pthread_cond_signal(&lane->to_do);
}

void pod_writers_wake(void *argument)
{
    struct pod_writers *writers = argument;

    for (int i = 0; i < writers->count; i++)
        wake(&writers->lanes[i]);
}

/* Until at most MOST jobs of the lane are to do. */
static int wait_for_lane(struct pod_writers *writers, struct lane *lane, uint64_t most,
                         struct pod_err *err)
{
    int failed = 0;

    wake(lane);
    pthread_mutex_lock(&lane->mutex);
    while (lane->added - lane->done > most && !failed) {
        pod_wait(&lane->made_room, &lane->mutex);
        pthread_mutex_unlock(&lane->mutex);
        if (pod_patience_ended(writers->patience))
            failed = pod_fail_errno(err, POD_WRITE, EINTR, "");
        pthread_mutex_lock(&lane->mutex);
    }
    pthread_mutex_unlock(&lane->mutex);
    return failed;
}

/* The first that is not busy, so that small files keep one awake, else the least busy. */
static struct lane *choose_lane(struct pod_writers *writers)
{
    struct lane *chosen = &writers->lanes[0];
    uint64_t fewest = UINT64_MAX;

    for (int i = 0; i < writers->count; i++) {
        struct lane *lane = &writers->lanes[i];
        uint64_t jobs;

        pthread_mutex_lock(&lane->mutex);
        jobs = lane->added - lane->done;
        pthread_mutex_unlock(&lane->mutex);
        if (jobs < POD_WRITER_JOBS / 2)
            return lane;
        if (jobs < fewest) {
            fewest = jobs;
            chosen = lane;
        }
    }
    return chosen;
}

int pod_writers_begin(struct pod_writers *writers, int fd, uint64_t size, mode_t mode,
                      const struct timespec *times, const char *path, struct pod_written **file,
                      struct pod_err *err)
{
    size_t length = strlen(path);
    struct pod_written *made = malloc(sizeof *made + length + 1);

    if (!made) {
        pod_cleanup_fd(&fd);
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    }
    made->fd = fd;
    made->mode = mode;
    made->left = made->to_add = size;
    memcpy(made->times, times, sizeof made->times);
    memcpy(made->path, path, length + 1);
    made->lane = choose_lane(writers);
    writers->open = *file = made;
    return 0;
}

int pod_writers_add(struct pod_writers *writers, struct pod_written *file, struct pod_block *block,
                    const unsigned char *data, size_t length, struct pod_err *err)
{
    struct lane *lane = file->lane;
    int enough;

    if (pod_writers_check(writers, err) < 0)
        goto dropped;
    pthread_mutex_lock(&lane->mutex);
    if (lane->added - lane->done == POD_WRITER_JOBS) {
        pthread_mutex_unlock(&lane->mutex);
        if (wait_for_lane(writers, lane, POD_WRITER_JOBS - 1, err) < 0)
            goto dropped;
        pthread_mutex_lock(&lane->mutex);
    }
    file->to_add -= length;
    if (!file->to_add)
        writers->open = NULL;
    lane->jobs[lane->added++ % POD_WRITER_JOBS] = (struct job){file, block, data, length};
    lane->waited_bytes += length;
    enough = lane->waiting &&
             (lane->waited_bytes >= BATCH_BYTES || lane->added - lane->done >= BATCH_JOBS);
    if (enough)
        lane->waiting = 0;
    pthread_mutex_unlock(&lane->mutex);
    if (enough)
        pthread_cond_signal(&lane->to_do);
    return 0;

dropped:
    pod_block_release(block);
    return -1;
}

int pod_writers_drain(struct pod_writers *writers, struct pod_err *err)
{
    for (int i = 0; i < writers->count; i++)
        if (wait_for_lane(writers, &writers->lanes[i], 0, err) < 0)
            return -1;
    return pod_writers_check(writers, err);
}

static void close_lane(struct lane *lane)
{
    pthread_mutex_lock(&lane->mutex);
    lane->stopped = 1;
    pthread_cond_signal(&lane->to_do);
    pthread_mutex_unlock(&lane->mutex);
    pthread_join(lane->thread, NULL);
}

void pod_writers_close(struct pod_writers **writers)
{
    static const struct pod_err dropped; /* what is still to do is only cleared away */

    if (!*writers)
        return;
    note_failure(*writers, &dropped);
    for (int i = 0; i < (*writers)->count; i++)
        close_lane(&(*writers)->lanes[i]);
    if ((*writers)->open)
        discard((*writers)->open);
    for (int i = 0; i < (*writers)->count; i++) {
        pthread_cond_destroy(&(*writers)->lanes[i].made_room);
        pthread_cond_destroy(&(*writers)->lanes[i].to_do);
        pthread_mutex_destroy(&(*writers)->lanes[i].mutex);
    }
    pthread_mutex_destroy(&(*writers)->mutex);
    free(*writers);
    *writers = NULL;
}
