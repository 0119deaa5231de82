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

/* As many may wait before the reading thread does something itself. */
#define WAITING_MAX 3
/* As many may be made and not yet written, before who makes files writes some. */
#define READY_MAX 4
/* Descriptors kept for the day that there are no more. */
#define SPARE 4
/* Of 10 ms each, before who finds no descriptor gives up. */
#define TRIES_MAX 500
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
    size_t made;    /* of its files there are so many, the first ones */
    size_t written; /* and of these so many are done with */
    int tries;
    struct file files[POD_BATCH_FILES];
};

struct queue {
    struct batch *first;
    struct batch *last;
    int count;
};

struct pod_makers {
    struct pod_patience *patience;
    int serial;  /* one makes files at a time */
    int threads; /* begun; -1: not yet */
    pthread_t thread[POD_MAKERS];
    struct batch *filling; /* the reading thread's, or NULL */
    int failed;
    struct pod_err failure;
    void (*on_want)(void *); /* or NULL */
    void *want_context;
    int few; /* descriptors there are: nothing is to wait for any */

    pthread_mutex_t mutex; /* of what follows, and of `failure` */
    pthread_cond_t to_do;
    pthread_cond_t done; /* the reading thread waits */
    int stopped;
    int waits;   /* the reading thread does */
    int making;  /* those who make files */
    int busy;    /* batches that somebody is at */
    int starved; /* no descriptor was to be had: what is ready first */
    int spare[SPARE];
    struct queue waiting;
    struct queue ready; /* made, not written */
    struct queue free;
    struct batch batches[POD_BATCHES];
};

static void put_last(struct queue *queue, struct batch *batch)
{
    batch->next = NULL;
    if (queue->first)
        queue->last->next = batch;
    else
        queue->first = batch;
    queue->last = batch;
    queue->count++;
}

static void put_first(struct queue *queue, struct batch *batch)
{
    batch->next = queue->first;
    if (!queue->first)
        queue->last = batch;
    queue->first = batch;
    queue->count++;
}

static struct batch *take_first(struct queue *queue)
{
    struct batch *batch = queue->first;

    if (batch) {
        queue->first = batch->next;
        queue->count--;
    }
    return batch;
}

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

