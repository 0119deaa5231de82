/* A container frozen in a cgroup of its own (kernel documentation, admin-guide/cgroup-v2.rst). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "health.h"
#include "pause.h"

#define CGROUP2_MAGIC 0x63677270
#define ROUNDS 200
#define FROZEN_MS 3000

/* /proc/PID/cgroup's line of version 2, from the root of our own cgroup namespace. */
static int read_path(pid_t pid, char *path, size_t size)
{
    char name[40], text[8192];

    snprintf(name, sizeof name, "/proc/%ld/cgroup", (long)pid);
    POD_AUTO_FD int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (got <= 0)
        return -1;
    text[got] = '\0';
    const char *at = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
    if (!at)
        return -1;
    at += *at == '\n' ? 4 : 3;
    size_t length = strcspn(at, "\n");
    if (*at != '/' || length >= size || strstr(at, "/../"))
        return -1;
    memcpy(path, at, length);
    path[length] = '\0';
    return 0;
}

static int open_root(void)
{
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    struct statfs fs;

    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (statfs(places[i], &fs) == 0 && fs.f_type == CGROUP2_MAGIC)
            return open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
    return -1;
}

static int put(int folder, const char *file, const char *text)
{
    POD_AUTO_FD int fd = openat(folder, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static void close_folders(struct pod_pause *pause)
{
    pod_cleanup_fd(&pause->cgroup);
    pod_cleanup_fd(&pause->above);
    pause->cgroup = pause->above = -1;
}

int pod_freezer_open(struct pod_pause *pause, const struct pod_plan *plan, pid_t child)
{
    const char *id = pod_plan_str(plan, POD_KEY_ID);
    char path[4200];
    POD_AUTO_FD int root = open_root();

    pause->cgroup = pause->above = -1;
    if (root < 0 || !id || read_path(child, path, sizeof path))
        return 1;
    pause->above = openat(root, path[1] ? path + 1 : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(pause->name, sizeof pause->name, "pod-%.24s", id);
    if (pause->above >= 0 && !faccessat(pause->above, "cgroup.procs", W_OK, AT_EACCESS) &&
        (!mkdirat(pause->above, pause->name, 0755) || errno == EEXIST)) {
        pause->cgroup = openat(pause->above, pause->name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (pause->cgroup >= 0 && !put(pause->cgroup, "cgroup.freeze", "1"))
            return 0;
        unlinkat(pause->above, pause->name, AT_REMOVEDIR);
    }
    close_folders(pause);
    return 1;
}

struct move {
    int cgroup;
    int moved, failed;
    const char *path; /* where its processes are to be */
};

/* One of the threads of PID that still run: PID itself, mostly; another where the first has ended; 0 where all have. */
static pid_t living_thread(pid_t pid)
{
    char path[40];
    pid_t found = 0;

    if (pod_process_lives(pid))
        return pid;
    snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
    DIR *threads = opendir(path);
    if (!threads)
        return 0;
    for (struct dirent *entry; !found && (entry = readdir(threads));) {
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
        if (thread > 0 && pod_process_lives(thread))
            found = thread;
    }
    closedir(threads);
    return found;
}

/* Only what is not there yet counts as moved: when nothing is, everything is frozen. Who has ended is not to be moved, and
 * never would be: the kernel takes its number and does nothing, and the parent that has to ask for it is frozen. */
static int move(void *what, pid_t pid)
{
    struct move *job = what;
    char now[4200], number[24];
    pid_t thread = living_thread(pid);

    if (pid == getpid() || !thread || read_path(thread, now, sizeof now) || !strcmp(now, job->path))
        return 0;
    snprintf(number, sizeof number, "%ld", (long)pid);
    if (!put(job->cgroup, "cgroup.procs", number))
        job->moved++;
    else if (errno != ESRCH)
        job->failed = errno;
    return 0;
}

static int is_frozen(int cgroup)
{
    char text[256];
    POD_AUTO_FD int fd = openat(cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    text[got > 0 ? got : 0] = '\0';
    return strstr(text, "frozen 1") != NULL;
}

int pod_freezer_stop(struct pod_pause *pause, pid_t child, const char *kind, struct pod_err *err)
{
    char path[4300];
    struct move job = {.cgroup = pause->cgroup, .path = path};

    if (read_path(child, path, sizeof path - sizeof pause->name - 1))
        return pod_fail_errno(err, POD_PAUSE, ESRCH, "cgroup");
    size_t length = strlen(path);
    snprintf(path + length, sizeof path - length, "%s%s", length > 1 ? "/" : "", pause->name);
    for (int round = 0; round < ROUNDS; round++) {
        job.moved = job.failed = 0;
        if (pod_pause_each(child, kind, move, &job))
            return pod_fail_errno(err, POD_PAUSE, EPERM, "processes");
        if (!job.moved)
            break;
    }
    if (job.failed || job.moved)
        return pod_fail_errno(err, POD_PAUSE, job.failed ? job.failed : EBUSY, "cgroup.procs");
    for (int waited = 0; waited < FROZEN_MS; waited++) {
        if (is_frozen(pause->cgroup))
            return 0;
        usleep(1000);
    }
    return pod_fail_errno(err, POD_PAUSE, ETIMEDOUT, "cgroup.freeze");
}

/* Each goes back to where it came from, and runs on as it leaves; the folder is empty then. */
int pod_freezer_go_on(struct pod_pause *pause, struct pod_err *err)
{
    char text[4096];
    int failed = 0;

    for (int round = 0; round < ROUNDS; round++) {
        POD_AUTO_FD int fd = openat(pause->cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (got <= 0)
            break;
        text[got] = '\0';
        char *last = strrchr(text, '\n'); /* a number that was cut is none */
        if (last)
            *last = '\0';
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            if (put(pause->above, "cgroup.procs", line) && errno != ESRCH)
                failed = errno;
        if (failed)
            break;
    }
    put(pause->cgroup, "cgroup.freeze", "0"); /* in any case nothing stays frozen */
    unlinkat(pause->above, pause->name, AT_REMOVEDIR);
    close_folders(pause);
    return failed ? pod_fail_errno(err, POD_PAUSE, failed, "cgroup.procs") : 0;
}
