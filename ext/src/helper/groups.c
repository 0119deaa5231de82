#include "groups.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "text.h"

#define CGROUP2_MAGIC 0x63677270
#define CGROUP_MAGIC 0x27e0eb
#define ROUNDS 200
#define CLONE_INTO 0x200000000ULL /* CLONE_INTO_CGROUP */
#define CLONE3 435

static void set_name(char *name, size_t size, const struct pod_plan *plan)
{
    const char *id = pod_plan_str(plan, POD_KEY_ID);

    snprintf(name, size, "pod-%.24s", id ? id : "");
}

/* Nothing but a control group is ever made or removed, whatever a plan says. */
static int open_above(const char *path, int *unified, struct pod_err *err)
{
    struct statfs fs;
    POD_AUTO_FD int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 || fstatfs(fd, &fs))
        return pod_fail(err, POD_CGROUP, path);
    if (fs.f_type != CGROUP2_MAGIC && fs.f_type != CGROUP_MAGIC)
        return pod_fail_errno(err, POD_CGROUP, ENOTDIR, path);
    *unified = fs.f_type == CGROUP2_MAGIC;
    return pod_steal_fd(&fd);
}

static int put(int folder, const char *file, const char *text)
{
    POD_AUTO_FD int fd = openat(folder, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static ssize_t get(int folder, const char *file, char *text, size_t size)
{
    POD_AUTO_FD int fd = openat(folder, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);

    text[got > 0 ? got : 0] = '\0';
    return got;
}

/* --- making ---------------------------------------------------------------------------------------------------- */

static int keep_record(const struct pod_groups *groups, const struct pod_plan *plan, int dirfd,
                       struct pod_err *err)
{
    const char *path = pod_plan_str(plan, POD_KEY_GROUPS_IN);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_GROUPS_IN);
    struct pod_text text = {0};

    for (uint32_t i = 0; i < count; i++, path += strlen(path) + 1) {
        pod_text_add_words(&text, path);
        pod_text_add_words(&text, "/");
        pod_text_add_words(&text, groups->name);
        pod_text_add_words(&text, "\n");
    }
    POD_AUTO_FD int fd = openat(dirfd, POD_GROUPS_RECORD,
                                O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int failed = text.failed || fd < 0 || write(fd, text.bytes, text.used) != (ssize_t)text.used;
    if (failed)
        pod_fail(err, POD_CGROUP, POD_GROUPS_RECORD);
    free(text.bytes);
    return failed ? -1 : 0;
}

static int make_one(struct pod_groups *groups, const char *path, struct pod_err *err)
{
    int above = open_above(path, &groups->unified, err);

    if (above < 0)
        return -1;
    /* One of this name was left by a supervisor that was killed: with limits of then, unless somebody is in there yet. */
    unlinkat(above, groups->name, AT_REMOVEDIR);
    if (mkdirat(above, groups->name, 0755) && errno != EEXIST) {
        pod_fail(err, POD_CGROUP, path);
        close(above);
        return -1;
    }
    int folder = openat(above, groups->name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    groups->above[groups->count] = above;
    groups->folder[groups->count++] = folder;
    return folder < 0 ? pod_fail(err, POD_CGROUP, path) : 0;
}

/* GROUP_FILES: which folder ("0"), the file, its value; again. "-memory.swap.max": absent on some kernels. */
static int write_limits(const struct pod_groups *groups, const struct pod_plan *plan,
                        struct pod_err *err)
{
    const char *which = pod_plan_str(plan, POD_KEY_GROUP_FILES);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_GROUP_FILES);

    for (uint32_t i = 0; i + 2 < count; i += 3) {
        const char *file = which + strlen(which) + 1, *value = file + strlen(file) + 1;
        int optional = file[0] == '-';
        long index = strtol(which, NULL, 10);
        if (index < 0 || index >= groups->count || strchr(file, '/'))
            return pod_fail_errno(err, POD_CGROUP, EINVAL, file);
        if (put(groups->folder[index], file + optional, value) && !optional)
            return pod_fail(err, POD_LIMIT, file);
        which = value + strlen(value) + 1;
    }
    return 0;
}

/* Version 2 wakes who polls memory.events; version 1 counts into an eventfd (admin-guide/cgroup-v1/memory.rst, 9). */
static void watch_memory(struct pod_groups *groups)
{
    char text[64];

    for (int i = 0; i < groups->count && groups->events < 0; i++) {
        groups->events =
            openat(groups->folder[i], "memory.events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (groups->events >= 0)
            break;
        POD_AUTO_FD int control =
            openat(groups->folder[i], "memory.oom_control", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        POD_AUTO_FD int counter = control < 0 ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (counter < 0)
            continue;
        snprintf(text, sizeof text, "%d %d", counter, control);
        if (put(groups->folder[i], "cgroup.event_control", text))
            continue;
        groups->told = 1;
        groups->events = pod_steal_fd(&counter);
    }
}

int pod_groups_make(struct pod_groups *groups, const struct pod_plan *plan, int dirfd,
                    struct pod_err *err)
{
    const char *path = pod_plan_str(plan, POD_KEY_GROUPS_IN);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_GROUPS_IN);

    if (groups->count || !count)
        return 0;
    if (count > POD_CGROUPS_MAX || dirfd < 0)
        return pod_fail_errno(err, POD_CGROUP, EINVAL, path);
    groups->events = -1;
    set_name(groups->name, sizeof groups->name, plan);
    if (keep_record(groups, plan, dirfd, err))
        return -1;
    for (uint32_t i = 0; i < count; i++, path += strlen(path) + 1)
        if (make_one(groups, path, err))
            return -1;
    if (write_limits(groups, plan, err))
        return -1;
    watch_memory(groups);
    return 0;
}

/* --- going in -------------------------------------------------------------------------------------------------- */

/* This process, which has one thread. "tasks" of version 1 takes a thread that moves itself without waiting for anybody. */
static int go_in(int folder, int unified)
{
    return unified || put(folder, "tasks", "0") ? put(folder, "cgroup.procs", "0") : 0;
}

static pid_t clone_into(int folder, uint64_t namespaces)
{
    /* struct clone_args of Linux 5.7, for C libraries that have none. */
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
            set_tid_size, cgroup;
    } arguments = {.flags = namespaces | CLONE_INTO, .exit_signal = SIGCHLD};

    arguments.cgroup = (uint64_t)folder;
    return (pid_t)syscall(CLONE3, &arguments, sizeof arguments);
}

pid_t pod_groups_clone(struct pod_groups *groups, uint64_t namespaces, int sync)
{
    pid_t child = -1;
    struct pod_err err;

    groups->inside = 0;
    if (groups->count == 1 && groups->unified)
        child = clone_into(groups->folder[0], namespaces);
    if (child >= 0) {
        groups->inside = 1;
        return child;
    }
    groups->inside = groups->count && !groups->unified;
    child = (pid_t)syscall(SYS_clone, (unsigned long)(namespaces | SIGCHLD), 0, 0, 0, 0);
    for (int i = 0; child == 0 && groups->inside && i < groups->count; i++)
        if (go_in(groups->folder[i], 0)) {
            pod_fail(&err, POD_CGROUP, "tasks");
            ssize_t ignored = send(sync, &err, sizeof err, MSG_NOSIGNAL);
            (void)ignored;
            _exit(125);
        }
    return child;
}

int pod_groups_add(const struct pod_groups *groups, pid_t pid, struct pod_err *err)
{
    char number[24];

    snprintf(number, sizeof number, "%ld", (long)pid);
    for (int i = 0; !groups->inside && i < groups->count; i++)
        if (put(groups->folder[i], "cgroup.procs", number))
            return pod_fail(err, POD_CGROUP, "cgroup.procs");
    return 0;
}

int pod_groups_enter(const struct pod_plan *plan, struct pod_err *err)
{
    const char *path = pod_plan_str(plan, POD_KEY_GROUPS_IN);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_GROUPS_IN);
    char name[40];

    set_name(name, sizeof name, plan);
    for (uint32_t i = 0; i < count; i++, path += strlen(path) + 1) {
        int unified;
        POD_AUTO_FD int above = open_above(path, &unified, err);
        if (above < 0)
            return -1;
        POD_AUTO_FD int folder = openat(above, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (folder < 0 || go_in(folder, unified))
            return pod_fail(err, POD_CGROUP, path);
    }
    return 0;
}

/* --- what the kernel says -------------------------------------------------------------------------------------- */

uint64_t pod_groups_killed(struct pod_groups *groups)
{
    static const char *const files[] = {"memory.events", "memory.oom_control"};
    char text[512];
    uint64_t count = 0, ignored;

    if (groups->told && read(groups->events, &ignored, sizeof ignored) < 0)
        ignored = 0;
    for (int i = 0; i < groups->count; i++)
        for (int which = 0; which < 2; which++) {
            const char *line = get(groups->folder[i], files[which], text, sizeof text) > 0
                                   ? strstr(text, "oom_kill ")
                                   : NULL;
            if (line)
                count += strtoull(line + strlen("oom_kill "), NULL, 10);
        }
    uint64_t more = count > groups->kills ? count - groups->kills : 0;
    groups->kills = count;
    return more;
}

/* --- the end --------------------------------------------------------------------------------------------------- */

static void kill_all(int folder)
{
    char text[4096];

    if (get(folder, "cgroup.procs", text, sizeof text) <= 0)
        return;
    char *last = strrchr(text, '\n'); /* a number that was cut is none */
    if (last)
        *last = '\0';
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        pid_t pid = (pid_t)strtol(line, NULL, 10);
        if (pid > 0 && pid != getpid()) /* 0: of a pid namespace that is not ours */
            kill(pid, SIGKILL);
    }
}

int pod_groups_end(struct pod_groups *groups, int dirfd)
{
    int left = 0;

    for (int i = 0; i < groups->count; i++) {
        int gone = 0;
        for (int round = 0; !gone && round < ROUNDS; round++) {
            gone = !unlinkat(groups->above[i], groups->name, AT_REMOVEDIR) || errno == ENOENT;
            if (!gone && groups->folder[i] >= 0)
                kill_all(groups->folder[i]);
            if (!gone)
                usleep(round < 20 ? 200 : 5000);
        }
        left += !gone;
        pod_cleanup_fd(&groups->folder[i]);
        pod_cleanup_fd(&groups->above[i]);
    }
    if (groups->count && !left && dirfd >= 0)
        unlinkat(dirfd, POD_GROUPS_RECORD, 0);
    if (groups->count)
        pod_cleanup_fd(&groups->events);
    groups->count = 0;
    return left;
}
