/* A program of a hostile container that has read about the kernel. Each mode prints a line for each thing that worked, or, where
 * the test compares, for each that was tried.
 *
 *     calls              each call that reaches past a container: "NAME done" or "NAME" and the errno's number
 *     writable PATH …    files below that may be opened for writing
 *     readable PATH …    files and disks below that may be opened for reading
 *     processes          what can be had of each process in /proc that is not this one
 *     inodes PATH …      "MAJOR:MINOR INODE PATH" of everything below
 *     ids                ids and groups of this process: by calls, "uid gid,gid"
 *     handle PATH INODE  a file by its number alone, beginning at a mount (the "shocker")
 *     key SERIAL         a key of the caller's
 *     terminal           what would reach the machine's own console from the terminal of stdin
 *     connect PATH       a control socket: "connect done", then what it says first
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *name, long result)
{
    if (result >= 0)
        printf("%s done\n", name);
    else
        printf("%s %d\n", name, errno);
}

static long open_perf(void)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attr};

    return syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0); /* what all processes do on a processor */
}

static long load_bpf(void)
{
    char attr[128] = {0};
    long long code[2] = {0xb7, 0x95}; /* r0 = 0; exit */

    attr[0] = 3; /* BPF_PROG_TYPE_SCHED_CLS */
    *(int *)(void *)(attr + 4) = 2;
    *(const void **)(void *)(attr + 8) = code;
    *(const void **)(void *)(attr + 16) = "GPL";
    return syscall(SYS_bpf, 5, attr, sizeof attr);
}

static long set_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return clock_settime(CLOCK_REALTIME, &now);
}

static long mount_as(const char *type)
{
    mkdir("/tmp/m", 0700);
    long result = mount(type, "/tmp/m", type, 0, NULL);
    if (!result)
        umount2("/tmp/m", MNT_DETACH);
    return result;
}

static long make_device(void)
{
    long result = mknod("/tmp/disk", S_IFBLK | 0600, makedev(8, 0));
    int fd = result ? -1 : open("/tmp/disk", O_RDONLY);
    char byte;

    unlink("/tmp/disk");
    result = fd < 0 ? -1 : read(fd, &byte, 1);
    close(fd);
    errno = EPERM; /* recorded ones are empty files */
    return result == 1 ? 0 : -1;
}

