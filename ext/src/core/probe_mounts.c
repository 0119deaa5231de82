/* Trials of file systems: what may be mounted, what an overlay does, what a disk can hold. */
#include "probe_trials.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "mount_api.h"

static int mount_at(const char *type, const char *target, unsigned long flags, const char *data,
                    struct pod_err *err)
{
    if (mount(type, target, type, MS_NOSUID | MS_NODEV | MS_NOEXEC | flags, data))
        return pod_fail(err, POD_MOUNT, type);
    return 0;
}

static int try_mount(const char *scratch, struct pod_err *err)
{
    return mount_at("tmpfs", scratch, 0, "size=64k", err);
}

/* A procfs of one's own needs a pid namespace of one's own, so a child in it; the kernel refuses
 * where the visible /proc has something mounted over it (nested containers): mount_too_revealing().
 */
static int try_proc(const char *scratch, struct pod_err *err)
{
    int status;
    pid_t child = fork();

    if (child < 0)
        return pod_fail(err, POD_FORK, NULL);
    if (child == 0)
        _exit(mount("proc", scratch, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) ? errno : 0);
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return pod_fail_errno(err, POD_MOUNT, EINTR, "proc");
    return WEXITSTATUS(status) ? pod_fail_errno(err, POD_MOUNT, WEXITSTATUS(status), "proc") : 0;
}

static int try_sysfs(const char *scratch, struct pod_err *err)
{
    return mount_at("sysfs", scratch, MS_RDONLY, NULL, err);
}

