#define _GNU_SOURCE 1

#include "compress.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "deflate.h"

/* Of zstd's bound too: a 256th and 64 bytes. */
#define PIECE_ROOM (POD_DEFLATE_ROOM(POD_PIECE_SIZE) + POD_PIECE_SIZE / 256)

enum state { FREE, FULL, AT_WORK, DONE };

struct piece {
    enum state state;
    int failed;
    struct pod_err failure;
    size_t length, put;
    unsigned char in[POD_PIECE_SIZE];
    unsigned char out[PIECE_ROOM];
};

struct encoder {
    struct pod_deflate *gzip;
    ZSTD_CCtx *zstd;
};

struct compressor {
    const struct pod_compress_options *options;
    struct pod_patience patience;
    struct pod_sha256 blob, diff;
    uint64_t blob_size, diff_size;
    uint32_t crc;
    struct encoder own; /* where there are no threads */
    int threads;
    pthread_t thread[POD_COMPRESSORS];
    size_t count; /* of pieces */
    uint64_t filled, written; /* numbers of pieces since the start: piece n is piece[n % count] */

    /* Under the mutex, as the pieces' states are. */
    pthread_mutex_t mutex;
    pthread_cond_t to_compress, done;
    uint64_t taken;
    int stopped;
    struct piece piece[];
};

int pod_write_all(int fd, const void *data, size_t length, struct pod_err *err)
{
    const unsigned char *at = data;

    while (length) {
        ssize_t put = write(fd, at, length);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return pod_fail(err, POD_WRITE, "");
        at += put;
        length -= (size_t)put;
    }
    return 0;
}

/* ---- one piece ----------------------------------------------------- */

static void close_encoder(struct encoder *encoder)
{
    pod_deflate_close(&encoder->gzip);
    ZSTD_freeCCtx(encoder->zstd);
    encoder->zstd = NULL;
}

static int run_zstd(struct encoder *encoder, struct piece *piece, struct pod_err *err)
{
    if (!encoder->zstd)
        encoder->zstd = ZSTD_createCCtx();
    if (!encoder->zstd)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "zstd");
    piece->put = ZSTD_compressCCtx(encoder->zstd, piece->out, sizeof piece->out, piece->in,
                                   piece->length, POD_ZSTD_LEVEL);
    if (ZSTD_isError(piece->put))
        return pod_fail_errno(err, POD_COMPRESS, EIO, ZSTD_getErrorName(piece->put));
    return 0;
}

static int run(struct encoder *encoder, enum pod_compression kind, struct piece *piece,
               struct pod_err *err)
{
    if (kind == POD_COMPRESS_ZSTD)
        return run_zstd(encoder, piece, err);
    if (!encoder->gzip && pod_deflate_open(&encoder->gzip, err) < 0)
        return -1;
    return pod_deflate_run(encoder->gzip, piece->in, piece->length, piece->out, &piece->put, err);
}

/* ---- the threads ----------------------------------------------------- */

static struct piece *take(struct compressor *compressor)
{
    struct piece *piece = NULL;

    pthread_mutex_lock(&compressor->mutex);
    for (;;) {
        piece = &compressor->piece[compressor->taken % compressor->count];
        if (compressor->stopped || piece->state == FULL)
            break;
        pthread_cond_wait(&compressor->to_compress, &compressor->mutex);
    }
    if (compressor->stopped) {
        piece = NULL;
    } else {
        piece->state = AT_WORK;
        compressor->taken++;
    }
    pthread_mutex_unlock(&compressor->mutex);
    return piece;
}

static void *work(void *argument)
{
    struct compressor *compressor = argument;
    struct encoder encoder = {NULL, NULL};
    struct piece *piece;

    while ((piece = take(compressor))) {
        piece->failed = run(&encoder, compressor->options->kind, piece, &piece->failure) < 0;
        pthread_mutex_lock(&compressor->mutex);
        piece->state = DONE;
        pthread_cond_signal(&compressor->done);
        pthread_mutex_unlock(&compressor->mutex);
    }
    close_encoder(&encoder);
    return NULL;
}

