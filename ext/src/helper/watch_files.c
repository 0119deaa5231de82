/* Files in memory: what a tmpfs of the container's has (statfs(2)), and files of memfd_create(2) that its processes have open. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "beneath.h"
#include "watch.h"

#define TMPFS 0x01021994
#define TABLE_MAX 65536
#define MOUNTS_MAX 64
#define FILES_MAX 256 /* different ones */
#define OPEN_MAX 8192 /* descriptors that are looked at, of all processes */

/* --- mounts ---------------------------------------------------------------------------------------------------- */

static char *read_table(pid_t pid)
{
    char path[48];
    char *text = malloc(TABLE_MAX);
    size_t used = 0;

    snprintf(path, sizeof path, "/proc/%ld/mountinfo", (long)pid);
    POD_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t got = 1; text && fd >= 0 && got > 0 && used < TABLE_MAX - 1; used += (size_t)got) {
        got = read(fd, text + used, TABLE_MAX - 1 - used);
        if (got < 0)
            got = 0;
    }
    if (text)
        text[used] = '\0';
    return text;
}

/* "36 35 0:33 / /dev/shm rw,… - tmpfs tmpfs …": its number and place; proc(5) writes blanks as \040. 0: none of these. */
static int parse(char *line, unsigned *major, unsigned *minor, char **place)
{
    char *kind = strstr(line, " - tmpfs ");
    int at = 0, end = 0;

    if (!kind || sscanf(line, "%*u %*u %u:%u %*s %n%*s%n", major, minor, &at, &end) < 2 || !end)
        return 0;
    line[end] = '\0';
    *place = line + at;
    char *to = *place;
    for (const char *from = *place; *from; from++) {
        unsigned code;
        if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
            *to++ = (char)code;
            from += 3;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return 1;
}

static int numbers_of(char *table, dev_t *found)
{
    unsigned major, minor;
    char *place, *rest = NULL;
    int count = 0;

    for (char *line = table ? strtok_r(table, "\n", &rest) : NULL; line && count < MOUNTS_MAX;
         line = strtok_r(NULL, "\n", &rest))
        if (parse(line, &major, &minor, &place))
            found[count++] = makedev(major, minor);
    return count;
}

static uint64_t used_at(int root, const char *place)
{
    struct pod_err ignored;
    struct statfs fs;
    POD_AUTO_FD int fd =
        pod_open_beneath(root, place[1] ? place + 1 : ".", O_PATH | O_DIRECTORY, 0, &ignored);

    if (fd < 0 || fstatfs(fd, &fs) || fs.f_type != TMPFS || fs.f_blocks < fs.f_bfree)
        return 0;
    return (uint64_t)(fs.f_blocks - fs.f_bfree) * (uint64_t)fs.f_bsize;
}

uint64_t pod_watch_mounted(pid_t child)
{
    dev_t seen[2 * MOUNTS_MAX]; /* the host's first: what it gave is not the container's */
    char path[48], *rest = NULL, *place;
    unsigned major, minor;
    uint64_t sum = 0;
    char *own = read_table(getpid());
    int count = numbers_of(own, seen);

    free(own);
    snprintf(path, sizeof path, "/proc/%ld/root", (long)child);
    POD_AUTO_FD int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char *table = root < 0 ? NULL : read_table(child);
    for (char *line = table ? strtok_r(table, "\n", &rest) : NULL; line && count < 2 * MOUNTS_MAX;
         line = strtok_r(NULL, "\n", &rest)) {
        int known = !parse(line, &major, &minor, &place);
        for (int i = 0; !known && i < count; i++)
            known = seen[i] == makedev(major, minor);
        if (known)
            continue;
        seen[count++] = makedev(major, minor);
        sum += used_at(root, place);
    }
    free(table);
    return sum;
}

/* --- without a mount ------------------------------------------------------------------------------------------- */

struct search {
    ino_t seen[FILES_MAX];
    int count, looked;
};

static uint64_t bytes_of(struct search *search, int folder, const char *name)
{
    char target[16];
    struct stat st;
    ssize_t length = readlinkat(folder, name, target, sizeof target);

    if (length < 7 || memcmp(target, "/memfd:", 7) || fstatat(folder, name, &st, 0))
        return 0;
    for (int i = 0; i < search->count; i++)
        if (search->seen[i] == st.st_ino)
            return 0;
    if (search->count < FILES_MAX)
        search->seen[search->count++] = st.st_ino;
    return (uint64_t)st.st_blocks * 512;
}

static uint64_t open_in(struct search *search, pid_t pid)
{
    char path[40];
    uint64_t sum = 0;

    snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    DIR *files = opendir(path);
    if (!files)
        return 0;
    for (struct dirent *entry; search->looked < OPEN_MAX && (entry = readdir(files));) {
        search->looked++;
        if (entry->d_name[0] != '.')
            sum += bytes_of(search, dirfd(files), entry->d_name);
    }
    closedir(files);
    return sum;
}

void pod_watch_unmapped(struct pod_watch *watch, const pid_t *pids, int count)
{
    static struct search search;

    search.count = search.looked = 0;
    watch->unmapped = 0;
    watch->holder_count = 0;
    for (int i = 0; i < count; i++) {
        uint64_t bytes = open_in(&search, pids[i]);
        watch->unmapped += bytes;
        if (!bytes || watch->holder_count == POD_WATCH_HOLDERS)
            continue;
        watch->holders[watch->holder_count] = pids[i];
        watch->holds[watch->holder_count++] = bytes;
    }
}

uint64_t pod_watch_unmapped_of(const struct pod_watch *watch, pid_t pid)
{
    for (int i = 0; i < watch->holder_count; i++)
        if (watch->holders[i] == pid)
            return watch->holds[i];
    return 0;
}