int pod_makers_starve(struct pod_makers *makers)
{
    return __atomic_load_n(&makers->few, __ATOMIC_ACQUIRE);
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

/* Makes files of the batch, as many as there are descriptors for. */
static int make_some(struct batch *batch, struct pod_err *err)
{
    while (batch->made < batch->count) {
        struct file *file = &batch->files[batch->made];
        const struct pod_making *making = &file->making;

        file->fd = openat(making->folder->fd, file->name, FLAGS, making->mode);
        if (file->fd >= 0)
            batch->made++;
        else if (errno == EEXIST && unlinkat(making->folder->fd, file->name, 0) == 0)
            continue; /* a file system for which two names are one: the later counts */
        else if ((errno != EMFILE && errno != ENFILE) || ++batch->tries == TRIES_MAX)
            return fail(file, POD_OPEN, err);
        else
            break;
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

static int write_made(struct batch *batch, struct pod_err *err)
{
    for (; batch->written < batch->made; batch->written++)
        if (finish_one(&batch->files[batch->written], err) < 0)
            return -1;
    return 0;
}

static void clear(struct pod_makers *makers, struct batch *batch)
{
    struct pod_err err;

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

/* The functions of this part are called with the mutex locked, and let go of it while they are at files. */

/* Others may go on with what was changed. */
static void tell(struct pod_makers *makers)
{
    pthread_cond_signal(&makers->to_do);
    if (makers->waits)
        pthread_cond_signal(&makers->done);
}

/* Directories that are waited for have all descriptors. */
static void be_few(struct pod_makers *makers)
{
    makers->starved = 1;
    __atomic_store_n(&makers->few, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < SPARE; i++) {
        pod_cleanup_fd(&makers->spare[i]);
        makers->spare[i] = -1;
    }
}

static void make_batch(struct pod_makers *makers, struct batch *batch)
{
    const struct timespec pause = {0, 10000000};
    struct pod_err err;

    makers->making++;
    pthread_mutex_unlock(&makers->mutex);
    if (!has_failed(makers) && make_some(batch, &err) < 0)
        note_failure(makers, &err);
    pthread_mutex_lock(&makers->mutex);
    makers->making--;
    if (batch->made > batch->written || batch->made == batch->count || has_failed(makers)) {
        put_last(&makers->ready, batch);
    } else { /* others have the descriptors, and will close them */
        put_first(&makers->waiting, batch);
        be_few(makers);
        if (!makers->ready.first) {
            pthread_mutex_unlock(&makers->mutex);
            nanosleep(&pause, NULL);
            pthread_mutex_lock(&makers->mutex);
        }
    }
}

/* After a failure batches are only cleared away. */
static void write_batch(struct pod_makers *makers, struct batch *batch)
{
    struct pod_err err;
    int some;

    pthread_mutex_unlock(&makers->mutex);
    if (!has_failed(makers) && write_made(batch, &err) < 0)
        note_failure(makers, &err);
    some = batch->written < batch->count && !has_failed(makers);
    if (!some)
        clear(makers, batch);
    pthread_mutex_lock(&makers->mutex);
    makers->starved = 0;
    if (some)
        put_first(&makers->waiting, batch);
    else
        put_last(&makers->free, batch);
}

/* Makes a batch or writes one: what nobody else is at and most is wanted. 0: there is nothing to do. Making comes first
 * where one makes at a time, for all the rest waits for that. */
static int do_one(struct pod_makers *makers)
{
    int may_make = makers->waiting.first && !(makers->serial && makers->making);

    if (makers->ready.first &&
        (!may_make || !makers->serial || makers->starved || makers->ready.count >= READY_MAX)) {
        makers->busy++;
        write_batch(makers, take_first(&makers->ready));
    } else if (may_make) {
        makers->busy++;
        make_batch(makers, take_first(&makers->waiting));
    } else {
        return 0;
    }
    makers->busy--;
    tell(makers);
    return 1;
}

static void *work(void *argument)
{
    struct pod_makers *makers = argument;

    pthread_mutex_lock(&makers->mutex);
    for (;;) {
        if (do_one(makers))
            continue;
        if (makers->stopped)
            break;
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
    if (pthread_mutex_init(&made->mutex, NULL) || pod_condition_open(&made->to_do) ||
        pod_condition_open(&made->done)) {
        free(made);
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    }
    made->patience = patience;
    made->serial = fstatfs(rootfd, &fs) < 0 || fs.f_type == EXT4_SUPER_MAGIC;
    made->threads = -1;
    for (int i = 0; i < POD_BATCHES; i++)
        put_last(&made->free, &made->batches[i]);
    for (int i = 0; i < SPARE; i++)
        made->spare[i] = fcntl(rootfd, F_DUPFD_CLOEXEC, 0);
    *makers = made;
    return 0;
}

void pod_makers_on_want(struct pod_makers *makers, void (*on_want)(void *), void *context)
{
    makers->on_want = on_want;
    makers->want_context = context;
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
    put_last(&makers->waiting, batch);
    pthread_cond_signal(&makers->to_do);
    /* With no thread this is where all is done. */
    while ((makers->waiting.count > WAITING_MAX || !makers->threads) && do_one(makers))
        ;
    pthread_mutex_unlock(&makers->mutex);
}

/* With the mutex locked: until something is done, or a while. */
static int wait_for_some(struct pod_makers *makers, struct pod_err *err)
{
    int failed = 0;

    if (makers->starved && makers->on_want)
        makers->on_want(makers->want_context);
    makers->waits = 1;
    pod_wait(&makers->done, &makers->mutex);
    makers->waits = 0;
    pthread_mutex_unlock(&makers->mutex);
    if (pod_patience_ended(makers->patience))
        failed = pod_fail_errno(err, POD_WRITE, EINTR, "");
    pthread_mutex_lock(&makers->mutex);
    return failed;
}

static int begin_filling(struct pod_makers *makers, struct pod_err *err)
{
    struct batch *batch;
    int failed = 0;

    pthread_mutex_lock(&makers->mutex);
    while (!(batch = take_first(&makers->free)) && !failed)
        if (!do_one(makers))
            failed = wait_for_some(makers, err);
    pthread_mutex_unlock(&makers->mutex);
    if (!batch)
        return -1;
    batch->bytes = batch->count = batch->made = batch->written = 0;
    batch->tries = 0;
    makers->filling = batch;
    return 0;
}

int pod_makers_add(struct pod_makers *makers, const struct pod_making *making, struct pod_err *err)
{
    struct batch *batch;
    struct file *file;

    if (!makers->filling && begin_filling(makers, err) < 0)
        return -1;
    batch = makers->filling;
    file = &batch->files[batch->count++];
    file->making = *making;
    file->fd = -1;
    strcpy(file->name, making->name);
    pod_folder_hold(making->folder);
    batch->bytes += making->length;
    if (batch->count == POD_BATCH_FILES || batch->bytes >= POD_BATCH_BYTES)
        pod_makers_begin(makers);
    if (pod_makers_starve(makers))
        return pod_makers_settle(makers, err);
    return pod_makers_check(makers, err);
}

int pod_makers_settle(void *argument, struct pod_err *err)
{
    struct pod_makers *makers = argument;
    int failed = 0;

    pod_makers_begin(makers);
    pthread_mutex_lock(&makers->mutex);
    while (!failed && (makers->waiting.first || makers->ready.first || makers->busy))
        if (!do_one(makers))
            failed = wait_for_some(makers, err);
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
    for (int i = 0; i < SPARE; i++)
        pod_cleanup_fd(&old->spare[i]);
    pthread_cond_destroy(&old->done);
    pthread_cond_destroy(&old->to_do);
    pthread_mutex_destroy(&old->mutex);
    free(old);
    *makers = NULL;
}
