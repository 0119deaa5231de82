#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "calls.h"
#include "err.h"
#include "page_writer.h"

#define MAPS_MAX (16u << 20) /* bytes of /proc/TID/maps that are looked at */
#define BLOCK 4096

/* LINE of /proc/TID/maps: "from-to rw-p offset device inode path". Where that is the library's data, its state is told. */
static void mark_mapping(int memory, const char *line)
{
    static const uint32_t yes = 1;
    unsigned long from, to;
    char kind[8], bytes[BLOCK];
    size_t size = sizeof bytes;

    if (!strstr(line, POD_PAGE_LIBRARY) || sscanf(line, "%lx-%lx %7s", &from, &to, kind) != 3 ||
        strncmp(kind, "rw", 2))
        return;
    if (to - from < size)
        size = to - from;
    ssize_t got = pread(memory, bytes, size, (off_t)from);
    for (ssize_t at = 0; at + (ssize_t)sizeof(struct pod_page_state) <= got; at += 16) {
        if (memcmp(bytes + at, POD_PAGE_MAGIC, sizeof POD_PAGE_MAGIC))
            continue;
        off_t place = (off_t)from + at + (off_t)offsetof(struct pod_page_state, sandboxed);
        ssize_t written = pwrite(memory, &yes, sizeof yes, place);
        (void)written; /* its own memory: what it takes away it has not */
    }
}

static void mark_process(int maps, int memory)
{
    char text[2 * BLOCK];
    size_t used = 0, total = 0;
    ssize_t got;

    while (total < MAPS_MAX && (got = read(maps, text + used, sizeof text - 1 - used)) > 0) {
        char *line = text, *end;
        total += (size_t)got;
        used += (size_t)got;
        text[used] = '\0';
        for (; (end = strchr(line, '\n')); line = end + 1) {
            *end = '\0';
            mark_mapping(memory, line);
        }
        used = (size_t)(text + used - line);
        if (used == sizeof text - 1)
            used = 0; /* a path that is longer than any of ours */
        memmove(text, line, used);
    }
}

int64_t pod_answer_confine(struct pod_call *call)
{
    if (call->e->page.fd < 0)
        return POD_CALL_PASS;
    POD_AUTO_FD int maps = pod_call_proc(call, "maps", O_RDONLY);
    POD_AUTO_FD int memory = pod_call_proc(call, "mem", O_RDWR);
    uint32_t filters = (uint32_t)pod_call_status(call, "\nSeccomp_filters:", 10, 0);
    if (maps < 0 || memory < 0 || !pod_call_alive(call))
        return POD_CALL_GONE;
    pod_page_confined(&call->e->page, filters);
    mark_process(maps, memory);
    return POD_CALL_PASS;
}
