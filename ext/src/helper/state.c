#include "state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"
#include "userns.h"

__attribute__((format(printf, 2, 3))) static void add(struct pod_text *text, const char *format,
                                                      ...)
{
    __builtin_va_list arguments;
    char part[512];

    __builtin_va_start(arguments, format);
    int length = vsnprintf(part, sizeof part, format, arguments);
    __builtin_va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof part)
        text->failed = 1;
    else
        pod_text_add(text, part, (size_t)length);
}

static const char *truth(int value)
{
    return value ? "true" : "false";
}

static void compose(struct pod_text *text, const struct pod_plan *plan,
                    const struct pod_state *state)
{
    const char *host = pod_plan_str(plan, POD_KEY_HOST);

    add(text, "{\"version\":1,\"status\":\"%s\",\"pid\":%ld,\"pidStart\":%llu", state->status,
        (long)state->pid, (unsigned long long)state->pid_start);
    add(text, ",\"supervisor\":%ld,\"supervisorStart\":%llu", (long)getpid(),
        (unsigned long long)pod_process_start(getpid()));
    add(text, ",\"startedAt\":\"%s\",\"finishedAt\":\"%s\",\"exitCode\":%d", state->started,
        state->finished, state->exit_code);
    add(text, ",\"restartCount\":%lu,\"oomKilled\":%s,\"paused\":%s,\"restarting\":%s",
        (unsigned long)state->restarts, truth(state->oom_killed), truth(state->paused),
        truth(state->restarting));
    if (state->failed) {
        add(text, ",\"error\":{\"step\":\"%s\",\"errno\":%d,\"path\":",
            pod_step_name(state->failure.step), state->failure.errnum);
        pod_text_add_quoted(text, state->failure.path);
        add(text, "}");
    }
    if (state->emulation)
        add(text, ",\"rootEmulation\":\"%s\"", state->emulation);
    const char *limits = state->limits ? state->limits : pod_plan_str(plan, POD_KEY_LIMITS);
    if (limits) {
        pod_text_add_words(text, ",\"limits\":");
        pod_text_add_words(text, limits);
    }
    if (state->network) {
        pod_text_add_words(text, ",\"network\":");
        pod_text_add_words(text, state->network);
    }
    if (!host)
        host = "\"boot\":\"\"";
    pod_text_add(text, ",", 1);
    pod_text_add(text, host, strlen(host));
    pod_text_add(text, "}\n", 2);
}

/* The link that kept other nodes from starting the same container: the record says so from now on, or that it failed. Never
 * after "exited": then it is that of the next. */
static void give_claim_back(int dirfd, const struct pod_plan *plan, const struct pod_state *state,
                            int failed)
{
    if ((pod_plan_u64(plan, POD_KEY_FLAGS) & POD_PLAN_CLAIMED) && strcmp(state->status, "exited") &&
        (!failed || !strcmp(state->status, "created")))
        unlinkat(dirfd, "starting", 0);
}

/* Where nothing new can be written (a full disk) the end is told in the block that the file has: its exit code is known to
 * nobody else. Spaces stand for what is left of the older text. */
static int write_over(int dirfd, const struct pod_text *text, struct pod_err *err)
{
    POD_AUTO_FD int fd = openat(dirfd, "state.json", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    char padded[4096];
    ssize_t old = fd < 0 ? -1 : pread(fd, padded, sizeof padded, 0);
    size_t size = old > (ssize_t)text->used ? (size_t)old : text->used;

    if (old <= 0 || (size_t)old == sizeof padded || size > sizeof padded)
        return -1;
    memset(padded, ' ', size);
    memcpy(padded, text->bytes, text->used);
    return pwrite(fd, padded, size, 0) == (ssize_t)size ? 0
                                                        : pod_fail(err, POD_STATE, "state.json");
}

int pod_state_write(int dirfd, const struct pod_plan *plan, const struct pod_state *state,
                    struct pod_err *err)
{
    struct pod_text text = {0};
    char name[64];
    int failed;

    compose(&text, plan, state);
    snprintf(name, sizeof name, ".state.%ld", (long)getpid());
    POD_AUTO_FD int fd =
        openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    failed = text.failed || fd < 0 || write(fd, text.bytes, text.used) != (ssize_t)text.used ||
             renameat(dirfd, name, dirfd, "state.json");
    if (failed) {
        pod_fail_errno(err, POD_STATE, text.failed ? ENOMEM : errno, "state.json");
        unlinkat(dirfd, name, 0);
        if (!text.failed && !strcmp(state->status, "exited"))
            failed = write_over(dirfd, &text, err);
    }
    free(text.bytes);
    give_claim_back(dirfd, plan, state, failed);
    return failed ? -1 : 0;
}