static void calls(void)
{
    static const char *const types[] = {"debugfs", "tracefs", "securityfs", "configfs", "devtmpfs", "cgroup",
                                        "hugetlbfs", "pstore", "efivarfs", "ext4", "xfs", "nfs", NULL};
    char params[128] = {0}, name[32];
    int bits[4] = {0};

    tell("bpf", load_bpf());
    tell("perf_event_open", open_perf());
    tell("io_uring_setup", syscall(SYS_io_uring_setup, 1, params));
    tell("userfaultfd", syscall(SYS_userfaultfd, 0));
    tell("keyctl", syscall(SYS_keyctl, 0, -3, 0));
    tell("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -2));
    tell("request_key", syscall(SYS_request_key, "user", "x", NULL, 0));
    tell("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
    tell("kexec_file_load", syscall(SYS_kexec_file_load, -1, -1, 0, NULL, 0));
    tell("init_module", syscall(SYS_init_module, NULL, 0, ""));
    tell("finit_module", syscall(SYS_finit_module, -1, "", 0));
    tell("delete_module", syscall(SYS_delete_module, "nothing", 0));
    tell("reboot", syscall(SYS_reboot, 0, 0, 0, NULL)); /* rights are asked for before the magic number */
    tell("swapon", swapon(NULL, 0));
    tell("swapoff", swapoff(NULL));
    tell("acct", syscall(SYS_acct, "/nowhere"));
    tell("clock_settime", set_clock());
    tell("syslog", klogctl(5, NULL, 0));
    tell("vhangup", syscall(SYS_vhangup));
    tell("fanotify_init", syscall(SYS_fanotify_init, 4, 0));
    tell("fsopen", syscall(430, "tmpfs", 0));
    tell("open_tree", syscall(428, -100, "/", 1));
    tell("move_mount", syscall(429, -1, "", -1, "", 0));
    tell("mount_setattr", syscall(442, -1, "", 0, NULL, 0));
    tell("open_by_handle_at", syscall(SYS_open_by_handle_at, -1, bits, 0));
    tell("name_to_handle_at", syscall(SYS_name_to_handle_at, -1, "", bits, bits, 0));
    tell("setns", syscall(SYS_setns, -1, 0));
    tell("pivot_root", syscall(SYS_pivot_root, "/nowhere", "/nowhere"));
    tell("quotactl", syscall(SYS_quotactl, 0, NULL, 0, NULL));
#if defined(SYS_iopl)
    tell("iopl", syscall(SYS_iopl, 3));
    tell("ioperm", syscall(SYS_ioperm, 0x70, 1, 1));
#endif
    tell("mknod", make_device());
    tell("packet-socket", socket(AF_PACKET, SOCK_RAW, 0));
    for (int i = 0; types[i]; i++) {
        snprintf(name, sizeof name, "mount-%s", types[i]);
        tell(name, mount_as(types[i]));
    }
}

static int try_open(const char *path, const struct stat *st, int kind, int flags)
{
    if (kind == FTW_D && !strncmp(path, "/proc/", 6) && strspn(path + 6, "0123456789"))
        return FTW_SKIP_SUBTREE;
    if (kind == FTW_SL || !(strncmp(path, "/dev/", 5) ? S_ISREG(st->st_mode) : S_ISBLK(st->st_mode)))
        return FTW_CONTINUE;
    int fd = open(path, flags | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        puts(path);
        close(fd);
    }
    return FTW_CONTINUE;
}

static int try_write(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)at;
    return try_open(path, st, kind, O_WRONLY);
}

static int try_read(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)at;
    return try_open(path, st, kind, O_RDONLY);
}

static int show_inode(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)at;
    if (kind == FTW_D && (!strcmp(path, "/proc") || !strcmp(path, "/sys")))
        return FTW_SKIP_SUBTREE;
    printf("%u:%u %llu %s\n", major(st->st_dev), minor(st->st_dev), (unsigned long long)st->st_ino, path);
    return FTW_CONTINUE;
}

static void had(int pid, const char *what)
{
    printf("%d %s\n", pid, what);
}

static void look_into(int pid)
{
    static const char *const opened[] = {"mem", "environ", "maps", "pagemap", "auxv", "syscall", NULL};
    static const char *const followed[] = {"root", "cwd", "exe", "ns/user", "ns/mnt", "ns/pid", "ns/net", "fd/0", NULL};
    static const char *const written[] = {"oom_score_adj", "clear_refs", "coredump_filter", "uid_map", NULL};
    char path[64], byte;
    struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};

    for (int i = 0; opened[i]; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, opened[i]);
        int fd = open(path, O_RDONLY | O_NONBLOCK);
        errno = 0;
        if (fd >= 0 && (read(fd, &byte, 1) > 0 || errno == EIO))
            had(pid, opened[i]);
        close(fd);
    }
    for (int i = 0; followed[i]; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, followed[i]);
        int fd = open(path, O_RDONLY | O_NONBLOCK);
        if (fd >= 0)
            had(pid, followed[i]);
        if (fd >= 0 && !strncmp(followed[i], "ns/", 3) && !setns(fd, 0))
            had(pid, "setns");
        close(fd);
    }
    for (int i = 0; written[i]; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, written[i]);
        int fd = open(path, O_WRONLY | O_NONBLOCK);
        if (fd >= 0 && write(fd, "x", 1) < 0 && errno != EPERM && errno != EACCES)
            had(pid, written[i]);
        close(fd);
    }
    if (!ptrace(PTRACE_SEIZE, pid, NULL, NULL))
        had(pid, "ptrace");
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) >= 0 || errno == EFAULT)
        had(pid, "process_vm_readv");
    int handle = (int)syscall(434, pid, 0); /* pidfd_open */
    if (handle >= 0 && (syscall(438, handle, 0, 0) >= 0 || errno == EBADF)) /* pidfd_getfd */
        had(pid, "pidfd_getfd");
    if (handle >= 0 && !setns(handle, 0x10000000)) /* CLONE_NEWUSER */
        had(pid, "setns");
    close(handle);
}

