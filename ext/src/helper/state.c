#include "state.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "userns.h"

struct text {
    size_t used;
    char bytes[4096];
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    __builtin_va_list arguments;
    size_t room = sizeof text->bytes - text->used;

    __builtin_va_start(arguments, format);
    int length = vsnprintf(text->bytes + text->used, room, format, arguments);
    __builtin_va_end(arguments);
    text->used += length < 0 ? 0 : (size_t)length < room ? (size_t)length : room - 1;
}

/* Only what is plain ASCII is kept as it is: a path may hold anything. */
static void add_quoted(struct text *text, const char *value)
{
    add(text, "\"");
    for (const unsigned char *at = (const unsigned char *)value; *at; at++)
        if (*at < 0x20 || *at > 0x7e || *at == '"' || *at == '\\')
            add(text, "\\u%04x", *at);
        else
            add(text, "%c", *at);
    add(text, "\"");
}

int pod_state_write(int dirfd, const struct pod_plan *plan, const struct pod_state *state,
                    struct pod_err *err)
{
    struct text text = {.used = 0};
    char name[64];
    const char *host = pod_plan_str(plan, POD_KEY_HOST);

    add(&text, "{\"version\":1,\"status\":\"%s\",\"pid\":%ld,\"pidStart\":%llu", state->status,
        (long)state->pid, (unsigned long long)state->pid_start);
    add(&text, ",\"supervisor\":%ld,\"supervisorStart\":%llu", (long)getpid(),
        (unsigned long long)pod_process_start(getpid()));
    add(&text, ",\"startedAt\":\"%s\",\"finishedAt\":\"%s\",\"exitCode\":%d", state->started,
        state->finished, state->exit_code);
    if (state->failed) {
        add(&text, ",\"error\":{\"step\":\"%s\",\"errno\":%d,\"path\":",
            pod_step_name(state->failure.step), state->failure.errnum);
        add_quoted(&text, state->failure.path);
        add(&text, "}");
    }
    add(&text, ",%s}\n", host ? host : "\"boot\":\"\"");
    snprintf(name, sizeof name, ".state.%ld", (long)getpid());
    POD_AUTO_FD int fd =
        openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return pod_fail(err, POD_STATE, "state.json");
    if (write(fd, text.bytes, text.used) != (ssize_t)text.used ||
        renameat(dirfd, name, dirfd, "state.json")) {
        pod_fail(err, POD_STATE, "state.json");
        unlinkat(dirfd, name, 0);
        return -1;
    }
    return 0;
}
