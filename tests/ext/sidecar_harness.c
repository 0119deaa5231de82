/* emulator/sidecar.c and table.c on their own: told what to do by words, tells what it finds (test_sidecar.py). */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sidecar.h"
#include "table.h"

static struct pod_table table;
static unsigned long rows;

static void take(void *unused, const struct pod_record *row)
{
    (void)unused;
    rows++;
    if (pod_table_reserve(&table, 1u << 24))
        abort();
    pod_table_put(&table, pod_table_mix(row->dev, row->ino), 0, row->uid);
}

static void read_on(struct pod_sidecar *sidecar)
{
    pod_sidecar_read(sidecar, take, NULL);
}

static int resident(void)
{
    char text[4096], *at;
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t got = read(fd, text, sizeof text - 1);

    close(fd);
    text[got > 0 ? got : 0] = '\0';
    at = strstr(text, "RssAnon:");
    return at ? atoi(at + 8) : -1;
}

/* FROM … TO-1 as inodes, each with itself as its owner. */
static int add(struct pod_sidecar *sidecar, unsigned long from, unsigned long to, uint32_t more)
{
    for (unsigned long i = from; i < to; i++) {
        struct pod_record row = {.ino = i, .uid = (uint32_t)i + more};
        if (pod_sidecar_add(sidecar, &row))
            return 1;
    }
    return 0;
}

static int check(unsigned long from, unsigned long to, uint32_t more)
{
    const struct pod_table_slot *slot;

    for (unsigned long i = from; i < to; i++)
        if (!(slot = pod_table_get(&table, pod_table_mix(0, i))) || slot->value != i + more)
            return printf("wrong %lu\n", i), 1;
    return 0;
}

/* Words of a line: add FROM TO MORE | check FROM TO MORE | read | open FLAGS | fork FROM TO (in a child of its own) | count | close */
int main(int argc, char **argv)
{
    struct pod_sidecar sidecar = {.fd = -1};
    int folder = open(argc > 1 ? argv[1] : ".", O_PATH | O_DIRECTORY), before = resident();
    char word[16];
    unsigned long from, to, more;

    while (scanf("%15s %lu %lu %lu", word, &from, &to, &more) == 4) {
        if (!strcmp(word, "open"))
            pod_sidecar_open(&sidecar, folder, "owners", (int)from);
        else if (!strcmp(word, "close"))
            close(sidecar.fd);
        else if (!strcmp(word, "read"))
            read_on(&sidecar);
        else if (!strcmp(word, "add") && add(&sidecar, from, to, (uint32_t)more))
            return 2;
        else if (!strcmp(word, "check") && check(from, to, (uint32_t)more))
            return 3;
        else if (!strcmp(word, "fork") && fork() == 0)
            _exit(add(&sidecar, from, to, (uint32_t)more));
        else if (!strcmp(word, "wait"))
            while (wait(NULL) > 0)
                ;
        else if (!strcmp(word, "count"))
            printf("%lu rows %u known\n", rows, table.count);
        else if (!strcmp(word, "memory"))
            printf("%d\n", resident() - before);
        fflush(stdout);
    }
    pod_table_free(&table);
    return 0;
}
