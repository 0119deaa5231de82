/* Bind mounts and volumes: opened on the host's side, a volume given the image's content at first, mounted inside the root. */
#define _GNU_SOURCE 1

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "beneath.h"
#include "copytree.h"
#include "mount_parts.h"

#define CONTENT "/_data"

/* How often it is looked whether another start has copied a volume's first content; how long that may change nothing on the
 * disk, and how long it may take. */
#define PAUSE_MS 20
#define IDLE_MS 20000
#define WAIT_MS 1800000

/* STATX_MNT_ID and where it stands (linux/stat.h, 5.8); musl's header has neither. */
#define STATX_MOUNT 0x1000u
#define MOUNT_ID_AT 144

/* The rights of the map's root reach no folder whose group the map lacks; the caller's own do. Whose uid the caller's is in here
 * the container's folder tells. */
static int open_as_caller(const struct pod_plan *plan, const char *path, int flags)
{
    const char *own = pod_plan_str(plan, POD_KEY_DIR);
    struct stat st;

    if (!own || stat(own, &st)) {
        errno = EACCES;
        return -1;
    }
    int gid = setfsgid(st.st_gid), uid = setfsuid(st.st_uid);
    int fd = open(path, flags), saved = errno;
    setfsuid((uid_t)uid);
    setfsgid((gid_t)gid);
    errno = saved;
    return fd;
}

int pod_mount_open_source(const struct pod_plan *plan, const struct pod_mount *m,
                          struct pod_err *err)
{
    const char *source = pod_plan_string(plan, m->source), *below = pod_plan_string(plan, m->data);
    /* A volume's folder is ours and no link, whoever put one there. */
    int flags = O_PATH | O_CLOEXEC | (m->kind == POD_MOUNT_VOLUME ? O_NOFOLLOW | O_DIRECTORY : 0);
    int fd = open(source, flags);

    if (fd < 0 && errno == EACCES)
        fd = open_as_caller(plan, source, flags);
    if (fd < 0)
        return pod_fail(err, POD_BIND, source);
    if (!*below)
        return fd;
    int inner = pod_open_within(fd, below, O_PATH, err);
    if (inner < 0)
        err->step = POD_SUBPATH;
    close(fd);
    return inner;
}

static int bind_opened(const struct pod_plan *plan, const struct pod_mount *m, int rootfd, int from,
                       struct pod_err *err)
{
    const char *target = pod_plan_string(plan, m->target);
    struct stat st, there;

    if (fstat(from, &st))
        return pod_fail(err, POD_BIND, target);
    POD_AUTO_FD int to = S_ISDIR(st.st_mode) ? pod_mount_target_directory(m, rootfd, target, err)
                                             : pod_mount_target_file(rootfd, target, err);
    if (to < 0 || pod_mount_check_place(to, target, err))
        return -1;
    if (fstat(to, &there) || S_ISDIR(st.st_mode) != S_ISDIR(there.st_mode))
        return pod_fail_errno(err, POD_BIND, ENOTDIR, target);
    int depth = m->bits & POD_MOUNT_WHOLE_RDONLY ? POD_BIND_WHOLE
                : m->bits & POD_MOUNT_REC_RDONLY ? POD_BIND_BELOW
                                                 : POD_BIND_TOP;
    return pod_mount_bind(from, to, m->flags, depth, target, err);
}

int pod_mount_do_bind(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                      struct pod_err *err)
{
    POD_AUTO_FD int from = pod_mount_open_source(plan, m, err);
    return from < 0 ? -1 : bind_opened(plan, m, rootfd, from, err);
}

static int is_empty_directory(int fd)
{
    struct dirent *entry;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), empty = 1;
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;

    if (!dir) {
        pod_cleanup_fd(&copy);
        return 0;
    }
    while (empty && (entry = readdir(dir)))
        empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
    closedir(dir);
    return empty;
}

/* Whether FD lies in the image's own tree, not in something mounted there: copying /proc up would never end. */
static int of_image(int rootfd, int fd)
{
    struct statx root, st;
    unsigned mask = STATX_INO | STATX_MOUNT;

    /* By number: the extension is built for glibc 2.17, which has no statx(3). */
    if (syscall(SYS_statx, rootfd, "", AT_EMPTY_PATH, mask, &root) ||
        syscall(SYS_statx, fd, "", AT_EMPTY_PATH, mask, &st) ||
        root.stx_dev_major != st.stx_dev_major || root.stx_dev_minor != st.stx_dev_minor)
        return 0;
    return !(root.stx_mask & st.stx_mask & STATX_MOUNT) ||
           !memcmp((const char *)&root + MOUNT_ID_AT, (const char *)&st + MOUNT_ID_AT, 8);
}

