#define _GNU_SOURCE 1

#include "makers.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/* As many may wait before the reading thread takes one itself. */
#define WAITING_MAX 3
#define FLAGS (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)

struct file {
    struct pod_making making;
    int fd;
    char name[NAME_MAX + 1];
};

struct batch {
    struct batch *next;
    size_t bytes;
    size_t count;
    struct file files[POD_BATCH_FILES];
};

struct pod_makers {
    struct pod_patience *patience;
    int serial; /* one makes files at a time */
    pthread_mutex_t turn;
    int threads; /* begun; -1: not yet */
    pthread_t thread[POD_MAKERS];
    struct batch *filling; /* the reading thread's, or NULL */
    int failed;
    struct pod_err failure;

    pthread_mutex_t mutex; /* of what follows, and of `failure` */
    pthread_cond_t to_do;
    pthread_cond_t done; /* the reading thread waits */
    int stopped;
    int waits; /* the reading thread does */
    int busy;  /* batches that somebody is at */
    int waiting;
    struct batch *first; /* of those that wait */
    struct batch **last;
    struct batch *free;
    struct batch batches[POD_BATCHES];
};

static int has_failed(struct pod_makers *makers)
{
    return __atomic_load_n(&makers->failed, __ATOMIC_ACQUIRE);
}

static void note_failure(struct pod_makers *makers, const struct pod_err *err)
{
    pthread_mutex_lock(&makers->mutex);
    if (!makers->failed)
        makers->failure = *err;
    __atomic_store_n(&makers->failed, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&makers->mutex);
}

int pod_makers_check(struct pod_makers *makers, struct pod_err *err)
{
    if (!has_failed(makers))
        return 0;
    *err = makers->failure;
    return -1;
}

/* ---- one batch ----------------------------------------------------- */

static int fail(const struct file *file, enum pod_step step, struct pod_err *err)
{
    const char *folder = file->making.folder->path;
    char path[PATH_MAX + NAME_MAX];
    int errnum = errno;

    snprintf(path, sizeof path, "%s%s%s", folder, folder[0] ? "/" : "", file->name);
    return pod_fail_errno(err, step, errnum, path);
}

/* How many of the batch from FIRST on were made: fewer than all where no more descriptors are to be had. */
static int make_some(struct batch *batch, size_t first, size_t *made, struct pod_err *err)
{
    const struct timespec pause = {0, 10000000};
    int tries = 0;

    for (*made = first; *made < batch->count;) {
        struct file *file = &batch->files[*made];
        const struct pod_making *making = &file->making;

        file->fd = openat(making->folder->fd, file->name, FLAGS, making->mode);
        if (file->fd >= 0)
            ++*made;
        else if (errno == EEXIST && unlinkat(making->folder->fd, file->name, 0) == 0)
            continue; /* a file system for which two names are one: the later counts */
        else if ((errno != EMFILE && errno != ENFILE) || ++tries == 500)
            return fail(file, POD_OPEN, err);
        else if (*made > first)
            return 0;
        else
            nanosleep(&pause, NULL); /* others have them, and will close them */
    }
    return 0;
}

static int finish_one(struct file *file, struct pod_err *err)
{
    const struct pod_making *making = &file->making;
    const struct timespec times[2] = {making->time, making->time};

    for (size_t at = 0; at < making->length;) {
        ssize_t put = write(file->fd, making->data + at, making->length - at);

        if (put < 0 && errno != EINTR)
            return fail(file, POD_WRITE, err);
        at += put > 0 ? (size_t)put : 0;
    }
    if (making->set_mode != (mode_t)-1 && fchmod(file->fd, making->set_mode) < 0)
        return fail(file, POD_CHMOD, err);
    if (futimens(file->fd, times) < 0)
        return fail(file, POD_UTIMES, err);
    /* NFS and quotas may tell of a lost write only here. */
    if (close(pod_steal_fd(&file->fd)) < 0 && errno != EINTR)
        return fail(file, POD_WRITE, err);
    return 0;
}

static int make_all(struct pod_makers *makers, struct batch *batch, struct pod_err *err)
{
    for (size_t at = 0; at < batch->count;) {
        size_t made;
        int failed;

        if (makers->serial)
            pthread_mutex_lock(&makers->turn);
        failed = make_some(batch, at, &made, err);
        if (makers->serial)
            pthread_mutex_unlock(&makers->turn);
        for (; at < made && !failed; at++)
            failed = finish_one(&batch->files[at], err);
        if (failed)
            return -1;
    }
    return 0;
}

/* After a failure batches are only cleared away. */
static void do_batch(struct pod_makers *makers, struct batch *batch)
{
    struct pod_err err;

    if (!has_failed(makers) && make_all(makers, batch, &err) < 0)
        note_failure(makers, &err);
    for (size_t i = 0; i < batch->count; i++) {
        struct file *file = &batch->files[i];

        pod_cleanup_fd(&file->fd);
        if (file->making.block)
            pod_block_release(file->making.block);
        if (pod_folder_release(file->making.folder, &err) < 0)
            note_failure(makers, &err);
    }
}

/* ---- batches on their way ----------------------------------------------------- */

/* The first that waits, or NULL; the mutex is locked. */
static struct batch *take(struct pod_makers *makers)
{
    struct batch *batch = makers->first;

    if (!batch)
        return NULL;
    makers->first = batch->next;
    if (!makers->first)
        makers->last = &makers->first;
    makers->waiting--;
    makers->busy++;
    return batch;
}

