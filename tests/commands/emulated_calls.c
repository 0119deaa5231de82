/* Calls that no usual program makes, one a mode (test_root_emulation_calls.py); prints what came of them. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static void owner(const char *path)
{
    struct stat st;
    if (lstat(path, &st))
        printf("%s: %s\n", path, strerror(errno));
    else
        printf("%s %u:%u %o\n", path, st.st_uid, st.st_gid, st.st_mode & 07777);
}

static void say(long result)
{
    printf("%ld %s\n", result, result < 0 ? strerror(errno) : "");
}

static void become(uid_t uid)
{
    if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
        exit(1);
}

static int by_how(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
    return (int)syscall(437, dirfd, path, &how, sizeof how);
}

static int opens(void)
{
    struct stat st;
    umask(027);
    mkdir("/w", 0777);
    chmod("/w", 0777);
    mkdir("/w/g", 0777);
    chown("/w/g", 0, 44);
    chmod("/w/g", 02777);
    symlink("/etc", "/w/out");
    become(1000);
    int dir = open("/w", O_PATH), fd = by_how(AT_FDCWD, "/w/how", O_CREAT | O_WRONLY, 0666, 0);
    printf("%d ", fd >= 0 && write(fd, "x", 1) == 1);
    owner("/w/how");
    printf("%d ", by_how(dir, "/in", O_CREAT | O_RDWR, 0600, RESOLVE_IN_ROOT) >= 0);
    owner("/w/in");
    say(by_how(dir, "out/made", O_CREAT | O_RDWR, 0600, RESOLVE_BENEATH));
    say(by_how(dir, "/w/made", O_CREAT | O_RDWR, 0600, RESOLVE_BENEATH));
    say(by_how(dir, "made", O_CREAT | O_RDWR, 010000, 0));
    fd = open("/w", O_TMPFILE | O_RDWR, 0666);
    printf("%d ", fd >= 0 && !fstat(fd, &st));
    printf("%u:%u %o ", st.st_uid, st.st_gid, st.st_mode & 07777);
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    printf("%d ", linkat(AT_FDCWD, self, AT_FDCWD, "/w/named", AT_SYMLINK_FOLLOW));
    owner("/w/named");
    fd = by_how(AT_FDCWD, "/w/g", O_TMPFILE | O_RDWR, 0600, 0);
    memset(&st, 0xff, sizeof st);
    fstat(fd, &st);
    printf("%d %u:%u\n", fd >= 0, st.st_uid, st.st_gid);
    return 0;
}

static int attributes(void)
{
    char list[256], value[64];
    int fd = open("/a", O_CREAT | O_RDWR, 0644);
    setxattr("/a", "user.mine", "1", 1, 0);
    chown("/a", 5, 6);
    for (int way = 0; way < 3; way++) {
        ssize_t size = way == 0 ? listxattr("/a", NULL, 0) : way == 1 ? llistxattr("/a", NULL, 0) : flistxattr(fd, NULL, 0);
        ssize_t length = way == 0   ? listxattr("/a", list, sizeof list)
                         : way == 1 ? llistxattr("/a", list, sizeof list)
                                    : flistxattr(fd, list, sizeof list);
        printf("%zd %zd %.*s\n", size, length, (int)length, list);
    }
    say(listxattr("/a", list, 3));
    for (int way = 0; way < 3; way++) {
        int done = way == 0   ? removexattr("/a", "user.pod.owner")
                   : way == 1 ? lremovexattr("/a", "user.pod.owner")
                              : fremovexattr(fd, "user.pod.owner");
        say(done);
    }
    if (syscall(466, AT_FDCWD, "/a", 0, "user.pod.owner") != -1 || (errno != ENODATA && errno != ENOSYS))
        printf("removexattrat: %s\n", strerror(errno));
    struct {
        uint64_t value;
        uint32_t size, flags;
    } arguments = {(uint64_t)(uintptr_t) "7:7", 3, 0};
    if (syscall(463, AT_FDCWD, "/a", 0, "user.pod.owner", &arguments, sizeof arguments) && errno != ENOSYS)
        printf("setxattrat: %s\n", strerror(errno));
    if (syscall(465, AT_FDCWD, "/a", 0, list, sizeof list) != 10 && errno != ENOSYS)
        printf("listxattrat: %s\n", strerror(errno));
    owner("/a");
    say(removexattr("/a", "user.mine"));
    say(listxattr("/a", list, sizeof list));
    chown("/a", 0, 0);
    return getxattr("/nothing", "user.x", value, 1) != -1;
}

static int realtime(void)
{
    struct sched_param param = {.sched_priority = 1};
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t rest[3];
    } attr = {.size = sizeof attr, .policy = SCHED_FIFO, .priority = 1};
    become(33);
    say(sched_setscheduler(0, SCHED_RR, &param));
    say(syscall(SYS_sched_setattr, 0, &attr, 0));
    attr.policy = SCHED_BATCH;
    attr.priority = 0;
    attr.nice = getpriority(PRIO_PROCESS, 0); /* the tests' own; a lower one is not ours to take */
    printf("%ld ", syscall(SYS_sched_setattr, 0, &attr, 0));
    param.sched_priority = 0;
    printf("%d %u\n", sched_setscheduler(0, SCHED_OTHER, &param), getuid());
    return 0;
}