/* The folder of the volume whose content SOURCE is, or -1: content that lies elsewhere (a volume's device) has none. */
static int volume_folder(const char *source)
{
    char path[4096];
    size_t length = strlen(source), end = length - strlen(CONTENT);

    if (length <= strlen(CONTENT) || length >= sizeof path || strcmp(source + end, CONTENT))
        return -1;
    memcpy(path, source, end);
    path[end] = '\0';
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* "filling" for the whole volume, and for a path below it a name of its own. */
static void filling_name(char *name, size_t size, const char *below)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

    for (const char *at = below; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
    snprintf(name, size, *below ? "filling-%016llx" : "filling", (unsigned long long)hash);
}

struct filling {
    const struct pod_mount_watch *watch; /* or NULL */
    int rootfd;
    int content; /* the image's folder */
    int volume;
    int has_run;
};

static int copy_up(const struct filling *f, struct pod_err *err)
{
    if (pod_copytree(f->content, f->volume, POD_COPY_OWNERS, err))
        return -1;
    return f->watch ? f->watch->filled(f->watch->context, f->rootfd, f->content, f->volume, err)
                    : 0;
}

/* Waits for the lock of who copies, as long as that goes on: a copier that was stopped (SIGSTOP), or whose disk hangs, changes
 * neither the free blocks nor the inodes. On a busy disk others do, so there is an end to it there, too. */
static int await_copier(int mark, int volume)
{
    const struct timespec pause = {0, PAUSE_MS * 1000000};
    struct statfs before = {0}, now;

    for (unsigned idle = 0, all = 0; idle < IDLE_MS && all < WAIT_MS; all += PAUSE_MS) {
        if (flock(mark, LOCK_EX | LOCK_NB) == 0)
            return 0;
        /* A file system without locks (NFS and Lustre as they may be mounted): two that begin at once copy the same. */
        if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -1;
        idle += PAUSE_MS;
        if (fstatfs(volume, &now) == 0 &&
            (now.f_bfree != before.f_bfree || now.f_ffree != before.f_ffree)) {
            before = now;
            idle = 0;
        }
        nanosleep(&pause, NULL);
    }
    errno = EBUSY;
    return -1;
}

/* Of two containers that begin at once one copies and the other waits. The file NAME in FOLDER has a byte while a copy is under way: who
 * finds that, with nobody holding its lock, finishes what a killed start began. */
static int fill_once(const struct filling *f, int folder, const char *name, struct pod_err *err)
{
    struct stat st;

    if ((f->has_run || !is_empty_directory(f->volume)) &&
        fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW))
        return 0;
    POD_AUTO_FD int mark = openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (mark < 0 || await_copier(mark, f->volume) || fstat(mark, &st))
        return pod_fail(err, POD_COPY, name);
    if (st.st_nlink == 0) /* somebody else has done it meanwhile */
        return 0;
    if (st.st_size || is_empty_directory(f->volume)) {
        if (!st.st_size && write(mark, "1", 1) != 1)
            return pod_fail(err, POD_COPY, name);
        if (copy_up(f, err))
            return -1;
    }
    return unlinkat(folder, name, 0) ? pod_fail(err, POD_COPY, name) : 0;
}

/* Whether the container has run before: what it has removed from a volume since does not come back. state.json is the
 * supervisor's own; before a first start there is none, or one of a start that failed (year 1). */
static int has_run(const struct pod_plan *plan)
{
    static const char member[] = "\"startedAt\":\"";
    const char *own = pod_plan_str(plan, POD_KEY_DIR);
    char text[4096];
    POD_AUTO_FD int folder = own ? open(own, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    POD_AUTO_FD int file =
        folder < 0 ? -1 : openat(folder, "state.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);

    text[length > 0 ? length : 0] = '\0';
    const char *at = strstr(text, member);
    return at && strncmp(at + strlen(member), "0001", 4) != 0;
}

static int fill(const struct pod_plan *plan, const struct pod_mount *m, int from, struct filling *f,
                struct pod_err *err)
{
    const char *target = pod_plan_string(plan, m->target);
    struct pod_err ignored;
    char name[40];
    struct stat st;

    if (fstat(from, &st) || !S_ISDIR(st.st_mode))
        return 0;
    POD_AUTO_FD int content =
        pod_open_in_root(f->rootfd, target, O_RDONLY | O_DIRECTORY, 0, &ignored);
    if (content < 0 || !of_image(f->rootfd, content))
        return 0;
    POD_AUTO_FD int volume = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (volume < 0)
        return pod_fail(err, POD_BIND, pod_plan_string(plan, m->source));
    f->content = content;
    f->volume = volume;
    f->has_run = has_run(plan);
    POD_AUTO_FD int folder = volume_folder(pod_plan_string(plan, m->source));
    if (folder < 0)
        return !f->has_run && is_empty_directory(volume) ? copy_up(f, err) : 0;
    filling_name(name, sizeof name, pod_plan_string(plan, m->data));
    return fill_once(f, folder, name, err);
}

int pod_mount_do_volume(const struct pod_plan *plan, const struct pod_mount *m, int rootfd,
                        const struct pod_mount_watch *watch, struct pod_err *err)
{
    struct filling f = {.watch = watch, .rootfd = rootfd};
    POD_AUTO_FD int from = pod_mount_open_source(plan, m, err);

    if (from < 0 || (!(m->bits & POD_MOUNT_NOCOPY) && fill(plan, m, from, &f, err)))
        return -1;
    return bind_opened(plan, m, rootfd, from, err);
}
