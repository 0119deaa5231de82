#include "event.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

/* As core/events.py. */
#define EVENTS_MAX (4 << 20)
#define ACTION_MAX 4096
#define TRIES 4

static void add_string(struct pod_text *text, const char *value)
{
    pod_text_add_string(text, value, strlen(value));
}

static void compose(struct pod_text *text, const struct pod_plan *plan, const char *action,
                    const char *more)
{
    const char *id = pod_plan_str(plan, POD_KEY_ID), *at = pod_plan_str(plan, POD_KEY_EVENTS);
    const char *name = at + strlen(at) + 1, *image = name + strlen(name) + 1,
               *labels = image + strlen(image) + 1;
    struct timespec now;
    char end[96];

    pod_text_add_words(text, "{\"status\":");
    add_string(text, action);
    pod_text_add_words(text, ",\"id\":");
    add_string(text, id);
    pod_text_add_words(text, ",\"from\":");
    pod_text_add_words(text, image);
    pod_text_add_words(text, ",\"Type\":\"container\",\"Action\":");
    add_string(text, action);
    pod_text_add_words(text, ",\"Actor\":{\"ID\":");
    add_string(text, id);
    pod_text_add_words(text, ",\"Attributes\":{");
    pod_text_add_words(text, labels);
    pod_text_add_words(text, *labels ? ",\"image\":" : "\"image\":");
    pod_text_add_words(text, image);
    pod_text_add_words(text, ",\"name\":");
    add_string(text, name);
    if (more) {
        pod_text_add_words(text, ",");
        pod_text_add_words(text, more);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(end, sizeof end, "}},\"scope\":\"local\",\"time\":%lld,\"timeNano\":%lld%09ld}\n",
             (long long)now.tv_sec, (long long)now.tv_sec, now.tv_nsec);
    pod_text_add_words(text, end);
}

/* The full file makes place for a new one. One process at a time, and only where FULL still has the name. */
static void rotate(int folder, const struct stat *full)
{
    struct stat named;
    POD_AUTO_FD int lock =
        openat(folder, "events.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0 &&
        fstatat(folder, "events", &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        named.st_ino == full->st_ino && named.st_dev == full->st_dev)
        renameat(folder, "events", folder, "events.1");
}

/* One write(2) at the end of FD. A line that a death or a full disk has cut stays a line of its own. */
static int append(int fd, const struct stat *st, const char *line, size_t length)
{
    char last = '\n';
    struct stat after;

    /* LINE has room for a newline before it. */
    if (st->st_size > 0 && pread(fd, &last, 1, st->st_size - 1) == 1 && last != '\n') {
        line--;
        length++;
    }
    if (write(fd, line, length) < 0)
        return 1;
    /* Rotated away twice since it was opened: nobody would find the line. */
    return fstat(fd, &after) || after.st_nlink > 0;
}

void pod_event_line(const struct pod_events *events, const char *line, size_t length)
{
    struct stat st;

    for (int i = 0; i < TRIES; i++) {
        POD_AUTO_FD int own =
            openat(events->folder, "events",
                   O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        int fd = own < 0 ? events->file : own;
        if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
            return;
        if (own >= 0 && st.st_size + (off_t)length > EVENTS_MAX && st.st_size > 0) {
            rotate(events->folder, &st);
            if (i + 1 < TRIES)
                continue;
        }
        if (append(fd, &st, line, length) || own < 0)
            return;
    }
}

void pod_events_open(struct pod_events *events, const struct pod_plan *plan, int keep)
{
    const char *folder = pod_plan_str(plan, POD_KEY_EVENTS);

    events->folder = events->file = -1;
    if (!folder || pod_plan_strv_count(plan, POD_KEY_EVENTS) < 5 || !pod_plan_str(plan, POD_KEY_ID))
        return;
    events->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (keep && events->folder >= 0)
        events->file =
            openat(events->folder, "events",
                   O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

void pod_events_close(struct pod_events *events)
{
    pod_cleanup_fd(&events->folder);
    pod_cleanup_fd(&events->file);
}

/* The lines in TEXT behind its first byte, a newline; frees it. */
static void tell(const struct pod_events *events, struct pod_text *text)
{
    if (!text->failed && text->used > 1)
        pod_event_line(events, text->bytes + 1, text->used - 1);
    free(text->bytes);
}

void pod_events_tell(const struct pod_events *events, const struct pod_plan *plan,
                     const char *action, const char *more)
{
    struct pod_text text = {0};

    if (events->folder < 0)
        return;
    pod_text_add_words(&text, "\n");
    compose(&text, plan, action, more);
    tell(events, &text);
}

void pod_event_start(const struct pod_events *events, const struct pod_plan *plan,
                     const struct pod_network *network)
{
    struct pod_text text = {0};

    if (events->folder < 0)
        return;
    pod_text_add_words(&text, "\n");
    pod_event_networks(&text, plan, "connect", network);
    compose(&text, plan, "start", NULL);
    tell(events, &text);
}

void pod_event(const struct pod_plan *plan, const char *action, const char *more)
{
    struct pod_events events;

    pod_events_open(&events, plan, 0);
    pod_events_tell(&events, plan, action, more);
    pod_events_close(&events);
}

void pod_event_client(const struct pod_plan *plan)
{
    uint64_t flags = pod_plan_u64(plan, POD_KEY_FLAGS);
    const char *due = pod_plan_str(plan, POD_KEY_EVENTS);
    struct pod_events events;
    struct pod_text text = {0};

    if (flags & POD_PLAN_EXEC)
        return;
    pod_events_open(&events, plan, 0);
    if (events.folder < 0)
        return;
    for (int i = 0; i < 4; i++)
        due += strlen(due) + 1;
    pod_text_add_words(&text, "\n");
    if (*due)
        compose(&text, plan, due, NULL);
    if (!(flags & POD_PLAN_DETACH))
        compose(&text, plan, "attach", NULL);
    tell(&events, &text);
    pod_events_close(&events);
}

void pod_event_kill(const struct pod_plan *plan, int number)
{
    char more[32];

    snprintf(more, sizeof more, "\"signal\":\"%d\"", number);
    pod_event(plan, "kill", more);
}

void pod_event_die(const struct pod_events *events, const struct pod_plan *plan, int exit_code,
                   uint64_t start, const char *exec_id, const struct pod_network *network)
{
    struct timespec now;
    struct pod_text text = {0};
    char more[160];
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);

    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t seconds = (uint64_t)now.tv_sec;
    seconds = start && ticks && seconds > start / ticks ? seconds - start / ticks : 0;
    if (events->folder < 0)
        return;
    if (exec_id)
        snprintf(more, sizeof more, "\"execID\":\"%.64s\",\"exitCode\":\"%d\"", exec_id, exit_code);
    else
        snprintf(more, sizeof more, "\"execDuration\":\"%llu\",\"exitCode\":\"%d\"",
                 (unsigned long long)seconds, exit_code);
    pod_text_add_words(&text, "\n");
    compose(&text, plan, exec_id ? "exec_die" : "die", more);
    if (!exec_id)
        pod_event_networks(&text, plan, "disconnect", network);
    tell(events, &text);
}

void pod_event_exec(const struct pod_events *events, const struct pod_plan *plan,
                    const char *action, const char *exec_id)
{
    const char *word = pod_plan_str(plan, POD_KEY_ARGV);
    uint32_t count = pod_plan_strv_count(plan, POD_KEY_ARGV);
    char text[ACTION_MAX], more[96];
    int used = snprintf(text, sizeof text, "%s:", action);

    for (uint32_t i = 0; i < count && (size_t)used < sizeof text; i++, word += strlen(word) + 1)
        used += snprintf(text + used, sizeof text - (size_t)used, " %s", word);
    snprintf(more, sizeof more, "\"execID\":\"%.64s\"", exec_id);
    pod_events_tell(events, plan, text, more);
}

void pod_event_new_id(char *id)
{
    unsigned char bytes[20] = {0};
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    if (getrandom(bytes, sizeof bytes, 0) < 0)
        memset(bytes, 0, sizeof bytes);
    for (int i = 0; i < 20; i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    snprintf(id + 40, 25, "%08x%016llx", (unsigned)getpid(),
             (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000);
}
