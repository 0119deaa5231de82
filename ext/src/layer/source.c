#define _GNU_SOURCE 1

#include "source.h"

#include <stdlib.h>
#include <string.h>

struct pod_block {
    struct pod_source *source;
    struct pod_block *next; /* of the free ones: the last used comes first, it is in the caches */
    size_t length;
    int plain; /* its bytes were hashed as they were read */
    int references;
    unsigned char data[POD_BLOCK_SIZE];
};

struct pod_source {
    struct pod_decoder *decoder;
    struct pod_patience *patience;
    uint64_t max_bytes;
    uint64_t diff_size;
    int threaded;
    pthread_t decoding;
    pthread_t hashing;
    struct pod_sha256 diff;
    struct pod_block *current; /* the caller's */
    void (*before_wait)(void *); /* or NULL */
    void *wait_context;

    /* Under the mutex, but for `stopped`, which the decoder's waits look at as well. Numbers of
     * blocks since the start; ring[n % POD_BLOCKS] is block n. */
    pthread_mutex_t mutex;
    pthread_cond_t made_room; /* the decoder waits */
    pthread_cond_t to_take;   /* the caller waits */
    pthread_cond_t to_hash;   /* the hashing thread waits */
    int stopped;
    int ended; /* the decoder is done; `failure` tells how where it failed */
    int failed;
    struct pod_err failure;
    uint64_t decoded;
    uint64_t taken;
    uint64_t hashed;
    struct pod_block *free;
    struct pod_block *ring[POD_BLOCKS];
    struct pod_block blocks[]; /* POD_BLOCKS, or one without threads */
};

/* The decoder's waits ask whoever they keep waiting. */
static int shall_end(void *context)
{
    struct pod_source *source = context;

    return source->threaded ? __atomic_load_n(&source->stopped, __ATOMIC_RELAXED)
                            : pod_patience_ended(source->patience);
}

/* One block's worth; *length 0 at the end. */
static int decode(struct pod_source *source, struct pod_block *block, struct pod_err *err)
{
    if (pod_decoder_next(source->decoder, block->data, sizeof block->data, &block->length, err) < 0)
        return -1;
    block->plain = pod_decoder_is_plain(source->decoder);
    source->diff_size += block->length;
    if (source->diff_size > source->max_bytes)
        return pod_fail_errno(err, POD_LIMIT, EFBIG, "");
    return 0;
}

/* ---- the threads ----------------------------------------------------- */

void pod_block_release(struct pod_block *block)
{
    struct pod_source *source = block->source;

    if (__atomic_sub_fetch(&block->references, 1, __ATOMIC_ACQ_REL))
        return;
    pthread_mutex_lock(&source->mutex);
    block->next = source->free;
    source->free = block;
    pthread_cond_signal(&source->made_room);
    pthread_mutex_unlock(&source->mutex);
}

/* NULL when all shall end. */
static struct pod_block *take_free(struct pod_source *source)
{
    struct pod_block *block;

    pthread_mutex_lock(&source->mutex);
    while (!source->free && !source->stopped)
        pthread_cond_wait(&source->made_room, &source->mutex);
    block = source->stopped ? NULL : source->free;
    if (block)
        source->free = block->next;
    pthread_mutex_unlock(&source->mutex);
    return block;
}

/* Hands BLOCK on, to the caller and to be hashed; NULL: that was all. */
static void hand_on(struct pod_source *source, struct pod_block *block)
{
    pthread_mutex_lock(&source->mutex);
    if (block)
        source->ring[source->decoded++ % POD_BLOCKS] = block;
    else
        source->ended = 1;
    pthread_cond_signal(&source->to_take);
    pthread_cond_signal(&source->to_hash);
    pthread_mutex_unlock(&source->mutex);
}

static void *decode_all(void *argument)
{
    struct pod_source *source = argument;
    struct pod_block *block;

    while ((block = take_free(source))) {
        source->failed = decode(source, block, &source->failure) < 0;
        block->references = 2;
        if (!source->failed && block->length) {
            hand_on(source, block);
            continue;
        }
        pthread_mutex_lock(&source->mutex);
        block->next = source->free;
        source->free = block;
        pthread_mutex_unlock(&source->mutex);
        break;
    }
    hand_on(source, NULL);
    return NULL;
}

static void *hash_all(void *argument)
{
    struct pod_source *source = argument;

    for (;;) {
        struct pod_block *block = NULL;

        pthread_mutex_lock(&source->mutex);
        while (source->hashed == source->decoded && !source->ended && !source->stopped)
            pthread_cond_wait(&source->to_hash, &source->mutex);
        if (source->hashed < source->decoded && !source->stopped)
            block = source->ring[source->hashed++ % POD_BLOCKS];
        pthread_mutex_unlock(&source->mutex);
        if (!block)
            return NULL;
        if (!block->plain)
            pod_sha256_add(&source->diff, block->data, block->length);
        pod_block_release(block);
    }
}

static void stop(struct pod_source *source)
{
    pthread_mutex_lock(&source->mutex);
    __atomic_store_n(&source->stopped, 1, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&source->made_room);
    pthread_cond_broadcast(&source->to_hash);
    pthread_mutex_unlock(&source->mutex);
}

