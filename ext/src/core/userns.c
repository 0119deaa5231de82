#include "userns.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* One write(2), as /proc/PID/uid_map wants it. */
static int write_proc(int proc, const char *path, const char *text, size_t length,
                      struct pod_err *err)
{
    POD_AUTO_FD int fd = openat(proc, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, length) != (ssize_t)length)
        return pod_fail(err, POD_IDMAP, path);
    return 0;
}

uint64_t pod_process_start(pid_t pid)
{
    char path[64], text[1024];
    ssize_t got;

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    POD_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (got = read(fd, text, sizeof text - 1)) <= 0)
        return 0;
    text[got] = '\0';
    /* The name in parentheses is the program's own choice: count from the last one. Field 3 follows it. */
    char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

static int pin_name(char *name, size_t size)
{
    return snprintf(name, size, "%ld-%llu", (long)getpid(),
                    (unsigned long long)pod_process_start(getpid()));
}

/* The namespace of a pin's process, or -1 where the pin is stale (then it is removed). */
static int open_pin(int folder, const char *name)
{
    char path[64], *end;
    long pid = strtol(name, &end, 10);

    if (pid <= 0 || *end != '-')
        return -1;
    uint64_t start = strtoull(end + 1, NULL, 10);
    snprintf(path, sizeof path, "/proc/%ld/ns/user", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    /* The start time is read after the open: a pid that was reused in between shows here. */
    if (fd < 0 || pod_process_start((pid_t)pid) != start) {
        if (fd >= 0)
            close(fd);
        unlinkat(folder, name, 0);
        return -1;
    }
    return fd;
}

int pod_userns_pinned(const struct pod_idmap *map)
{
    DIR *folder = map->pins ? opendir(map->pins) : NULL;
    struct dirent *entry;
    int found = -1;

    if (!folder)
        return -1;
    while (found < 0 && (entry = readdir(folder)))
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
            found = open_pin(dirfd(folder), entry->d_name);
    closedir(folder);
    return found;
}

/* Begins newuidmap PID inside outside count …; it is set-uid, so it needs nothing of our environment. */
static pid_t begin_mapper(const char *program, enum pod_step step, pid_t pid,
                          const struct pod_id_extent *extents, uint32_t count, struct pod_err *err)
{
    char numbers[3 * POD_EXTENTS_MAX + 1][12];
    char *argv[3 * POD_EXTENTS_MAX + 3],
        *env[] = {(char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, NULL};
    int arguments = 0;

    if (count > POD_EXTENTS_MAX)
        return pod_fail_errno(err, step, E2BIG, program);
    argv[arguments++] = (char *)(uintptr_t)program;
    snprintf(numbers[0], sizeof numbers[0], "%ld", (long)pid);
    argv[arguments++] = numbers[0];
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t values[3] = {extents[i].inside, extents[i].outside, extents[i].count};
        for (int j = 0; j < 3; j++) {
            snprintf(numbers[1 + 3 * i + j], sizeof numbers[0], "%u", values[j]);
            argv[arguments++] = numbers[1 + 3 * i + j];
        }
    }
    argv[arguments] = NULL;
    pid_t child = vfork();
    if (child < 0)
        return pod_fail(err, POD_FORK, program);
    if (child == 0) {
        execve(program, argv, env);
        _exit(127);
    }
    return child;
}

static int end_mapper(pid_t mapper, const char *program, enum pod_step step, struct pod_err *err)
{
    int status;

    while (waitpid(mapper, &status, 0) < 0)
        if (errno != EINTR)
            return pod_fail(err, step, program);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return pod_fail_errno(err, step, status == 127 << 8 ? ENOENT : EPERM, program);
    return 0;
}

/* Both at once: most of what each takes is the start of a set-uid program. Where both fail newuidmap's failure is told,
 * for it is the last that is looked at. */
static int map_ids(const struct pod_idmap *map, pid_t child, struct pod_err *err)
{
    pid_t uids = begin_mapper(map->newuidmap, POD_NEWUIDMAP, child, map->uid, map->uids, err);
    pid_t gids = -1;
    int failed = 1;

    if (uids >= 0)
        gids = begin_mapper(map->newgidmap, POD_NEWGIDMAP, child, map->gid, map->gids, err);
    if (gids >= 0)
        failed = end_mapper(gids, map->newgidmap, POD_NEWGIDMAP, err) < 0;
    if (uids >= 0 && end_mapper(uids, map->newuidmap, POD_NEWUIDMAP, err) < 0)
        failed = 1;
    return failed ? -1 : 0;
}

static pid_t clone_userns(int flags)
{
    /* Raw: glibc's wrapper wants a stack. The child shares nothing, as after fork(2). */
    return (pid_t)syscall(SYS_clone, (unsigned long)(flags | SIGCHLD), 0, 0, 0, 0);
}

int pod_userns_open(const struct pod_idmap *map, struct pod_err *err)
{
    char path[64], byte;
    int wait_pipe[2], result = -1;
    int found = pod_userns_pinned(map);

    if (found >= 0)
        return found;
    if (pipe2(wait_pipe, O_CLOEXEC))
        return pod_fail(err, POD_USERNS, NULL);
    pid_t child = clone_userns(CLONE_NEWUSER);
    if (child == 0) {
        /* In the new namespace, with no id mapped yet: only wait until the parent opened it. */
        close(wait_pipe[1]);
        while (read(wait_pipe[0], &byte, 1) < 0 && errno == EINTR)
            ;
        _exit(0);
    }
    close(wait_pipe[0]);
    if (child < 0) {
        pod_fail(err, POD_USERNS, NULL);
        close(wait_pipe[1]);
        return -1;
    }
    if (!map_ids(map, child, err)) {
        snprintf(path, sizeof path, "/proc/%ld/ns/user", (long)child);
        result = open(path, O_RDONLY | O_CLOEXEC);
        if (result < 0)
            pod_fail(err, POD_USERNS, path);
    }
    close(wait_pipe[1]);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    return result;
}

int pod_userns_join(int nsfd, struct pod_err *err)
{
    if (setns(nsfd, CLONE_NEWUSER))
        return pod_fail(err, POD_SETNS, "user");
    return setgroups(0, NULL) ? pod_fail(err, POD_GROUPS, NULL) : 0;
}

int pod_userns_enter(int nsfd, struct pod_err *err)
{
    if (pod_userns_join(nsfd, err))
        return -1;
    if (setresgid(0, 0, 0))
        return pod_fail(err, POD_SETGID, "0");
    if (setresuid(0, 0, 0))
        return pod_fail(err, POD_SETUID, "0");
    return 0;
}

int pod_userns_pin(const struct pod_idmap *map, struct pod_err *err)
{
    char name[64];

    if (!map->pins)
        return 0;
    pin_name(name, sizeof name);
    POD_AUTO_FD int folder = open(map->pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder < 0)
        return pod_fail(err, POD_USERNS, map->pins);
    POD_AUTO_FD int fd = openat(folder, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? pod_fail(err, POD_USERNS, map->pins) : 0;
}

void pod_userns_unpin(const struct pod_idmap *map)
{
    char name[64];

    if (!map->pins)
        return;
    pin_name(name, sizeof name);
    POD_AUTO_FD int folder = open(map->pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder >= 0)
        unlinkat(folder, name, 0);
}

static size_t format_map(char *text, size_t size, const struct pod_id_extent *extents,
                         uint32_t count, int identity)
{
    size_t used = 0;
    for (uint32_t i = 0; i < count && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%u %u %u\n", extents[i].inside,
                             identity ? extents[i].inside : extents[i].outside, extents[i].count);
    return used;
}

int pod_userns_write_maps(pid_t pid, const struct pod_idmap *map, struct pod_err *err)
{
    char path[64], text[POD_EXTENTS_MAX * 36];
    int identity = map->newuidmap != NULL;

    if (map->uids > POD_EXTENTS_MAX || map->gids > POD_EXTENTS_MAX)
        return pod_fail_errno(err, POD_IDMAP, E2BIG, NULL);
    if (!identity) {
        snprintf(path, sizeof path, "/proc/%ld/setgroups", (long)pid);
        if (write_proc(AT_FDCWD, path, "deny", 4, err))
            return -1;
    }
    snprintf(path, sizeof path, "/proc/%ld/uid_map", (long)pid);
    size_t length = format_map(text, sizeof text, map->uid, map->uids, identity);
    if (write_proc(AT_FDCWD, path, text, length, err))
        return -1;
    snprintf(path, sizeof path, "/proc/%ld/gid_map", (long)pid);
    length = format_map(text, sizeof text, map->gid, map->gids, identity);
    return write_proc(AT_FDCWD, path, text, length, err);
}

int pod_userns_unshare_single(int proc, uid_t inside_uid, gid_t inside_gid, struct pod_err *err)
{
    char text[40];
    uid_t uid = geteuid();
    gid_t gid = getegid();

    if (unshare(CLONE_NEWUSER))
        return pod_fail(err, POD_USERNS, NULL);
    if (write_proc(proc, "self/setgroups", "deny", 4, err))
        return -1;
    size_t length = (size_t)snprintf(text, sizeof text, "%u %u 1\n", inside_uid, uid);
    if (write_proc(proc, "self/uid_map", text, length, err))
        return -1;
    length = (size_t)snprintf(text, sizeof text, "%u %u 1\n", inside_gid, gid);
    return write_proc(proc, "self/gid_map", text, length, err);
}