#if defined(__x86_64__)
static long compat(long number, long a, long b, long c)
{
    long result, none = 0;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(none) : "memory", "r8", "r9", "r10", "r11");
    return (int)result;
}

static uint32_t at32(const char *raw, int at)
{
    uint32_t value;
    memcpy(&value, raw + at, 4);
    return value;
}

static unsigned at16(const char *raw, int at)
{
    return at32(raw, at) & 0xffff;
}

/* By int $0x80: the tables and structures of i386. */
static int with_uid(long uid)
{
    char *low = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    char *raw = low + 1024;
    long path = (long)strcpy(low, "/n"), to = (long)raw;
    struct stat st;
    int fd = open("/n", O_CREAT | O_RDWR, 0640);

    if (write(fd, "hello", 5) != 5)
        return 1;
    compat(182, path, 300, 0xffff); /* chown of 16 bits: the group stays */
    owner("/n");
    compat(212, path, uid, 8);
    stat("/n", &st);
    for (int number = 195; number <= 197; number++) {
        memset(raw, 0xff, 128);
        long done = compat(number, number == 197 ? fd : path, to, 0);
        printf("%ld %u:%u %o %u %u %d %x\n", done, at32(raw, 24), at32(raw, 28), at32(raw, 16), at32(raw, 20), at32(raw, 44),
               at32(raw, 88) == (uint32_t)st.st_ino && at32(raw, 72) == (uint32_t)st.st_mtime, at32(raw, 96));
    }
    memset(raw, 0xff, 128);
    printf("%ld ", compat(300, AT_FDCWD, path, to));
    printf("%u\n", at32(raw, 24));
    for (int number = 106; number <= 108; number++) {
        memset(raw, 0xff, 128);
        long done = compat(number, number == 108 ? fd : path, to, 0);
        printf("%ld %u:%u %o %u %u %x\n", done, at16(raw, 12), at16(raw, 14), at16(raw, 8), at16(raw, 10), at32(raw, 20), at32(raw, 64));
    }
    memcpy(raw, (uint16_t[]){4, 5, 6}, 6);
    printf("%ld ", compat(81, 3, to, 0));
    memset(raw, 0, 16);
    printf("%ld ", compat(80, 8, to, 0));
    printf("%u %u %u\n", at16(raw, 0), at16(raw, 2), at16(raw, 4));
    printf("%ld ", compat(170, 0xffff, 9, 0xffff)); /* setresgid16 */
    printf("%ld %ld ", compat(50, 0, 0, 0), compat(47, 0, 0, 0));
    printf("%ld ", compat(208, uid, 0xffffffff, 0xffffffff)); /* setresuid32 */
    printf("%ld %ld ", compat(24, 0, 0, 0), compat(199, 0, 0, 0));
    printf("%ld ", compat(165, to, to + 2, to + 4)); /* getresuid16 */
    printf("%u %u %u\n", at16(raw, 0), at16(raw, 2), at16(raw, 4));
    printf("%ld ", compat(138, 12, 0, 0)); /* setfsuid16 */
    printf("%ld\n", compat(138, 0xffff, 0, 0));
    return 0;
}

static int narrow(void)
{
    return with_uid(60000);
}

/* What 16 bits cannot say. */
static int beyond(void)
{
    return with_uid(70000);
}
#endif

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } modes[] = {
        {"opens", opens}, {"attributes", attributes}, {"realtime", realtime},
#if defined(__x86_64__)
        {"narrow", narrow}, {"beyond", beyond},
#endif
    };

    for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(argv[1], modes[i].name))
            return modes[i].run();
    return 3;
}
