/* Whether what a prepared start rests on is as it was. Any doubt is a no: then Python decides anew. */
#define _GNU_SOURCE 1

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "prepared.h"

#define CONTENT_MAX 65536
#define GROUPS_FACTOR 0x100000001b3u /* core/container/prepared_file.py has the same */

static uint64_t nanoseconds(struct timespec time)
{
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int same_stat(const struct pod_input *input, uint32_t kind, const char *path)
{
    struct stat st;
    int follow = input->kind & POD_INPUT_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
    int failed = fstatat(AT_FDCWD, path, &st, follow);

    if (kind == POD_INPUT_ABSENT)
        return failed && (uint64_t)errno == input->v[0];
    if (failed || st.st_dev != input->v[0] || st.st_ino != input->v[1])
        return 0;
    if (kind == POD_INPUT_FILE)
        return S_ISREG(st.st_mode) && (uint64_t)st.st_size == input->v[2] &&
               nanoseconds(st.st_mtim) == input->v[3] && nanoseconds(st.st_ctim) == input->v[4];
    if (st.st_mode != input->v[2])
        return 0;
    if (kind == POD_INPUT_LISTING)
        return nanoseconds(st.st_mtim) == input->v[3] && nanoseconds(st.st_ctim) == input->v[4];
    return st.st_uid == input->v[3] && st.st_rdev == input->v[4];
}

/* The file's content in BUFFER (CONTENT_MAX), a string; -1: unreadable, or larger. */
static int read_whole(const char *path, char *buffer)
{
    POD_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t used = 0;
    ssize_t got;

    if (fd < 0)
        return -1;
    while ((got = read(fd, buffer + used, CONTENT_MAX - used)) > 0)
        used += (size_t)got;
    if (got < 0 || used >= CONTENT_MAX)
        return -1;
    buffer[used] = '\0';
    return strlen(buffer) == used ? 0 : -1;
}

static int same_content(uint32_t kind, const char *path, const char *wanted)
{
    char buffer[CONTENT_MAX];

    if (read_whole(path, buffer))
        return 0;
    return kind == POD_INPUT_HAS ? strstr(buffer, wanted) != NULL : !strcmp(buffer, wanted);
}

/* Counted from the last parenthesis, for the name between them is the program's own choice. A zombie lives no more. */
static int same_process(const struct pod_input *input, const char *path)
{
    char buffer[CONTENT_MAX], *at;

    if (read_whole(path, buffer) || !(at = strrchr(buffer, ')')) || at[1] != ' ' ||
        strchr("ZX", at[2]))
        return 0;
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at && strtoull(at + 1, NULL, 10) == input->v[0];
}

static int same_link(const char *path, const char *wanted)
{
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof target - 1);

    if (length < 0)
        return 0;
    target[length] = '\0';
    return !strcmp(target, wanted);
}

static int same_access(const struct pod_input *input, const char *path)
{
    return input->v[1] == (access(path, (int)input->v[0]) == 0);
}

static int same_folder(const char *wanted)
{
    char here[PATH_MAX];
    return getcwd(here, sizeof here) && !strcmp(here, wanted);
}

static int same_variable(const struct pod_input *input, const char *name, const char *wanted)
{
    const char *value = getenv(name);
    return value ? input->v[0] && !strcmp(value, wanted) : !input->v[0];
}

static int same_ids(const struct pod_input *input)
{
    gid_t groups[1024];
    int count = getgroups(1024, groups);
    uint64_t hash = 0;

    if (count < 0)
        return 0;
    for (int i = 0; i < count; i++)
        hash = hash * GROUPS_FACTOR + groups[i];
    return input->v[0] == geteuid() && input->v[1] == getegid() && input->v[2] == (uint64_t)count &&
           input->v[3] == hash;
}

static int same_host(const char *wanted)
{
    struct utsname host;
    char text[sizeof host];

    if (uname(&host))
        return 0;
    snprintf(text, sizeof text, "%s %s %s", host.nodename, host.release, host.machine);
    return !strcmp(text, wanted);
}

static int same(const struct pod_input *input, const char *first, const char *second)
{
    uint32_t kind = input->kind & ~(uint32_t)POD_INPUT_NOFOLLOW;

    switch (kind) {
    case POD_INPUT_FILE:
    case POD_INPUT_PLACE:
    case POD_INPUT_LISTING:
    case POD_INPUT_ABSENT:
        return same_stat(input, kind, first);
    case POD_INPUT_LINK:
        return same_link(first, second);
    case POD_INPUT_CONTENT:
    case POD_INPUT_HAS:
        return same_content(kind, first, second);
    case POD_INPUT_ACCESS:
        return same_access(input, first);
    case POD_INPUT_CWD:
        return same_folder(first);
    case POD_INPUT_TTY:
        return isatty((int)input->v[0]) == (int)input->v[1];
    case POD_INPUT_ENV:
        return same_variable(input, first, second);
    case POD_INPUT_IDS:
        return same_ids(input);
    case POD_INPUT_PROCESS:
        return same_process(input, first);
    case POD_INPUT_PROCESSORS:
        return pod_prepared_processors() == input->v[0];
    case POD_INPUT_UNAME:
        return same_host(first);
    default:
        return 0;
    }
}

int pod_prepared_holds(const struct pod_plan *plan)
{
    uint32_t size, room;
    const struct pod_input *inputs = pod_plan_blob(plan, POD_KEY_P_INPUTS, &size);
    const char *text = pod_plan_blob(plan, POD_KEY_P_TEXT, &room);

    /* Two NULs at the end: a second string is there in any case. */
    if (!inputs || !size || size % sizeof *inputs || !text || room < 2 || text[room - 1] ||
        text[room - 2])
        return 0;
    for (uint32_t i = 0; i < size / sizeof *inputs; i++) {
        if (inputs[i].text >= room - 1)
            return 0;
        const char *first = text + inputs[i].text;
        const char *second = first + strlen(first) + 1;
        if (second >= text + room || !same(inputs + i, first, second))
            return 0;
    }
    return 1;
}