/* The mutex is locked, but not while the batch is at work. */
static void do_taken(struct pod_makers *makers, struct batch *batch)
{
    pthread_mutex_unlock(&makers->mutex);
    do_batch(makers, batch);
    pthread_mutex_lock(&makers->mutex);
    batch->next = makers->free;
    makers->free = batch;
    makers->busy--;
    if (makers->waits)
        pthread_cond_signal(&makers->done);
}

static void *work(void *argument)
{
    struct pod_makers *makers = argument;

    pthread_mutex_lock(&makers->mutex);
    for (;;) {
        struct batch *batch = take(makers);

        if (batch)
            do_taken(makers, batch);
        else if (makers->stopped)
            break;
        else
            pthread_cond_wait(&makers->to_do, &makers->mutex);
    }
    pthread_mutex_unlock(&makers->mutex);
    return NULL;
}

int pod_makers_open(int rootfd, struct pod_patience *patience, struct pod_makers **makers,
                    struct pod_err *err)
{
    struct pod_makers *made = calloc(1, sizeof *made);
    struct statfs fs;

    if (!made)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    if (pthread_mutex_init(&made->mutex, NULL) || pthread_mutex_init(&made->turn, NULL) ||
        pod_condition_open(&made->to_do) || pod_condition_open(&made->done)) {
        free(made);
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    }
    made->patience = patience;
    made->serial = fstatfs(rootfd, &fs) < 0 || fs.f_type == EXT4_SUPER_MAGIC;
    made->threads = -1;
    made->last = &made->first;
    for (int i = 0; i < POD_BATCHES; i++) {
        made->batches[i].next = made->free;
        made->free = &made->batches[i];
    }
    *makers = made;
    return 0;
}

/* One processor is the reading thread's. */
static void begin_threads(struct pod_makers *makers)
{
    int most = pod_processors() - 1;

    makers->threads = 0;
    while (makers->threads < most && makers->threads < POD_MAKERS &&
           pod_thread_begin(&makers->thread[makers->threads], work, makers) == 0)
        makers->threads++;
}

void pod_makers_begin(void *argument)
{
    struct pod_makers *makers = argument;
    struct batch *batch = makers->filling;

    if (!batch)
        return;
    makers->filling = NULL;
    if (makers->threads < 0)
        begin_threads(makers);
    pthread_mutex_lock(&makers->mutex);
    batch->next = NULL;
    *makers->last = batch;
    makers->last = &batch->next;
    makers->waiting++;
    pthread_cond_signal(&makers->to_do);
    /* With no thread this is where all is done. */
    while (makers->waiting > WAITING_MAX || (!makers->threads && makers->waiting))
        do_taken(makers, take(makers));
    pthread_mutex_unlock(&makers->mutex);
}

/* There is always a free batch: at most WAITING_MAX wait and each thread is at one. */
_Static_assert(POD_BATCHES >= WAITING_MAX + POD_MAKERS + 1, "too few batches");

static struct batch *begin_filling(struct pod_makers *makers)
{
    struct batch *batch;

    pthread_mutex_lock(&makers->mutex);
    batch = makers->free;
    makers->free = batch->next;
    pthread_mutex_unlock(&makers->mutex);
    batch->count = 0;
    batch->bytes = 0;
    makers->filling = batch;
    return batch;
}

int pod_makers_add(struct pod_makers *makers, const struct pod_making *making, struct pod_err *err)
{
    struct batch *batch = makers->filling ? makers->filling : begin_filling(makers);
    struct file *file = &batch->files[batch->count++];

    file->making = *making;
    file->fd = -1;
    strcpy(file->name, making->name);
    pod_folder_hold(making->folder);
    batch->bytes += making->length;
    if (batch->count == POD_BATCH_FILES || batch->bytes >= POD_BATCH_BYTES)
        pod_makers_begin(makers);
    return pod_makers_check(makers, err);
}

int pod_makers_settle(void *argument, struct pod_err *err)
{
    struct pod_makers *makers = argument;
    struct batch *batch;
    int failed = 0;

    pod_makers_begin(makers);
    pthread_mutex_lock(&makers->mutex);
    while ((batch = take(makers)))
        do_taken(makers, batch);
    makers->waits = 1;
    while (makers->busy && !failed) {
        pod_wait(&makers->done, &makers->mutex);
        pthread_mutex_unlock(&makers->mutex);
        if (pod_patience_ended(makers->patience))
            failed = pod_fail_errno(err, POD_WRITE, EINTR, "");
        pthread_mutex_lock(&makers->mutex);
    }
    makers->waits = 0;
    pthread_mutex_unlock(&makers->mutex);
    return failed ? -1 : pod_makers_check(makers, err);
}

void pod_makers_close(struct pod_makers **makers)
{
    static const struct pod_err dropped; /* what is still to do is only cleared away */
    struct pod_makers *old = *makers;

    if (!old)
        return;
    note_failure(old, &dropped);
    pod_makers_begin(old);
    pthread_mutex_lock(&old->mutex);
    old->stopped = 1;
    pthread_cond_broadcast(&old->to_do);
    pthread_mutex_unlock(&old->mutex);
    for (int i = 0; i < old->threads; i++)
        pthread_join(old->thread[i], NULL);
    pthread_cond_destroy(&old->done);
    pthread_cond_destroy(&old->to_do);
    pthread_mutex_destroy(&old->turn);
    pthread_mutex_destroy(&old->mutex);
    free(old);
    *makers = NULL;
}