static void begin_threads(struct compressor *compressor, int wanted)
{
    while (compressor->threads < wanted &&
           !pod_thread_begin(&compressor->thread[compressor->threads], work, compressor))
        compressor->threads++;
}

static void end_threads(struct compressor *compressor)
{
    pthread_mutex_lock(&compressor->mutex);
    compressor->stopped = 1;
    pthread_cond_broadcast(&compressor->to_compress);
    pthread_mutex_unlock(&compressor->mutex);
    while (compressor->threads)
        pthread_join(compressor->thread[--compressor->threads], NULL);
}

/* ---- in their order ----------------------------------------------------- */

static int put(struct compressor *compressor, const void *data, size_t length, struct pod_err *err)
{
    pod_sha256_add(&compressor->blob, data, length);
    compressor->blob_size += length;
    return pod_write_all(compressor->options->target, data, length, err);
}

/* Fills PIECE as far as the source has something. */
static int fill(struct compressor *compressor, struct piece *piece, struct pod_err *err)
{
    struct pod_input input = {.fd = compressor->options->source,
                              .follow = -1,
                              .interrupted = pod_patience_ended,
                              .context = &compressor->patience};
    size_t got = 1;

    for (piece->length = 0; piece->length < POD_PIECE_SIZE && got; piece->length += got)
        if (pod_input_read(&input, piece->in + piece->length, POD_PIECE_SIZE - piece->length, &got,
                           err) < 0)
            return -1;
    pod_sha256_add(&compressor->diff, piece->in, piece->length);
    compressor->diff_size += piece->length;
    if (compressor->options->kind == POD_COMPRESS_GZIP)
        compressor->crc = pod_deflate_crc(compressor->crc, piece->in, piece->length);
    return 0;
}

/* Until the oldest piece is compressed, which is what comes next. */
static int write_oldest(struct compressor *compressor, struct pod_err *err)
{
    struct piece *piece = &compressor->piece[compressor->written % compressor->count];
    int failed = 0;

    pthread_mutex_lock(&compressor->mutex);
    while (compressor->threads && piece->state != DONE && !failed) {
        pod_wait(&compressor->done, &compressor->mutex);
        failed = pod_patience_ended(&compressor->patience);
    }
    pthread_mutex_unlock(&compressor->mutex);
    if (failed)
        return pod_fail_errno(err, POD_READ, EINTR, "");
    if (!compressor->threads)
        piece->failed =
            run(&compressor->own, compressor->options->kind, piece, &piece->failure) < 0;
    if (piece->failed) {
        *err = piece->failure;
        return -1;
    }
    if (put(compressor, piece->out, piece->put, err) < 0)
        return -1;
    pthread_mutex_lock(&compressor->mutex);
    piece->state = FREE;
    pthread_mutex_unlock(&compressor->mutex);
    compressor->written++;
    return 0;
}

static void hand_on(struct compressor *compressor, struct piece *piece)
{
    compressor->filled++;
    pthread_mutex_lock(&compressor->mutex);
    piece->state = FULL;
    pthread_cond_signal(&compressor->to_compress);
    pthread_mutex_unlock(&compressor->mutex);
}

static int compress_all(struct compressor *compressor, struct pod_err *err)
{
    for (;;) {
        struct piece *piece = &compressor->piece[compressor->filled % compressor->count];

        if (compressor->filled == compressor->written + compressor->count &&
            write_oldest(compressor, err) < 0)
            return -1;
        if (fill(compressor, piece, err) < 0)
            return -1;
        if (!piece->length)
            break;
        hand_on(compressor, piece);
    }
    while (compressor->written < compressor->filled)
        if (write_oldest(compressor, err) < 0)
            return -1;
    return 0;
}

static int copy_all(struct compressor *compressor, struct pod_err *err)
{
    struct piece *piece = &compressor->piece[0];

    do {
        if (fill(compressor, piece, err) < 0 ||
            pod_write_all(compressor->options->target, piece->in, piece->length, err) < 0)
            return -1;
    } while (piece->length);
    compressor->blob = compressor->diff;
    compressor->blob_size = compressor->diff_size;
    return 0;
}

