#include "view.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../core/confine.h"
#include "../core/mount.h"
#include "../core/mount_api.h"
#include "../core/userns.h"

#ifndef NS_GET_USERNS
#define NS_GET_USERNS _IO(0xb7, 0x1)
#endif

static int is_single(const struct pod_plan *plan)
{
    return (pod_plan_u64(plan, POD_KEY_FLAGS) & POD_PLAN_SINGLE_ID) != 0;
}

/* Opening made the file "owners" in FOLDER: a container without records is faster, so who only looks takes it away again.
 * Nobody else can have it while we have it alone, and who opened it before finds out that it is another's (sidecar.c). */
static void forget_file(int folder, int fd)
{
    struct stat st;

    if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &st) && !st.st_size)
        unlinkat(folder, "owners", 0);
}

/* Where the host's paths are still there. */
static int begin_records(const struct pod_plan *plan, unsigned flags, struct pod_view *view,
                         struct pod_err *err)
{
    const char *own = pod_plan_str(plan, POD_KEY_DIR);
    const char *run = pod_plan_str(plan, POD_KEY_SOCKET_DIR);

    view->page.fd = -1;
    view->page.gathered = NULL;
    if (!pod_plan_has(plan, POD_KEY_RECORDS) || !own)
        return 0;
    POD_AUTO_FD int folder = open(own, O_PATH | O_DIRECTORY | O_CLOEXEC);
    POD_AUTO_FD int socket = run ? open(run, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder < 0)
        return pod_fail(err, POD_OPEN, own);
    int had = !faccessat(folder, "owners", F_OK, AT_SYMLINK_NOFOLLOW);
    pod_records_begin(&view->records, plan, folder, NULL);
    if (!had && !(flags & POD_VIEW_WRITES))
        forget_file(folder, view->records.sidecars[0].fd);
    /* What programs are told without asking: only now, for its rows are there already. */
    if (socket >= 0)
        view->page.fd = openat(socket, "shown", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    view->records.page = &view->page;
    view->has_records = 1;
    return 0;
}

/* ---- running ----------------------------------------------------- */

static int join(const struct pod_plan *plan, unsigned flags, struct pod_view *view,
                struct pod_err *err)
{
    pid_t pid = (pid_t)pod_plan_u64(plan, POD_KEY_PID);
    char path[64];

    snprintf(path, sizeof path, "%ld/ns/mnt", (long)pid);
    POD_AUTO_FD int mounts = openat(view->proc, path, O_RDONLY | O_CLOEXEC);
    POD_AUTO_FD int user = mounts < 0 ? -1 : ioctl(mounts, NS_GET_USERNS);
    if (mounts < 0 || user < 0)
        return pod_fail(err, POD_SETNS, path);
    /* After the opens: had the pid been reused before them, the start time would differ now. */
    if (pod_process_start(pid) != pod_plan_u64(plan, POD_KEY_PID_START))
        return pod_fail_errno(err, POD_SETNS, ESRCH, "process");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || setns(user, CLONE_NEWUSER))
        return pod_fail(err, POD_SETNS, "user");
    if (!is_single(plan) && pod_confine_ids(0, 0, NULL, 0, err) < 0)
        return -1;
    if (begin_records(plan, flags, view, err) < 0)
        return -1;
    if (setns(mounts, CLONE_NEWNS))
        return pod_fail(err, POD_SETNS, "mnt");
    view->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return view->root < 0 ? pod_fail(err, POD_OPEN, "/") : 0;
}

/* The root's own mount, once more and without those on it. */
static void uncover(struct pod_view *view)
{
    int tree = (int)syscall(SYS_open_tree, view->root, "",
                            POD_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);

    view->whole = tree < 0;
    if (tree < 0)
        return;
    close(view->root);
    view->root = tree;
}

/* ---- stopped ----------------------------------------------------- */

int pod_view_own_namespaces(const struct pod_plan *plan, int proc, struct pod_err *err)
{
    uint32_t uids, gids;
    const struct pod_id_extent *uid = pod_plan_blob(plan, POD_KEY_UID_MAP, &uids);
    const struct pod_id_extent *gid = pod_plan_blob(plan, POD_KEY_GID_MAP, &gids);
    struct pod_idmap map = {uid,
                            gid,
                            uids / (uint32_t)sizeof *uid,
                            gids / (uint32_t)sizeof *gid,
                            pod_plan_str(plan, POD_KEY_NEWUIDMAP),
                            pod_plan_str(plan, POD_KEY_NEWGIDMAP),
                            pod_plan_str(plan, POD_KEY_PINS)};

    if (!map.uids || !map.gids)
        return pod_fail_errno(err, POD_PLAN, EINVAL, "UID_MAP");
    if (is_single(plan)) {
        if (pod_userns_unshare_single(proc, uid->inside, gid->inside, err) < 0)
            return -1;
    } else {
        POD_AUTO_FD int space = pod_userns_open(&map, err);
        if (space < 0 || pod_userns_enter(space, err) < 0)
            return -1;
    }
    if (unshare(CLONE_NEWNS))
        return pod_fail(err, POD_CLONE, "mnt");
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ? pod_fail(err, POD_SETNS, "dumpable") : 0;
}

/* A volatile overlay that was mounted before refuses its work folder until this mark is gone, which only the root of the
 * map may see (kernel documentation, overlayfs, "Volatile mount"). The caller's lock says that it is mounted nowhere. */
static void forget_volatile(const struct pod_plan *plan)
{
    static const char *const marks[] = {"work/incompat/volatile/dirty", "work/incompat/volatile",
                                        "work/incompat"};
    const char *work = pod_plan_str(plan, POD_KEY_WORK);
    POD_AUTO_FD int fd = work ? open(work, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

    for (size_t i = 0; fd >= 0 && i < sizeof marks / sizeof *marks; i++)
        unlinkat(fd, marks[i], i ? AT_REMOVEDIR : 0);
}

static int mount_own(const struct pod_plan *plan, unsigned flags, struct pod_view *view,
                     struct pod_err *err)
{
    if (pod_view_own_namespaces(plan, view->proc, err) < 0)
        return -1;
    forget_volatile(plan);
    view->root = pod_mount_root(plan, err);
    if (view->root < 0)
        return -1;
    if (pod_plan_has(plan, POD_KEY_RECORDS) && is_single(plan)
            ? pod_records_mount_all(plan, view->proc, view->root, err)
            : pod_mount_all(plan, view->root, NULL, err))
        return -1;
    if (begin_records(plan, flags, view, err) < 0)
        return -1;
    return pod_mount_pivot(view->root, err);
}

int pod_view_open(const struct pod_plan *plan, unsigned flags, struct pod_view *view,
                  struct pod_err *err)
{
    memset(view, 0, sizeof *view);
    view->root = -1;
    view->mapped = !is_single(plan);
    view->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (view->proc < 0 || fchdir(view->proc))
        return pod_fail(err, POD_OPEN, "/proc");
    umask(0);
    if (pod_plan_has(plan, POD_KEY_PID) ? join(plan, flags, view, err)
                                        : mount_own(plan, flags, view, err))
        return -1;
    /* Changes of ids and namespaces cleared the one and moved the other. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (fchdir(view->proc))
        return pod_fail(err, POD_CHDIR, "/proc");
    if (view->has_records)
        pod_records_settle(&view->records, view->root);
    if (flags & POD_VIEW_BARE && pod_plan_has(plan, POD_KEY_PID))
        uncover(view);
    return 0;
}
