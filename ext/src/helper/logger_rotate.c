/* Rotation: one rename, a new file, and what is too old goes. Killed between any two calls, the folder has a log that is
 * whole: readers go by the numbers, and the next start makes the open file where it is missing. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "logger_file.h"
#include "logger_gzip.h"
#include "logger_queue.h"

/* The N of "log.N" and "log.N.gz", 0 for any other name. */
static uint64_t number_of(const char *name)
{
    uint64_t number = 0;

    if (strncmp(name, "log.", 4) || name[4] < '1' || name[4] > '9')
        return 0;
    for (name += 4; *name >= '0' && *name <= '9'; name++) {
        if (number > 1000000000000000u)
            return 0;
        number = number * 10 + (uint64_t)(*name - '0');
    }
    return !*name || !strcmp(name, ".gz") ? number : 0;
}

/* Which full files are there: looked at before the first rotation of a start. */
static void learn(struct pod_log_file *file)
{
    int fd = openat(file->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    file->first = 1;
    file->last = 0;
    while (folder && (entry = readdir(folder))) {
        uint64_t number = number_of(entry->d_name);
        if (!number)
            continue;
        if (!file->last || number < file->first)
            file->first = number;
        if (number > file->last)
            file->last = number;
    }
    if (folder)
        closedir(folder);
    else
        pod_log_close_fd(&fd);
    file->known = 1;
}

static void name_of(char name[40], const char *form, uint64_t number)
{
    snprintf(name, 40, form, (unsigned long long)number);
}

/* Whether somebody reads the file or the compressed one. */
static int is_read(const struct pod_log_file *file, uint64_t number)
{
    static const char *const forms[2] = {"log.%llu", "log.%llu.gz"};
    char name[40];

    for (int i = 0; i < 2; i++) {
        name_of(name, forms[i], number);
        POD_AUTO_FD int fd = openat(file->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
            return 1;
    }
    return 0;
}

static void prune(struct pod_log_file *file)
{
    static const char *const forms[3] = {"log.%llu", "log.%llu.gz", ".log.%llu.gz"};
    uint64_t keep = file->max_files - 1, spare = POD_LOG_SPARE / file->max_size + 1;
    char name[40];

    while (file->first <= file->last && file->last - file->first + 1 > keep) {
        uint64_t count = file->last - file->first + 1;
        if (count <= keep + spare && is_read(file, file->first))
            return;
        for (int i = 0; i < 3; i++) {
            name_of(name, forms[i], file->first);
            unlinkat(file->dirfd, name, 0);
        }
        file->first++;
    }
}

static int compress_all(struct pod_log_file *file)
{
    char name[40], temporary[40], final[40];
    int some = 0;

    learn(file);
    for (uint64_t number = file->first; number <= file->last; number++) {
        name_of(name, "log.%llu", number);
        name_of(temporary, ".log.%llu.gz", number);
        name_of(final, "log.%llu.gz", number);
        some |= pod_log_gzip(file->dirfd, name, temporary, final);
    }
    return some;
}

/* One process compresses at a time, also what becomes full meanwhile; what somebody reads is left to the next one. */
void pod_log_compress(struct pod_log_file *file)
{
    file->behind = file->compressor > 0 && waitpid(file->compressor, NULL, WNOHANG) == 0;
    if (file->behind)
        return;
    file->compressor = fork();
    if (file->compressor)
        return;
    pod_log_close_others(&file->dirfd, 1);
    while (compress_all(file))
        ;
    _exit(0);
}

/* A log that became full once will again: its blocks are asked for at once, which ext4 does a fifth cheaper than block by block.
 * What is not written of them is nobody's content, and goes with the file. Other file systems were not measured, or know no
 * blocks. */
static void reserve(const struct pod_log_file *file)
{
    struct statfs fs;

    if (file->max_size <= POD_LOG_SPARE && !fstatfs(file->fd, &fs) &&
        fs.f_type == EXT4_SUPER_MAGIC &&
        fallocate(file->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)file->max_size))
        return; /* a full disk is told by the writes */
}

void pod_log_rotate(struct pod_log_file *file)
{
    char name[40];

    pod_log_file_flush(file);
    if (!file->known)
        learn(file);
    name_of(name, "log.%llu", file->last + 1);
    /* Where there can be no other file, this one goes on, and it is tried again after as many bytes. */
    file->size = 0;
    if (renameat(file->dirfd, "log", file->dirfd, name))
        return;
    int fd = openat(file->dirfd, "log", O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        renameat(file->dirfd, name, file->dirfd, "log");
        return;
    }
    close(file->fd);
    file->fd = fd;
    file->torn = 0;
    file->last++;
    prune(file);
    reserve(file);
    if (file->compress)
        pod_log_compress(file);
}

/* What is not compressed by now stays as it is: the next start's rotations see to it. */
void pod_log_settle(struct pod_log_file *file)
{
    struct timespec while_it_ends = {.tv_nsec = 10000000};

    for (int i = 0; i < 20 && file->compressor > 0; i++) {
        if (waitpid(file->compressor, NULL, WNOHANG) != 0)
            file->compressor = -1;
        else
            nanosleep(&while_it_ends, NULL);
    }
    if (file->compressor > 0) {
        kill(file->compressor, SIGKILL);
        waitpid(file->compressor, NULL, 0);
    }
    file->compressor = -1;
}
