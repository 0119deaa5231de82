/* Changes below /d all the time what commit and export read there: race OUTSIDE. Three processes: folders and links change
 * places, files grow and are cut, names become another kind of file. Says "ready" in /ready once all of them do. */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define FILES 12
#define NAMES 24
#define EXCHANGE 2

static char block[1 << 16];

static void put(const char *path, size_t blocks)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    for (size_t i = 0; fd >= 0 && i < blocks; i++)
        if (write(fd, block, sizeof block) < 0)
            break;
    close(fd);
}

static void exchange(const char *one, const char *other)
{
    syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, EXCHANGE);
}

static void swap_forever(void)
{
    for (;;) {
        exchange("real", "absolute");
        exchange("deep/a", "deep/relative");
        exchange("deep/b/c", "real");
        exchange("file", "folder");
        exchange("file", "absolute");
        exchange("deep", "folder");
    }
}

static void cut_forever(void)
{
    char path[32];

    for (unsigned n = 0;; n++) {
        snprintf(path, sizeof path, "cut/%u", n % FILES);
        int fd = open(path, O_WRONLY | O_CREAT, 0644);
        if (n % 3 == 0 && ftruncate(fd, 0))
            continue;
        if (write(fd, block, sizeof block) < 0 || pwrite(fd, block, 100, 1 << 22) < 0)
            continue;
        if (n % 3 == 1 && ftruncate(fd, n % 70000))
            continue;
        fsetxattr(fd, "user.x", block, n % 512, 0);
        fchmod(fd, n & 07777);
        close(fd);
        if (n % 7 == 0)
            unlink(path);
    }
}

static void turn_forever(const char *outside)
{
    char path[32], other[32];

    for (unsigned n = 0;; n++) {
        snprintf(path, sizeof path, "turn/%u", n % NAMES);
        snprintf(other, sizeof other, "turn/%u", (n * 7 + 1) % NAMES);
        if (unlink(path))
            rmdir(path);
        switch (n / NAMES % 6) {
        case 0:
            mkdir(path, 0755);
            break;
        case 1:
            put(path, 1);
            break;
        case 2:
            if (symlink(outside, path))
                break;
            break;
        case 3:
            mkfifo(path, 0600);
            break;
        case 4:
            if (link(other, path))
                put(path, 0);
            break;
        default:
            rename(other, path);
        }
    }
}

int main(int argc, char **argv)
{
    char relative[4096];

    if (argc < 2 || mkdir("/d", 0755) || chdir("/d"))
        return 2;
    memset(block, 'i', sizeof block);
    snprintf(relative, sizeof relative, "../../../../../../../../../../../..%s", argv[1]);
    mkdir("real", 0755), mkdir("deep", 0755), mkdir("deep/a", 0755), mkdir("deep/b", 0755);
    mkdir("deep/b/c", 0755), mkdir("folder", 0755), mkdir("cut", 0755), mkdir("turn", 0755);
    put("real/secret", 1), put("deep/a/secret", 1), put("deep/b/c/secret", 1), put("file", 40);
    if (symlink(argv[1], "absolute") || symlink(relative, "deep/relative"))
        return 2;
    if (!fork())
        swap_forever();
    if (!fork())
        cut_forever();
    if (!fork())
        turn_forever(argv[1]);
    put("/ready", 0);
    for (;;)
        pause();
}