static int try_devpts(const char *scratch, struct pod_err *err)
{
    if (mount("devpts", scratch, "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=0620"))
        return pod_fail(err, POD_MOUNT, "devpts");
    POD_AUTO_FD int folder = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    POD_AUTO_FD int master =
        folder < 0 ? -1 : openat(folder, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    return master < 0 ? pod_fail(err, POD_PTY, "ptmx") : 0;
}

static int try_mqueue(const char *scratch, struct pod_err *err)
{
    return mount_at("mqueue", scratch, 0, NULL, err);
}

static int make_file(const char *path, struct pod_err *err)
{
    POD_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    return fd < 0 || write(fd, "x", 1) != 1 ? pod_fail(err, POD_OPEN, path) : 0;
}

static int make_folders(const char *const *names, struct pod_err *err)
{
    for (; *names; names++)
        if (mkdir(*names, 0700))
            return pod_fail(err, POD_MKDIR, *names);
    return 0;
}

static int mount_overlay(const char *options, struct pod_err *err)
{
    /* Relative names: SCRATCH may hold commas and colons. */
    return mount("overlay", "merged", "overlay", 0, options) ? pod_fail(err, POD_OVERLAY, NULL) : 0;
}

/* An overlay that does what containers do to it. Mounting is not proof: without userxattr (5.10)
 * and with an upper on tmpfs (6.1) it mounts, and removing a lower folder then gives EIO. */
static int use_overlay(const char *options, struct pod_err *err)
{
    static const char *const folders[] = {"lower",       "lower/kept",    "lower/gone",
                                          "lower/again", "lower/again/x", "upper",
                                          "work",        "merged",        NULL};

    if (make_folders(folders, err) || make_file("lower/kept/file", err) ||
        make_file("lower/gone/file", err) || mount_overlay(options, err))
        return -1;
    if (make_file("merged/new", err) || rename("merged/new", "merged/newer"))
        return pod_fail(err, POD_RENAME, "a new file in the overlay");
    if (chmod("merged/kept/file", 0640))
        return pod_fail(err, POD_CHMOD, "a lower file in the overlay");
    if (rename("merged/kept/file", "merged/kept/moved"))
        return pod_fail(err, POD_RENAME, "a lower file in the overlay");
    if (unlink("merged/gone/file") || rmdir("merged/gone"))
        return pod_fail(err, POD_UNLINK, "a lower folder in the overlay");
    /* Removed and made again: an opaque folder, through which the lower "x" must not show. */
    if (rmdir("merged/again/x") || rmdir("merged/again") || mkdir("merged/again", 0700))
        return pod_fail(err, POD_MKDIR, "a folder again in the overlay");
    if (access("merged/again/x", F_OK) == 0 || access("merged/gone", F_OK) == 0)
        return pod_fail_errno(err, POD_OVERLAY, EIO, "removed names still show");
    return 0;
}

static int try_overlay(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    return use_overlay("lowerdir=lower,upperdir=upper,workdir=work,userxattr", err);
}

/* Without the writeback that ends an ordinary overlay on a disk (5.10). */
static int try_volatile(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    return use_overlay("lowerdir=lower,upperdir=upper,workdir=work,userxattr,volatile", err);
}

/* What layers use: whiteouts and opaque marks made by us, not by overlayfs, and several lower
 * layers. No upper: an unmount without writeback. */
static int try_overlay_layers(const char *scratch, struct pod_err *err)
{
    static const char *const folders[] = {"lower",      "lower/opaque", "top",
                                          "top/opaque", "merged",       NULL};

    (void)scratch;
    if (make_folders(folders, err) || make_file("lower/opaque/file", err) ||
        make_file("lower/gone", err))
        return -1;
    if (mknod("top/gone", S_IFCHR, makedev(0, 0)))
        return pod_fail(err, POD_MKNOD, "a whiteout");
    if (setxattr("top/opaque", "user.overlay.opaque", "y", 1, 0))
        return pod_fail(err, POD_XATTR, "user.overlay.opaque");
    if (mount_overlay("lowerdir=top:lower,userxattr", err))
        return -1;
    if (access("merged/gone", F_OK) == 0 || access("merged/opaque/file", F_OK) == 0)
        return pod_fail_errno(err, POD_OVERLAY, EIO, "whiteouts are not honoured");
    return 0;
}

/* mknod(2) of a 0/0 character device is allowed without CAP_MKNOD from 5.8 on. */
static int try_whiteout(const char *scratch, struct pod_err *err)
{
    (void)scratch;
    return mknod("whiteout", S_IFCHR, makedev(0, 0)) ? pod_fail(err, POD_MKNOD, "a whiteout") : 0;
}

static int try_xattr(const char *scratch, struct pod_err *err)
{
    return setxattr(scratch, "user.pod.probe", "y", 1, 0) ? pod_fail(err, POD_XATTR, "user.*") : 0;
}

static int try_mount_setattr(const char *scratch, struct pod_err *err)
{
    uint64_t attributes[4] = {1, 0, 0, 0}; /* struct mount_attr; MOUNT_ATTR_RDONLY */

    if (mount_at("tmpfs", scratch, 0, "size=64k", err))
        return -1;
    return syscall(SYS_mount_setattr, AT_FDCWD, scratch, 0, attributes, sizeof attributes) < 0
               ? pod_fail(err, POD_PROBE, "mount_setattr")
               : 0;
}

static int try_pivot_root(const char *scratch, struct pod_err *err)
{
    if (mount_at("tmpfs", scratch, 0, "size=64k", err))
        return -1;
    if (chdir(scratch) || syscall(SYS_pivot_root, ".", "."))
        return pod_fail(err, POD_PIVOT, scratch);
    return umount2(".", MNT_DETACH) ? pod_fail(err, POD_PIVOT, "the old root") : 0;
}

const struct pod_trial pod_mount_trials[] = {
    {"mountns", try_mount, MOUNTING, 0},
    {"overlay", try_overlay, MOUNTING, 0},
    {"overlay_layers", try_overlay_layers, MOUNTING, 0},
    {"volatile", try_volatile, MOUNTING, 0},
    {"whiteout", try_whiteout, OUTSIDE, 0},
    {"xattr", try_xattr, OUTSIDE, 0},
    {"proc", try_proc, MOUNTING, CLONE_NEWPID},
    {"sysfs", try_sysfs, MOUNTING, CLONE_NEWNET},
    {"devpts", try_devpts, MOUNTING, 0},
    {"mqueue", try_mqueue, MOUNTING, CLONE_NEWIPC},
    {"pivot_root", try_pivot_root, MOUNTING, 0},
    {"mount_setattr", try_mount_setattr, MOUNTING, 0},
    {NULL, NULL, OUTSIDE, 0},
};
