/* A source's caller that, about to wait for a block, gives another back, as the reading thread does when it makes a batch of
 * small files itself. Says how many bytes came. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source.h"

static int told[2];
static struct pod_block *held;

/* VALID bytes of the file are there. */
static void tell(uint64_t valid)
{
    if (write(told[1], &valid, sizeof valid) != sizeof valid)
        _exit(3);
}

static void give_back(void *context)
{
    (void)context;
    if (!held)
        return;
    pod_block_release(held);
    held = NULL;
    tell((POD_BLOCK_SIZE + 5) | POD_INPUT_FINAL);
}

int main(void)
{
    static char bytes[POD_BLOCK_SIZE + 5];
    struct pod_patience patience = {0};
    struct pod_source *source = NULL;
    struct pod_err err;
    const unsigned char *data;
    size_t length, total = 0;
    FILE *file = tmpfile();

    alarm(20); /* where it hangs */
    memset(bytes, 'x', sizeof bytes);
    if (!file || fwrite(bytes, 1, sizeof bytes, file) != sizeof bytes || fflush(file) || pipe(told))
        return 2;
    tell(POD_BLOCK_SIZE);
    if (pod_source_open(fileno(file), told[0], 1 << 20, 1, &patience, &source, &err) < 0)
        return 4;
    pod_source_on_wait(source, give_back, NULL);
    do {
        if (pod_source_next(source, &data, &length, &err) < 0)
            return 5;
        if (!total) {
            held = pod_source_hold(source);
            usleep(300000); /* the hashing thread has given it back: the last reference is ours */
        }
        total += length;
    } while (length);
    pod_source_close(&source);
    printf("%zu\n", total);
    return held ? 6 : 0;
}
