/* Ways to have memory, for tests of limits: hog WAY MIB. Says "has" when it has it, and sleeps. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (1 << 20)
#define PART 4 /* MiB that each of many has */

static void fail(const char *what)
{
    perror(what);
    exit(3);
}

static void fill(int fd, int count)
{
    static char block[MIB];

    memset(block, 1, sizeof block);
    for (int i = 0; i < count; i++) {
        if (write(fd, block, sizeof block) != sizeof block)
            fail("write");
        usleep(2000);
    }
}

/* Pages that nobody else has, slowly: what counts is that it is seen, not how soon. */
static void take(int count)
{
    for (int i = 0; i < count; i++) {
        char *page = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            fail("mmap");
        memset(page, 1, MIB);
        usleep(2000);
    }
}

/* Away from here: a child of a child, in a session of its own. */
static void escape(int count)
{
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            take(count);
            sleep(60);
        }
        _exit(0);
    }
}

int main(int argc, char **argv)
{
    int count = argc > 2 ? atoi(argv[2]) : 0;

    if (count < 1)
        return 2;
    if (!strcmp(argv[1], "own")) {
        take(count);
    } else if (!strcmp(argv[1], "memfd")) {
        fill(memfd_create("hidden", 0), count);
    } else if (!strcmp(argv[1], "shared")) {
        char *page = mmap(NULL, (size_t)count * MIB, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            fail("mmap");
        for (int i = 0; i < count; i++, usleep(2000))
            memset(page + (size_t)i * MIB, 1, MIB);
    } else if (!strcmp(argv[1], "many")) {
        for (int i = 0; i < count / PART; i++)
            escape(PART);
        sleep(3);
    } else if (!strcmp(argv[1], "file") && argc > 3) {
        int fd = open(argv[3], O_RDWR | O_CREAT, 0600);
        fill(fd, count);
        char *page = mmap(NULL, (size_t)count * MIB, PROT_READ, MAP_SHARED, fd, 0);
        long sum = 0;
        for (size_t at = 0; at < (size_t)count * MIB; at += 4096)
            sum += page[at];
        fsync(fd);
        if (!sum)
            return 3;
        sleep(2);
    } else {
        return 2;
    }
    puts("has");
    fflush(stdout);
    sleep(60);
    return 0;
}
