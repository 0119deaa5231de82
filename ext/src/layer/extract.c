#define _GNU_SOURCE 1

#include "extract.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "entrypath.h"
#include "unpack.h"

static int check_limits(struct pod_unpack *unpack, struct pod_err *err)
{
    if (++unpack->entries > unpack->options->max_entries)
        return fail(unpack, POD_LIMIT, E2BIG, err);
    if (unpack->entry->type != POD_TAR_FILE)
        return 0;
    /* Sparse files cost no bytes of the archive, but whoever copies the tree pays for them. */
    if (unpack->entry->size > unpack->options->max_bytes - unpack->bytes)
        return fail(unpack, POD_LIMIT, EFBIG, err);
    unpack->bytes += unpack->entry->size;
    return 0;
}

static int join(struct pod_unpack *unpack, const char *name, struct pod_err *err)
{
    const char *parent = pod_dirs_path(unpack->dirs);
    size_t length = strlen(parent);

    if (length + strlen(name) + 2 > sizeof unpack->full)
        return fail(unpack, POD_TAR_PATH, ENAMETOOLONG, err);
    memcpy(unpack->full, parent, length);
    if (length)
        unpack->full[length++] = '/';
    strcpy(unpack->full + length, name);
    return 0;
}

static int unpack_one(struct pod_unpack *unpack, struct pod_err *err)
{
    int errnum;
    int content;

    unpack->refused_count = 0;
    unpack->overwrites = 0;
    if (check_limits(unpack, err) < 0 ||
        (unpack->writers && pod_writers_check(unpack->writers, err) < 0))
        return -1;
    errnum = pod_clean_path(unpack->entry->path, unpack->path);
    if (errnum)
        return fail(unpack, POD_TAR_PATH, errnum, err);
    if (!unpack->path[0])
        return pod_unpack_root(unpack, err);
    if (unpack->options->dialect != POD_DIALECT_PLAIN) {
        int affair = pod_unpack_is_aufs_affair(unpack, err);
        if (affair)
            return affair < 0 ? -1 : 0;
    }
    pod_split_path(unpack->path, unpack->name);
    if (pod_dirs_enter(unpack->dirs, unpack->path, 1, err) < 0)
        return fail(unpack, (enum pod_step)err->step, err->errnum, err);
    if (unpack->options->dialect != POD_DIALECT_PLAIN) {
        content = pod_unpack_whiteout(unpack, err);
        if (content <= 0)
            return content;
    }
    unpack->fresh = pod_dirs_note(unpack->dirs, unpack->name, err);
    if (unpack->fresh < 0 || join(unpack, unpack->name, err) < 0)
        return -1;
    return unpack->entry->type == POD_TAR_LINK ? pod_unpack_link(unpack, err)
                                               : pod_unpack_entry(unpack, err);
}

/* The process's umask without changing it (it belongs to all threads); Umask is there since 4.7,
 * else assume the worst: that every
 * mode must be set again. */
static mode_t read_umask(void)
{
    POD_AUTO_FD int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    char text[1024];
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    const char *found;
    mode_t mask = 0;

    if (length < 0)
        return 0777;
    text[length] = '\0';
    found = strstr(text, "\nUmask:\t");
    if (!found)
        return 0777;
    for (found += 8; *found >= '0' && *found <= '7'; found++)
        mask = mask << 3 | (mode_t)(*found - '0');
    return mask & 0777;
}

static int unpack_all(struct pod_unpack *unpack, struct pod_err *err)
{
    int got;

    while ((got = pod_tar_next(unpack->tar, &unpack->entry, err)) > 0)
        if (unpack_one(unpack, err) < 0)
            return -1;
    if (got < 0 || pod_dirs_leave_all(unpack->dirs, err) < 0 || settle(unpack, err) < 0 ||
        (unpack->writers && pod_writers_drain(unpack->writers, err) < 0))
        return -1;
    return pod_owners_end(unpack->owners, err);
}

/* Whatever has blocks shall give them back. */
static void before_wait(void *context)
{
    struct pod_unpack *unpack = context;

    if (unpack->writers)
        pod_writers_wake(unpack->writers);
    if (unpack->makers)
        pod_makers_begin(unpack->makers);
}

static int want_descriptors(void *context, struct pod_err *err)
{
    struct pod_unpack *unpack = context;

    return settle(unpack, err) < 0 || pod_writers_drain(unpack->writers, err) < 0 ? -1 : 0;
}

/* Source first: only blocks that stay can be left to writers. */
static int open_stages(struct pod_unpack *unpack, int fd, struct pod_err *err)
{
    const struct pod_extract_options *options = unpack->options;
    int threaded = options->threads && pod_processors() > 1;

    if (pod_source_open(fd, options->follow, options->max_bytes, threaded, &unpack->patience,
                        &unpack->source, err) < 0)
        return -1;
    if (pod_source_is_threaded(unpack->source) &&
        pod_writers_open(&unpack->patience, &unpack->writers, err) < 0)
        return -1;
    if (unpack->writers &&
        pod_makers_open(options->root_fd, &unpack->patience, &unpack->makers, err) < 0)
        return -1;
    pod_source_on_wait(unpack->source, before_wait, unpack);
    if (pod_tar_open(unpack->source, &unpack->tar, err) < 0 ||
        pod_dirs_open(options->root_fd, options->dialect == POD_DIALECT_OVERLAY, &unpack->dirs,
                      err) < 0)
        return -1;
    if (unpack->makers) {
        pod_makers_on_want(unpack->makers, pod_writers_wake, unpack->writers);
        pod_dirs_on_settle(unpack->dirs, pod_makers_settle, unpack->makers);
    }
    if (unpack->writers)
        pod_dirs_on_want(unpack->dirs, want_descriptors, unpack);
    return pod_owners_begin(options->owners_fd, &unpack->owners, err);
}

int pod_extract(int fd, const struct pod_extract_options *options,
                struct pod_extract_result *result, struct pod_err *err)
{
    struct pod_unpack *unpack = calloc(1, sizeof *unpack);
    int failed;

    if (!unpack)
        return pod_fail_errno(err, POD_MEMORY, ENOMEM, "");
    unpack->options = options;
    unpack->umask = options->umask_is_0 ? 0 : read_umask();
    unpack->patience.interrupted = options->interrupted;
    unpack->patience.context = options->context;
    failed = open_stages(unpack, fd, err) < 0 || unpack_all(unpack, err) < 0;
    if (!failed) {
        pod_source_sum(unpack->source, &result->sum);
        result->entries = unpack->entries;
    }
    pod_makers_close(&unpack->makers);
    pod_writers_close(&unpack->writers);
    pod_owners_close(&unpack->owners);
    pod_dirs_close(&unpack->dirs);
    pod_tar_close(&unpack->tar);
    pod_source_close(&unpack->source);
    free(unpack->refused);
    free(unpack);
    return failed ? -1 : 0;
}