static void processes(void)
{
    DIR *proc = opendir("/proc");
    int seen = 0;

    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        int pid = atoi(entry->d_name);
        if (pid <= 0 || pid == getpid())
            continue;
        seen++;
        look_into(pid);
    }
    printf("seen %d\n", seen);
}

static void ids(void)
{
    unsigned u[3], g[3], groups[64];

    getresuid(u, u + 1, u + 2);
    getresgid(g, g + 1, g + 2);
    int count = getgroups(64, groups);
    printf("%u,%u,%u %u,%u,%u", u[0], u[1], u[2], g[0], g[1], g[2]);
    for (int i = 0; i < count; i++)
        printf("%c%u", i ? ',' : ' ', groups[i]);
    puts("");
}

static void by_handle(const char *mounted, unsigned long long inode)
{
    struct {
        struct file_handle head;
        unsigned int parts[8];
    } handle = {.head = {.handle_bytes = 8, .handle_type = 1}}; /* ext4, xfs: inode and generation */
    char buffer[256];
    int from = open(mounted, O_RDONLY);

    handle.parts[0] = (unsigned int)inode;
    int fd = open_by_handle_at(from, &handle.head, O_RDONLY);
    tell("handle", fd);
    ssize_t got = fd < 0 ? -1 : read(fd, buffer, sizeof buffer);
    if (got > 0)
        printf("%.*s\n", (int)got, buffer);
}

static void key(long serial)
{
    char buffer[256] = "";

    tell("describe", syscall(SYS_keyctl, 6, serial, buffer, sizeof buffer));
    tell("read", syscall(SYS_keyctl, 11, serial, buffer, sizeof buffer));
    tell("link", syscall(SYS_keyctl, 8, serial, -3));
    tell("revoke", syscall(SYS_keyctl, 3, serial));
    tell("search-session", syscall(SYS_keyctl, 10, -3, "user", "pod-secret", 0));
    tell("search-user", syscall(SYS_keyctl, 10, -4, "user", "pod-secret", 0));
    tell("search-user-session", syscall(SYS_keyctl, 10, -5, "user", "pod-secret", 0));
}

static void terminal(void)
{
    char paste = 3, screen[64] = {10};

    tell("selection", ioctl(0, TIOCLINUX, &paste)); /* types what was selected */
    tell("messages", ioctl(0, TIOCLINUX, screen));
    tell("console", ioctl(0, TIOCCONS)); /* the console's output comes here */
    tell("keyboard", ioctl(0, 0x4B47, screen)); /* KDSKBENT */
}

static void connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char byte = '-';
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    tell("connect", connect(fd, (struct sockaddr *)&address, sizeof address));
    printf("%c\n", recv(fd, &byte, 1, 0) == 1 ? byte : '-');
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    if (!strcmp(mode, "calls"))
        calls();
    else if (!strcmp(mode, "processes"))
        processes();
    else if (!strcmp(mode, "ids"))
        ids();
    else if (!strcmp(mode, "terminal"))
        terminal();
    else if (!strcmp(mode, "connect") && argc > 2)
        connect_to(argv[2]);
    else if (!strcmp(mode, "handle") && argc > 3)
        by_handle(argv[2], strtoull(argv[3], NULL, 10));
    else if (!strcmp(mode, "key") && argc > 2)
        key(atol(argv[2]));
    else if (!strcmp(mode, "writable") || !strcmp(mode, "readable") || !strcmp(mode, "inodes"))
        for (int i = 2; i < argc; i++)
            nftw(argv[i], *mode == 'w' ? try_write : *mode == 'r' ? try_read : show_inode, 16,
                 FTW_PHYS | FTW_ACTIONRETVAL);
    else
        return 2;
    return 0;
}
