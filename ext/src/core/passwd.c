#include "passwd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"

#define LINE_MAX_BYTES 4096
#define FILE_MAX_BYTES (16u << 20)

struct lines {
    int fd;
    size_t start, end, total;
    int skipping;
    char buffer[LINE_MAX_BYTES];
};

/* Opens a database file; -1 in lines->fd where there is none that is a regular file (as if it were empty). */
static void lines_open(struct lines *lines, int rootfd, const char *path)
{
    struct pod_err ignored;
    struct stat st;

    memset(lines, 0, offsetof(struct lines, buffer));
    lines->fd = pod_open_in_root(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &ignored);
    if (lines->fd >= 0 && (fstat(lines->fd, &st) || !S_ISREG(st.st_mode))) {
        close(lines->fd);
        lines->fd = -1;
    }
}

static int lines_fill(struct lines *lines)
{
    if (lines->start) {
        memmove(lines->buffer, lines->buffer + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->start = 0;
    }
    if (lines->end == sizeof lines->buffer - 1) {
        /* Longer than any honest line: forget it up to its end. */
        lines->end = 0;
        lines->skipping = 1;
    }
    if (lines->total >= FILE_MAX_BYTES)
        return 0;
    ssize_t got =
        read(lines->fd, lines->buffer + lines->end, sizeof lines->buffer - 1 - lines->end);
    if (got <= 0)
        return 0;
    lines->end += (size_t)got;
    lines->total += (size_t)got;
    return 1;
}

/* The next line, NUL-terminated in place, or NULL at the end. */
static char *lines_next(struct lines *lines)
{
    if (lines->fd < 0)
        return NULL;
    for (;;) {
        char *line = lines->buffer + lines->start;
        char *newline = memchr(line, '\n', lines->end - lines->start);
        if (newline) {
            *newline = '\0';
            lines->start = (size_t)(newline + 1 - lines->buffer);
            if (!lines->skipping)
                return line;
            lines->skipping = 0;
            continue;
        }
        if (lines_fill(lines))
            continue;
        /* A last line without its newline. */
        if (lines->end == lines->start || lines->skipping)
            return NULL;
        lines->buffer[lines->end] = '\0';
        line = lines->buffer + lines->start;
        lines->start = lines->end;
        return line;
    }
}

/* Cuts LINE at its colons into COUNT fields; missing ones are "". */
static void split(char *line, char **fields, int count)
{
    for (int i = 0; i < count; i++) {
        fields[i] = line;
        char *colon = i < count - 1 ? strchr(line, ':') : NULL;
        if (colon) {
            *colon = '\0';
            line = colon + 1;
        } else {
            line += strlen(line);
        }
    }
    /* The last field ends at its own colon: what follows is not ours. */
    char *rest = strchr(fields[count - 1], ':');
    if (rest)
        *rest = '\0';
}

/* A decimal id of at most 2^31-1 (Docker's bound). 1 = number, 0 = not a number, -1 = out of range. */
static int parse_id(const char *text, size_t length, uint32_t *id)
{
    uint64_t value = 0;
    if (!length)
        return 0;
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9')
            return text[0] == '-' && i == 0 && length > 1 ? -1 : 0;
    for (size_t i = 0; i < length; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
        if (value > 0x7fffffff)
            return -1;
    }
    *id = (uint32_t)value;
    return 1;
}

static int same(const char *field, const char *text, size_t length)
{
    return strlen(field) == length && !memcmp(field, text, length);
}

/* By name first, then by number, as Docker does. Fills uid, gid, home and NAME (of the entry, "" without one). */
static int find_user(int rootfd, const char *text, size_t length, struct pod_user *user, char *name,
                     size_t name_size, struct pod_err *err)
{
    struct lines lines;
    uint32_t wanted = 0, uid = 0, gid = 0;
    int number = parse_id(text, length, &wanted), found = 0;
    char *line, *f[6];

    if (number < 0)
        return pod_fail_errno(err, POD_SETUID, EINVAL, text);
    lines_open(&lines, rootfd, "etc/passwd");
    while (!found && (line = lines_next(&lines))) {
        split(line, f, 6);
        if (parse_id(f[2], strlen(f[2]), &uid) != 1 || !f[0][0])
            continue;
        if (!same(f[0], text, length) && !(number == 1 && uid == wanted))
            continue;
        found = 1;
        user->uid = uid;
        user->gid = parse_id(f[3], strlen(f[3]), &gid) == 1 ? gid : 0;
        if (f[5][0] && strlen(f[5]) < sizeof user->home)
            memcpy(user->home, f[5], strlen(f[5]) + 1);
        if (strlen(f[0]) < name_size)
            memcpy(name, f[0], strlen(f[0]) + 1);
    }
    if (lines.fd >= 0)
        close(lines.fd);
    if (!found && number != 1)
        return pod_fail_errno(err, POD_SETUID, ENOENT, text);
    if (!found)
        user->uid = wanted;
    return 0;
}

static int find_group(int rootfd, const char *text, gid_t *gid, struct pod_err *err)
{
    struct lines lines;
    uint32_t wanted = 0, id = 0;
    size_t length = strlen(text);
    int number = parse_id(text, length, &wanted), found = 0;
    char *line, *f[3];

    if (number < 0 || !length)
        return pod_fail_errno(err, POD_SETGID, EINVAL, text);
    lines_open(&lines, rootfd, "etc/group");
    while (!found && (line = lines_next(&lines))) {
        split(line, f, 3);
        found = parse_id(f[2], strlen(f[2]), &id) == 1 && same(f[0], text, length);
    }
    if (lines.fd >= 0)
        close(lines.fd);
    if (!found && number != 1)
        return pod_fail_errno(err, POD_SETGID, ENOENT, text);
    *gid = found ? id : wanted;
    return 0;
}

static void add_group(struct pod_user *user, gid_t gid)
{
    for (size_t i = 0; i < user->group_count; i++)
        if (user->groups[i] == gid)
            return;
    if (user->group_count < POD_GROUPS_MAX)
        user->groups[user->group_count++] = gid;
}

static int lists(char *members, const char *name)
{
    size_t length = strlen(name);
    while (*members) {
        char *comma = strchr(members, ',');
        size_t size = comma ? (size_t)(comma - members) : strlen(members);
        if (size == length && !memcmp(members, name, size))
            return 1;
        members += size + (comma ? 1 : 0);
    }
    return 0;
}

/* The groups whose member list has NAME. */
static void add_memberships(int rootfd, const char *name, struct pod_user *user)
{
    struct lines lines;
    uint32_t gid = 0;
    char *line, *f[4];

    lines_open(&lines, rootfd, "etc/group");
    while ((line = lines_next(&lines))) {
        split(line, f, 4);
        if (parse_id(f[2], strlen(f[2]), &gid) == 1 && lists(f[3], name))
            add_group(user, gid);
    }
    if (lines.fd >= 0)
        close(lines.fd);
}

int pod_user_lookup(int rootfd, const char *text, char *const *extra, struct pod_user *user,
                    struct pod_err *err)
{
    const char *colon = strchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    char name[256] = "";
    gid_t gid;

    memset(user, 0, sizeof *user);
    memcpy(user->home, "/", 2);
    if (find_user(rootfd, length ? text : "0", length ? length : 1, user, name, sizeof name, err))
        return -1;
    if (colon && colon[1]) {
        if (find_group(rootfd, colon + 1, &user->gid, err))
            return -1;
        add_group(user, user->gid);
    } else {
        add_group(user, user->gid);
        if (name[0])
            add_memberships(rootfd, name, user);
    }
    for (; extra && *extra; extra++) {
        if (find_group(rootfd, *extra, &gid, err))
            return -1;
        add_group(user, gid);
    }
    return 0;
}
