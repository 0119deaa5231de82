#include "restart.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

#define CHANGES_MAX 4096

static enum pod_restart_kind kind_of(const char *name, size_t length)
{
    static const char *const names[] = {"no", "on-failure", "always", "unless-stopped"};

    for (int i = 1; i < 4; i++)
        if (strlen(names[i]) == length && !strncmp(names[i], name, length))
            return (enum pod_restart_kind)i;
    return POD_RESTART_NO;
}

/* "always", "on-failure:3" */
static void set_policy(struct pod_restart *restart, const char *text)
{
    size_t length = strcspn(text, ":");

    restart->kind = kind_of(text, length);
    restart->most = text[length] ? (uint32_t)strtoul(text + length + 1, NULL, 10) : 0;
}

void pod_restart_init(struct pod_restart *restart, const struct pod_plan *plan)
{
    const char *policy = pod_plan_str(plan, POD_KEY_RESTART);
    uint64_t pauses = pod_plan_u64(plan, POD_KEY_RESTART_PAUSE);

    memset(restart, 0, sizeof *restart);
    set_policy(restart, policy ? policy : "");
    restart->first = pauses ? (int64_t)(pauses >> 32) : POD_RESTART_FIRST_MS;
    restart->last = pauses ? (int64_t)(pauses & UINT32_MAX) : POD_RESTART_LAST_MS;
}

void pod_restart_began(struct pod_restart *restart)
{
    restart->began = pod_now_ms();
}

int pod_restart_stopped(int dirfd)
{
    return !faccessat(dirfd, "stopped", F_OK, AT_SYMLINK_NOFOLLOW);
}

int pod_changes_read(int dirfd, const char *name, char *value, size_t size)
{
    char text[CHANGES_MAX], key[64];
    POD_AUTO_FD int fd =
        openat(dirfd, "changes.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (got <= 0)
        return -1;
    text[got] = '\0';
    /* Pod writes it without blanks, and its values have no quotes in them. */
    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *begin = strstr(text, key);
    if (!begin)
        return -1;
    begin += strlen(key);
    size_t length = strcspn(begin, "\"");
    if (begin[length] != '"' || length >= size)
        return -1;
    memcpy(value, begin, length);
    value[length] = '\0';
    return 0;
}

static int wanted(const struct pod_restart *restart, int code)
{
    switch (restart->kind) {
    case POD_RESTART_ON_FAILURE:
        return code && (!restart->most || restart->count < restart->most);
    case POD_RESTART_ALWAYS:
    case POD_RESTART_UNLESS_STOPPED:
        return 1;
    default:
        return 0;
    }
}

int64_t pod_restart_pause(struct pod_restart *restart, int dirfd, int code)
{
    char policy[64];

    if (!pod_changes_read(dirfd, "RestartPolicy", policy, sizeof policy))
        set_policy(restart, policy);
    if (pod_restart_stopped(dirfd) || !wanted(restart, code))
        return -1;
    if (pod_now_ms() - restart->began >= POD_RESTART_RESET_MS)
        restart->pause = 0;
    restart->pause = restart->pause ? restart->pause * 2 : restart->first;
    if (restart->pause > restart->last)
        restart->pause = restart->last;
    restart->count++;
    return restart->pause;
}
