/* A reader of archives that a bug has turned: behind the walls of sandbox.h it tries what it must not be able to do.
 *   sandbox_harness ROOT MAPPED USERNS OUTSIDE
 * prints "walls N", then "NAME errno" for each attempt, 0 where it worked; OUTSIDE is a file of the caller's. */
#define _GNU_SOURCE 1

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sandbox.h"

static const char *outside;

static int open_for_writing(void)
{
    return open("/etc/passwd", O_WRONLY | O_CLOEXEC);
}

static int read_outside(void)
{
    return open(outside, O_RDONLY | O_CLOEXEC);
}

static int climb(void)
{
    char path[4096] = "";

    for (int i = 0; i < 64; i++)
        strcat(path, "../");
    strcat(path, outside);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int through_link(void)
{
    unlinkat(AT_FDCWD, "out", 0);
    if (symlinkat(outside, AT_FDCWD, "out"))
        return -1;
    return open("out", O_RDWR | O_CLOEXEC);
}

static int chmod_outside(void)
{
    return chmod(outside, 0777);
}

static int truncate_outside(void)
{
    return truncate(outside, 0);
}

static int connect_loopback(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(1)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&to, sizeof to);
}

static int make_socketpair(void)
{
    int ends[2];

    return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
}

static int run_program(void)
{
    char *argv[] = {(char[]){"sh"}, NULL};

    return execv("/bin/sh", argv);
}

static int run_from_inside(void)
{
    char *argv[] = {(char[]){"program"}, NULL};

    return execv("program", argv);
}

static int make_process(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    return child;
}

static int trace_parent(void)
{
    return (int)ptrace(PTRACE_SEIZE, getppid(), 0, 0);
}

static int kill_parent(void)
{
    return kill(getppid(), SIGUSR1);
}

static int signal_by_fcntl(void)
{
    return fcntl(3, F_SETOWN, 1);
}

static int change_root_again(void)
{
    return chroot("..");
}

static int make_user_namespace(void)
{
    return unshare(CLONE_NEWUSER);
}

static int mount_something(void)
{
    return mount("none", ".", "tmpfs", 0, NULL);
}

static int map_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int make_code_of_data(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page == MAP_FAILED ? 0 : mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static int live_on(void)
{
    return prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
}

static int be_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int make_device(void)
{
    return mknodat(AT_FDCWD, "zero", S_IFCHR | 0666, (1 << 8) | 5);
}

static int use_ring(void)
{
    char parameters[120] = {0};

    return (int)syscall(425, 1U, parameters);
}

static int load_keys(void)
{
    return (int)syscall(SYS_add_key, "user", "pod", "x", 1UL, -3);
}

static const struct {
    const char *name;
    int (*attempt)(void);
} attempts[] = {
    {"open-for-writing", open_for_writing},
    {"read-outside", read_outside},
    {"climb", climb},
    {"through-link", through_link},
    {"chmod-outside", chmod_outside},
    {"truncate-outside", truncate_outside},
    {"connect", connect_loopback},
    {"socketpair", make_socketpair},
    {"exec", run_program},
    {"exec-inside", run_from_inside},
    {"fork", make_process},
    {"ptrace", trace_parent},
    {"kill", kill_parent},
    {"set-owner", signal_by_fcntl},
    {"chroot", change_root_again},
    {"unshare", make_user_namespace},
    {"mount", mount_something},
    {"map-code", map_code},
    {"protect-code", make_code_of_data},
    {"parent-death", live_on},
    {"dumpable", be_dumpable},
    {"device", make_device},
    {"io_uring", use_ring},
    {"keys", load_keys},
};

static void *nothing(void *argument)
{
    return argument;
}

/* What unpacking does must go on working. */
static const char *honest_work(int kept)
{
    pthread_t thread;
    struct stat st;
    int fd;

    if (mkdirat(kept, "d", 0755) || (fd = openat(kept, "d/f", O_RDWR | O_CREAT | O_EXCL, 0644)) < 0 ||
        write(fd, "text", 4) != 4)
        return "make a file";
    if (linkat(kept, "d/f", kept, "h", 0) || symlinkat("d/f", kept, "s") || renameat(kept, "h", kept, "d/g"))
        return "link and rename between directories";
    if (mkfifoat(kept, "p", 0600) || fchmod(fd, 0600) || ftruncate(fd, 2) || fstatat(kept, "d/g", &st, 0) || st.st_size != 2)
        return "set attributes";
    if (mknodat(kept, "w", S_IFCHR, 0) && errno != EPERM)
        return "make a whiteout";
    if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
        return "make a thread";
    return NULL;
}

int main(int count, char **words)
{
    struct pod_sandbox sandbox = {.mapped = atoi(words[2]), .userns = atoi(words[3])};
    unsigned walls;
    struct pod_err err;
    int out = fcntl(1, F_DUPFD_CLOEXEC, 3);
    char line[128];

    outside = words[count - 1];
    sandbox.dirfd = open(words[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int kept[] = {out, sandbox.dirfd};
    pod_sandbox_close(kept, 2);
    if (pod_sandbox_enter(&sandbox, &walls, &err)) {
        dprintf(out, "failed %s %d\n", pod_step_name(err.step), err.errnum);
        return 1;
    }
    dprintf(out, "walls %u\n", walls);
    for (unsigned i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        errno = 0;
        int result = attempts[i].attempt();
        int length = snprintf(line, sizeof line, "%s %d\n", attempts[i].name, result < 0 ? errno : 0);
        if (write(out, line, (size_t)length) != length)
            return 2;
    }
    const char *failed = honest_work(sandbox.dirfd);
    dprintf(out, "work %s\n", failed ? failed : "done");
    return 0;
}
