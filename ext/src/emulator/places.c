/* Which sidecar knows a file: told by the mount that the file is seen through. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mount.h"
#include "records.h"

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

#define MOUNTINFO_MAX (1u << 20)
#define SUFFIX "/_data"

/* STATX_MNT_ID and where it stands (linux/stat.h, 5.8); musl's header has neither. */
#define MOUNT_ID_AT 144
_Static_assert(sizeof(struct statx) >= MOUNT_ID_AT + 8,
               "struct statx has room for a mount's number");

uint64_t pod_statx_mount(const struct statx *st)
{
    uint64_t id = 0;

    if (st->stx_mask & POD_STATX_MOUNT)
        memcpy(&id, (const char *)st + MOUNT_ID_AT, sizeof id);
    return id;
}

static int top_of(int fd, uint64_t *dev, uint64_t *ino, uint64_t *mount)
{
    struct statx st;

    memset(&st, 0, sizeof st);
    /* The function is of glibc 2.28. */
    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_INO | POD_STATX_MOUNT, &st))
        return -1;
    *dev = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
    *ino = st.stx_ino;
    *mount = pod_statx_mount(&st);
    return 0;
}

/* The place of a mount of SOURCE: that of the volume whose content it is, or that of bind mounts. */
static int place_of_source(const struct pod_plan *plan, const char *source)
{
    const char *folder = pod_plan_str(plan, POD_KEY_RECORDS);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_RECORDS);

    for (uint32_t i = 0; i < count; i++, folder += strlen(folder) + 1) {
        size_t length = strlen(folder);
        if (i && !strncmp(source, folder, length) && !strcmp(source + length, SUFFIX))
            return (int)i - 1 + POD_PLACE_VOLUMES;
    }
    return POD_PLACE_BINDS;
}

static void add_top(struct pod_records *records, const struct pod_plan *plan,
                    const struct pod_mount *m)
{
    uint64_t mount;
    struct pod_err ignored;
    int place = place_of_source(plan, pod_plan_string(plan, m->source)), at = records->top_count;
    POD_AUTO_FD int fd = pod_mount_open_source(plan, m, &ignored);

    if (at == POD_TOPS || place >= records->places || fd < 0 ||
        top_of(fd, &records->tops[at].dev, &records->tops[at].ino, &mount))
        return;
    records->tops[at].place = place;
    records->top_count++;
    if (place >= POD_PLACE_VOLUMES)
        records->devs[place] = records->tops[at].dev;
}

void pod_places_begin(struct pod_records *records, const struct pod_plan *plan, int folder)
{
    const char *path = pod_plan_str(plan, POD_KEY_RECORDS), *own = pod_plan_str(plan, POD_KEY_DIR);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_RECORDS), length;
    const struct pod_mount *mounts = pod_plan_blob(plan, POD_KEY_MOUNTS, &length);

    pod_sidecar_open(&records->sidecars[0], folder, "owners", POD_SIDECAR_TEMPORARY);
    records->places = 1;
    for (uint32_t i = 0; i < count && records->places < POD_PLACES; i++, path += strlen(path) + 1) {
        POD_AUTO_FD int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        pod_sidecar_open(&records->sidecars[records->places++], dir, "owners",
                         i ? POD_SIDECAR_TEMPORARY : POD_SIDECAR_FORGETS);
    }
    for (uint32_t i = 0; mounts && i < length / sizeof *mounts; i++) {
        const char *source = pod_plan_string(plan, mounts[i].source);
        if (mounts[i].kind != POD_MOUNT_VOLUME && mounts[i].kind != POD_MOUNT_BIND)
            continue;
        /* The engine's own files, the host's devices and kernel: nobody makes anything below them. */
        if (strncmp(source, "/dev/", 5) && strcmp(source, "/sys") && strcmp(source, "/proc") &&
            (!own || strncmp(source, own, strlen(own))))
            add_top(records, plan, &mounts[i]);
    }
}

void pod_places_see(struct pod_records *records, int fd)
{
    uint64_t dev, ino, mount;

    if (top_of(fd, &dev, &ino, &mount) || !mount || records->mount_count == POD_MOUNTS)
        return;
    for (int i = 0; i < records->top_count; i++)
        if (records->tops[i].dev == dev && records->tops[i].ino == ino) {
            records->mounts[records->mount_count].id = mount;
            records->mounts[records->mount_count++].place = records->tops[i].place;
            return;
        }
}

/* Undoes the octal escapes of proc_pid_mountinfo(5), in place. */
static void unescape(char *text)
{
    char *to = text;

    for (; *text; to++)
        if (text[0] == '\\' && text[1] && text[2] && text[3]) {
            *to = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
            text += 4;
        } else {
            *to = *text++;
        }
    *to = '\0';
}

/* A line of mountinfo: its fifth word is where something is mounted. What lies there may be covered, or have changed: it counts
 * only if it is seen through that very mount. */
static void see_line(struct pod_records *records, int rootfd, char *line)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    unsigned long id = strtoul(line, NULL, 10), parent;
    char *path = line;
    uint64_t dev, ino, mount;

    parent = strtoul(line + strcspn(line, " "), NULL, 10);
    for (int word = 0; word < 4; word++)
        path += strcspn(path, " "), path += *path == ' ';
    path[strcspn(path, " ")] = '\0';
    unescape(path);
    POD_AUTO_FD int fd = (int)syscall(SYS_openat2, rootfd, path, &how, sizeof how);
    if (fd < 0 || top_of(fd, &dev, &ino, &mount) || mount != id)
        return;
    int before = records->mount_count;
    pod_places_see(records, fd);
    if (records->mount_count != before || before == POD_MOUNTS)
        return;
    /* What the host has mounted below something that was bound belongs to it. */
    for (int i = 0; i < before; i++)
        if (records->mounts[i].id == parent && records->mounts[i].place == POD_PLACE_BINDS) {
            records->mounts[before].id = id;
            records->mounts[before].place = POD_PLACE_BINDS;
            records->mount_count++;
            return;
        }
}

static char *read_mountinfo(void)
{
    POD_AUTO_FD int fd = open("self/mountinfo", O_RDONLY | O_CLOEXEC);
    size_t used = 0, size = 16384;
    char *text = NULL;

    for (ssize_t got = 1; fd >= 0 && got > 0 && size <= MOUNTINFO_MAX; size *= 2) {
        char *bigger = realloc(text, size);
        if (!bigger)
            break;
        text = bigger;
        while (used + 1 < size && (got = read(fd, text + used, size - used - 1)) > 0)
            used += (size_t)got;
    }
    if (text)
        text[used] = '\0';
    return text;
}

void pod_places_settle(struct pod_records *records, int rootfd)
{
    uint64_t ino;

    if (top_of(rootfd, &records->root_dev, &ino, &records->root_mount) || !records->top_count)
        return;
    char *text = read_mountinfo();
    for (char *line = text, *end; line && *line; line = end) {
        end = line + strcspn(line, "\n");
        end += *end ? (*end = '\0', 1) : 0;
        see_line(records, rootfd, line);
    }
    free(text);
}