/* ---- the stream ----------------------------------------------------- */

/* RFC 1952, 2.3: no time, no name; the system is unknown. */
static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};

/* An empty last block, the checksum, the length modulo 2^32. */
static int put_tail(struct compressor *compressor, struct pod_err *err)
{
    unsigned char tail[10] = {3, 0};

    for (int i = 0; i < 4; i++) {
        tail[2 + i] = (unsigned char)(compressor->crc >> 8 * i);
        tail[6 + i] = (unsigned char)(compressor->diff_size >> 8 * i);
    }
    return put(compressor, tail, sizeof tail, err);
}

/* A frame of nothing: zstd knows no empty file without one. */
static int put_empty(struct compressor *compressor, struct pod_err *err)
{
    struct piece *piece = &compressor->piece[0];

    if (compressor->diff_size)
        return 0;
    return run_zstd(&compressor->own, piece, err) < 0
               ? -1
               : put(compressor, piece->out, piece->put, err);
}

static int compress_kind(struct compressor *compressor, struct pod_err *err)
{
    switch (compressor->options->kind) {
    case POD_COMPRESS_GZIP:
        return put(compressor, head, sizeof head, err) < 0 || compress_all(compressor, err) < 0 ||
                       put_tail(compressor, err) < 0
                   ? -1
                   : 0;
    case POD_COMPRESS_ZSTD:
        return compress_all(compressor, err) < 0 || put_empty(compressor, err) < 0 ? -1 : 0;
    case POD_COMPRESS_NONE:
        break;
    }
    return copy_all(compressor, err);
}

int pod_compress(const struct pod_compress_options *options, struct pod_source_sum *sum,
                 struct pod_err *err)
{
    int threads = options->threads ? options->threads : pod_processors();
    struct compressor *compressor;
    size_t count;
    int failed;

    threads = threads > POD_COMPRESSORS ? POD_COMPRESSORS : threads;
    if (threads < 2 || options->kind == POD_COMPRESS_NONE)
        threads = 0;
    count = threads ? (size_t)threads * 2 + 1 : 1;
    compressor = malloc(sizeof *compressor + count * sizeof *compressor->piece);
    if (!compressor)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    memset(compressor, 0, sizeof *compressor);
    for (size_t i = 0; i < count; i++) /* their pages come when they are used */
        compressor->piece[i].state = FREE;
    compressor->options = options;
    compressor->count = count;
    compressor->patience = (struct pod_patience){options->interrupted, options->context, 0};
    pod_sha256_begin(&compressor->blob);
    pod_sha256_begin(&compressor->diff);
    pthread_mutex_init(&compressor->mutex, NULL);
    pthread_cond_init(&compressor->to_compress, NULL);
    if (pod_condition_open(&compressor->done))
        threads = 0;
    begin_threads(compressor, threads);
    failed = compress_kind(compressor, err);
    end_threads(compressor);
    close_encoder(&compressor->own);
    *sum = (struct pod_source_sum){.blob_size = compressor->blob_size,
                                   .diff_size = compressor->diff_size};
    pod_sha256_end(&compressor->blob, sum->blob);
    pod_sha256_end(&compressor->diff, sum->diff);
    pthread_cond_destroy(&compressor->done);
    pthread_cond_destroy(&compressor->to_compress);
    pthread_mutex_destroy(&compressor->mutex);
    free(compressor);
    return failed;
}

/* ---- the other way ----------------------------------------------------- */

int pod_decompress(int source, int target, uint64_t max_bytes, struct pod_patience *patience,
                   struct pod_source_sum *sum, struct pod_err *err)
{
    struct pod_source *opened = NULL;
    const unsigned char *data;
    size_t length = 0;
    int failed =
        pod_source_open(source, -1, max_bytes, pod_processors() > 1, patience, &opened, err);

    while (!failed) {
        failed = pod_source_next(opened, &data, &length, err) < 0;
        if (failed || !length)
            break;
        failed = pod_write_all(target, data, length, err) < 0;
    }
    if (!failed)
        pod_source_sum(opened, sum);
    pod_source_close(&opened);
    return failed ? -1 : 0;
}
