/* When probes run, what their results mean, and health.json. */
#include "health.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "event.h"
#include "frame.h"
#include "log.h"
#include "text.h"

#define RESULTS 5
#define OUTPUT_MAX 4096
#define FRAMES_A_TICK 32
#define NO_CODE (-1) /* as Docker says it of a probe that did not end by itself */

struct result {
    char start[40], end[40];
    int code;
    char *output; /* not terminated; NULL for none */
    size_t length;
};

struct pod_health {
    const struct pod_plan *plan;
    const struct pod_health_settings *settings;
    int dirfd;
    pid_t child;
    int running, held; /* the container: runs, is paused */
    const char *status;
    uint64_t streak;  /* failures in a row that count */
    int64_t began;    /* ms of CLOCK_MONOTONIC: the container's start */
    int64_t next;     /* when the next probe is due */
    pid_t monitor;    /* of the probe that runs, until it is reaped; 0: none */
    int socket;       /* -1: the probe's result is known */
    int64_t probed;   /* when that probe began */
    struct result now;
    char output[OUTPUT_MAX];
    int cut; /* there was more output */
    struct result results[RESULTS];
    int count;
};

struct pod_health *pod_health_new(const struct pod_plan *plan, int dirfd)
{
    uint32_t length;
    const struct pod_health_settings *settings = pod_plan_blob(plan, POD_KEY_HEALTH, &length);

    if (!settings || length != sizeof *settings || !pod_plan_has(plan, POD_KEY_HEALTH_ARGV))
        return NULL;
    struct pod_health *health = calloc(1, sizeof *health);
    if (!health)
        return NULL;
    health->plan = plan;
    health->settings = settings;
    health->dirfd = dirfd;
    health->socket = -1;
    health->status = "starting";
    return health;
}

/* --- health.json ----------------------------------------------------------------------------------------------- */

static void add_number(struct pod_text *text, long long number)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%lld", number);
    pod_text_add_words(text, digits);
}

static void compose(struct pod_text *text, const struct pod_health *health)
{
    pod_text_add_words(text, "{\"version\":1,\"Status\":\"");
    pod_text_add_words(text, health->status);
    pod_text_add_words(text, "\",\"FailingStreak\":");
    add_number(text, (long long)health->streak);
    pod_text_add_words(text, ",\"Log\":[");
    for (int i = 0; i < health->count; i++) {
        const struct result *result = health->results + i;
        pod_text_add_words(text, i ? ",{\"Start\":\"" : "{\"Start\":\"");
        pod_text_add_words(text, result->start);
        pod_text_add_words(text, "\",\"End\":\"");
        pod_text_add_words(text, result->end);
        pod_text_add_words(text, "\",\"ExitCode\":");
        add_number(text, result->code);
        pod_text_add_words(text, ",\"Output\":");
        pod_text_add_string(text, result->output, result->length);
        pod_text_add_words(text, "}");
    }
    pod_text_add_words(text, "]}\n");
}