static void join(struct pod_source *source)
{
    if (!source->threaded)
        return;
    pthread_join(source->decoding, NULL);
    pthread_join(source->hashing, NULL);
    source->threaded = 0;
}

/* Both or none. */
static void begin_threads(struct pod_source *source)
{
    if (pod_thread_begin(&source->hashing, hash_all, source))
        return;
    source->threaded = 1;
    if (pod_thread_begin(&source->decoding, decode_all, source) == 0)
        return;
    stop(source);
    pthread_join(source->hashing, NULL);
    source->threaded = source->stopped = 0;
}

static int next_block(struct pod_source *source, struct pod_err *err)
{
    int failed = 0;

    if (source->current)
        pod_block_release(source->current);
    source->current = NULL;
    pthread_mutex_lock(&source->mutex);
    if (source->taken == source->decoded && !source->ended && source->before_wait) {
        pthread_mutex_unlock(&source->mutex); /* it may give blocks back */
        source->before_wait(source->wait_context);
        pthread_mutex_lock(&source->mutex);
    }
    while (source->taken == source->decoded && !source->ended && !failed) {
        pod_wait(&source->to_take, &source->mutex);
        pthread_mutex_unlock(&source->mutex);
        if (pod_patience_ended(source->patience))
            failed = pod_fail_errno(err, POD_READ, EINTR, "");
        pthread_mutex_lock(&source->mutex);
    }
    if (!failed && source->taken < source->decoded) {
        source->current = source->ring[source->taken++ % POD_BLOCKS];
    } else if (!failed && source->failed) {
        *err = source->failure;
        failed = -1;
    }
    pthread_mutex_unlock(&source->mutex);
    return failed;
}

/* ---- the caller's side ----------------------------------------------------- */

int pod_source_open(int fd, int follow, uint64_t max_bytes, int threaded,
                    struct pod_patience *patience, struct pod_source **source, struct pod_err *err)
{
    size_t count = threaded ? POD_BLOCKS : 1;
    struct pod_source *made = malloc(sizeof *made + count * sizeof *made->blocks);
    const struct pod_input input = {
        .fd = fd, .follow = follow, .interrupted = shall_end, .context = made};

    if (!made)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    memset(made, 0, sizeof *made); /* the blocks' pages come when they are used */
    made->patience = patience;
    made->max_bytes = max_bytes;
    pod_sha256_begin(&made->diff);
    for (size_t i = count; i-- > 0;) {
        made->blocks[i].source = made;
        made->blocks[i].next = made->free;
        made->free = &made->blocks[i];
    }
    *source = made;
    if (pthread_mutex_init(&made->mutex, NULL) || pod_condition_open(&made->made_room) ||
        pod_condition_open(&made->to_take) || pod_condition_open(&made->to_hash))
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    if (pod_decoder_open(&input, &made->decoder, err) < 0)
        return -1;
    if (threaded)
        begin_threads(made);
    return 0;
}

void pod_source_on_wait(struct pod_source *source, void (*before_wait)(void *), void *context)
{
    source->before_wait = before_wait;
    source->wait_context = context;
}

int pod_source_is_threaded(const struct pod_source *source)
{
    return source->threaded;
}

int pod_source_next(struct pod_source *source, const unsigned char **data, size_t *length,
                    struct pod_err *err)
{
    if (pod_patience_ended(source->patience))
        return pod_fail_errno(err, POD_READ, EINTR, "");
    if (source->threaded) {
        if (next_block(source, err) < 0)
            return -1;
    } else {
        source->current = &source->blocks[0];
        if (decode(source, source->current, err) < 0)
            return -1;
        if (!source->current->plain)
            pod_sha256_add(&source->diff, source->current->data, source->current->length);
    }
    *length = source->current ? source->current->length : 0;
    *data = source->current ? source->current->data : NULL;
    return 0;
}

struct pod_block *pod_source_hold(struct pod_source *source)
{
    if (!source->threaded)
        return NULL;
    __atomic_add_fetch(&source->current->references, 1, __ATOMIC_RELAXED);
    return source->current;
}

void pod_source_sum(struct pod_source *source, struct pod_source_sum *sum)
{
    join(source);
    pod_decoder_sum(source->decoder, sum->blob, &sum->blob_size);
    sum->diff_size = source->diff_size;
    if (pod_decoder_is_plain(source->decoder)) /* the same bytes, hashed once */
        memcpy(sum->diff, sum->blob, sizeof sum->diff);
    else
        pod_sha256_end(&source->diff, sum->diff);
}

void pod_source_close(struct pod_source **source)
{
    if (!*source)
        return;
    stop(*source);
    join(*source);
    pod_decoder_close(&(*source)->decoder);
    pthread_cond_destroy(&(*source)->to_hash);
    pthread_cond_destroy(&(*source)->to_take);
    pthread_cond_destroy(&(*source)->made_room);
    pthread_mutex_destroy(&(*source)->mutex);
    free(*source);
    *source = NULL;
}