/* A full disk leaves the old file: what is in memory goes on to be judged. */
static void write_file(const struct pod_health *health)
{
    struct pod_text text = {0};

    compose(&text, health);
    POD_AUTO_FD int fd = openat(health->dirfd, ".health",
                                O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (!text.failed && fd >= 0 && write(fd, text.bytes, text.used) == (ssize_t)text.used)
        renameat(health->dirfd, ".health", health->dirfd, "health.json");
    else
        unlinkat(health->dirfd, ".health", 0);
    free(text.bytes);
}

/* --- what results mean ----------------------------------------------------------------------------------------- */

static void set_status(struct pod_health *health, const char *status)
{
    char action[40];

    if (!strcmp(health->status, status))
        return;
    health->status = status;
    snprintf(action, sizeof action, "health_status: %s", status);
    pod_event(health->plan, action, NULL);
}

/* Takes over OUTPUT (from malloc). */
static void keep(struct pod_health *health, int code, char *output, size_t length)
{
    if (health->count == RESULTS) {
        free(health->results[0].output);
        memmove(health->results, health->results + 1, (RESULTS - 1) * sizeof *health->results);
        health->count--;
    }
    struct result *result = health->results + health->count++;
    *result = health->now;
    pod_log_now(result->end);
    result->code = code;
    result->output = output;
    result->length = output ? length : 0;
}

static int64_t interval(const struct pod_health *health, int64_t now)
{
    const struct pod_health_settings *set = health->settings;
    int young = now - health->began < (int64_t)set->start_period;

    return (int64_t)(young && !strcmp(health->status, "starting") ? set->start_interval
                                                                  : set->interval);
}

/* A failure counts unless the container is starting still, and within its start period (of when the probe began). */
static void judge(struct pod_health *health, int code)
{
    const struct pod_health_settings *set = health->settings;
    int64_t age = health->probed - health->began;

    if (code == 0) {
        health->streak = 0;
        set_status(health, "healthy");
    } else if (strcmp(health->status, "starting") || age >= (int64_t)set->start_period) {
        health->streak++;
        if (health->streak >= set->retries)
            set_status(health, "unhealthy");
    }
}

/* The probe's result: CODE, and PREFIX before what it wrote. */
static void conclude(struct pod_health *health, int code, const char *prefix)
{
    size_t before = strlen(prefix), room = before + health->now.length + 8;
    char *output = malloc(room);
    size_t length = 0;

    if (output) {
        memcpy(output, prefix, before);
        length = before;
        if (before && health->now.length) {
            memcpy(output + length, ": ", 2);
            length += 2;
        }
        memcpy(output + length, health->output, health->now.length);
        length += health->now.length;
        if (health->cut) {
            memcpy(output + length, "...", 3);
            length += 3;
        }
    }
    close(health->socket);
    health->socket = -1;
    keep(health, code, output, length);
    judge(health, code);
    write_file(health);
    int64_t now = pod_now_ms();
    health->next = now + interval(health, now);
}

/* --- a probe --------------------------------------------------------------------------------------------------- */

static void begin_probe(struct pod_health *health)
{
    pod_log_now(health->now.start);
    health->probed = pod_now_ms();
    health->now.length = 0;
    health->cut = 0;
    health->socket = pod_health_fork(health->plan, health->dirfd, health->child, &health->monitor);
    if (health->socket < 0) {
        char why[80];
        snprintf(why, sizeof why, "health check cannot be started: %s", strerror(errno));
        conclude(health, NO_CODE, why);
    }
}

static void take_output(struct pod_health *health, const char *bytes, size_t whole, size_t there)
{
    size_t room = OUTPUT_MAX - health->now.length;
    size_t taken = there < room ? there : room;

    memcpy(health->output + health->now.length, bytes, taken);
    health->now.length += taken;
    health->cut |= taken < whole;
}

static void take_failure(struct pod_health *health, const void *payload)
{
    struct pod_err err;
    char why[POD_ERR_PATH_MAX + 160];

    memcpy(&err, payload, sizeof err);
    err.path[sizeof err.path - 1] = '\0';
    snprintf(why, sizeof why, "exec failed: cannot %s: %s: %s", pod_step_words(err.step), err.path,
             strerror(err.errnum));
    conclude(health, NO_CODE, why);
}

/* One frame of the monitor. 0: there is none now. */
static int take_frame(struct pod_health *health)
{
    struct {
        struct pod_frame head;
        char payload[OUTPUT_MAX];
    } packet;
    ssize_t got = recv(health->socket, &packet, sizeof packet, MSG_DONTWAIT | MSG_TRUNC);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < (ssize_t)sizeof packet.head) {
        conclude(health, NO_CODE, "health check was killed");
        return 0;
    }
    size_t whole = (size_t)got - sizeof packet.head;
    size_t there = whole < sizeof packet.payload ? whole : sizeof packet.payload;
    if (packet.head.type == POD_FRAME_OUTPUT)
        take_output(health, packet.payload, whole, there);
    else if (packet.head.type == POD_FRAME_EXIT)
        conclude(health, (int)packet.head.value, "");
    else if (packet.head.type == POD_FRAME_FAILED && there >= sizeof(struct pod_err))
        take_failure(health, packet.payload);
    return health->socket >= 0;
}

/* Ends the probe that runs; its socket is the caller's affair. */
static void kill_probe(struct pod_health *health)
{
    if (health->monitor > 0 && pod_health_kill(health->monitor))
        health->monitor = 0;
}

static void drop_probe(struct pod_health *health)
{
    kill_probe(health);
    if (health->socket >= 0)
        close(health->socket);
    health->socket = -1;
}

/* --- the supervisor's calls ------------------------------------------------------------------------------------ */

void pod_health_begin(struct pod_health *health, pid_t child)
{
    if (!health)
        return;
    health->child = child;
    health->running = 1;
    health->held = 0;
    health->streak = 0;
    health->began = pod_now_ms();
    health->status = "starting";
    health->next = health->began + interval(health, health->began);
    write_file(health);
}

int pod_health_fill(const struct pod_health *health, struct pollfd *slot, int timeout)
{
    *slot = (struct pollfd){.fd = health ? health->socket : -1, .events = POLLIN};
    if (!health || !health->running || health->held)
        return timeout;
    int64_t due = health->next;
    if (health->socket >= 0)
        due = health->probed + (int64_t)health->settings->timeout;
    else if (health->monitor > 0)
        return timeout; /* its SIGCHLD comes first */
    int64_t left = due - pod_now_ms();
    if (left < 0)
        left = 0;
    if (left > 3600000)
        left = 3600000;
    return timeout < 0 || left < timeout ? (int)left : timeout;
}

void pod_health_tick(struct pod_health *health, int revents)
{
    if (!health || !health->running || health->held)
        return;
    for (int i = 0; revents && i < FRAMES_A_TICK && take_frame(health); i++)
        ;
    int64_t now = pod_now_ms();
    if (health->socket >= 0 && now - health->probed >= (int64_t)health->settings->timeout) {
        const char *late = pod_plan_str(health->plan, POD_KEY_HEALTH_LATE);
        kill_probe(health);
        conclude(health, NO_CODE, late ? late : "");
    } else if (health->socket < 0 && health->monitor == 0 && now >= health->next) {
        begin_probe(health);
    }
}

void pod_health_reaped(struct pod_health *health, pid_t pid)
{
    if (health && health->monitor == pid)
        health->monitor = 0;
}

void pod_health_hold(struct pod_health *health, int held)
{
    if (!health || !health->running || health->held == held)
        return;
    health->held = held;
    if (held)
        drop_probe(health);
    int64_t now = pod_now_ms();
    health->next = now + interval(health, now);
}

void pod_health_end(struct pod_health *health)
{
    if (!health || !health->running)
        return;
    health->running = 0;
    drop_probe(health);
    health->status = "unhealthy"; /* Docker's word for what runs no more */
    write_file(health);
}
