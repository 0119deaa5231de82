/* The container of a prepared start, on disk: what lifecycle.create and prepare_start do, in the same order, so that a
 * kill at any instant leaves what the next command knows how to clean. */
#define _GNU_SOURCE 1

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "prepared.h"
#include "text.h"
#include "userns.h"

#define NAME_TRIES 8

static const char *const FILES[] = {"config.json", "hostname", "hosts", "resolv.conf"};
static const enum pod_plan_key TEMPLATES[] = {POD_KEY_P_CONFIG, POD_KEY_P_HOSTNAME, POD_KEY_P_HOSTS,
                                              POD_KEY_P_RESOLV};
static const char *const FOLDERS[] = {"upper", "work", "merged"};
enum { PLACE_CONTAINERS, PLACE_NAMES, PLACE_IMAGE, PLACE_RUN, PLACE_BOOT, PLACES };
#define COUNT(array) (sizeof(array) / sizeof *(array))

static void timestamp(char *text, size_t room)
{
    struct timespec now;
    struct tm parts;
    char seconds[24];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, room, "%s.%09ldZ", seconds, now.tv_nsec);
}

static int random_bytes(void *buffer, size_t length)
{
    return getrandom(buffer, length, 0) == (ssize_t)length ? 0 : -1;
}

static int identify(struct pod_instance *instance)
{
    unsigned char bytes[32];

    if (random_bytes(bytes, sizeof bytes))
        return -1;
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(instance->id + 2 * i, 3, "%02x", bytes[i]);
    timestamp(instance->created, sizeof instance->created);
    return 0;
}

static int find_places(struct pod_instance *instance)
{
    if (pod_plan_strv_count(instance->plan, POD_KEY_P_PLACES) != PLACES)
        return -1;
    const char *at = pod_plan_str(instance->plan, POD_KEY_P_PLACES);
    for (int i = 0; i < PLACES; i++, at += strlen(at) + 1)
        instance->places[i] = at;
    return 0;
}

__attribute__((format(printf, 2, 3))) static int set_path(char (*path)[4352], const char *format,
                                                          ...)
{
    __builtin_va_list arguments;

    __builtin_va_start(arguments, format);
    int length = vsnprintf(*path, sizeof *path, format, arguments);
    __builtin_va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof *path)
        return 0;
    (*path)[0] = '\0';
    return -1;
}

static int fill(int fd, mode_t mode, const char *data, size_t length, int sync)
{
    /* Bound into the container: readable for whoever it runs as, whatever the caller's umask. */
    if (mode != 0600 && fchmod(fd, mode))
        return -1;
    while (length) {
        ssize_t done = write(fd, data, length);
        if (done <= 0)
            return -1;
        data += done;
        length -= (size_t)done;
    }
    return sync ? fsync(fd) : 0;
}

/* A new file; where it cannot be filled it is gone again, and errno is not EEXIST. */
static int write_new(const char *path, mode_t mode, const char *data, size_t length, int sync)
{
    POD_AUTO_FD int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode & 0777);

    if (fd < 0)
        return -1;
    if (fill(fd, mode, data, length, sync) == 0)
        return 0;
    unlink(path);
    errno = EIO;
    return -1;
}

/* Whether the name means this start's container: it may be another's (one that has it, or one that took it over from a
 * maker stopped for seconds). */
static int owns_name(const struct pod_instance *instance)
{
    char line[65] = "";
    POD_AUTO_FD int fd = open(instance->name_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    return fd >= 0 && read(fd, line, 64) == 64 && !strcmp(line, instance->id);
}

/* One of the names, by exclusive create; where all that are tried are taken Python decides what to say. */
static int take_name(struct pod_instance *instance)
{
    POD_AUTO_FREE char **names = pod_plan_strv(instance->plan, POD_KEY_P_NAMES, 0);
    uint32_t count = 0, start;
    char line[80];

    while (names && names[count])
        count++;
    if (!count || random_bytes(&start, sizeof start))
        return -1;
    snprintf(line, sizeof line, "%s\n", instance->id);
    for (uint32_t i = 0; i < NAME_TRIES && i < count; i++) {
        instance->name = names[(start + i) % count];
        if (strchr(instance->name, '/') ||
            set_path(&instance->name_path, "%s/%s", instance->places[PLACE_NAMES], instance->name))
            return -1;
        if (write_new(instance->name_path, 0600, line, strlen(line), 0) == 0)
            return 0;
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

static void add_words(struct pod_text *text, char **words)
{
    pod_text_add(text, "[", 1);
    for (char **word = words; *word; word++) {
        if (word != words)
            pod_text_add(text, ",", 1);
        pod_text_add_quoted(text, *word);
    }
    pod_text_add(text, "]", 1);
}

static void add_mark(struct pod_text *text, const struct pod_instance *instance, char mark)
{
    static char *nothing[] = {NULL};
    char **argv = instance->argv[0] ? instance->argv : nothing;
    char number[24];

    switch (mark) {
    case POD_MARK_ID:
        return pod_text_add(text, instance->id, 64);
    case POD_MARK_SHORT_ID:
        return pod_text_add(text, instance->id, 12);
    case POD_MARK_NAME:
        return pod_text_add(text, instance->name, strlen(instance->name));
    case POD_MARK_TIME:
        return pod_text_add(text, instance->created, strlen(instance->created));
    case POD_MARK_PID:
    case POD_MARK_PID_START:
        snprintf(number, sizeof number, "%llu",
                 mark == POD_MARK_PID ? (unsigned long long)getpid()
                                      : (unsigned long long)pod_process_start(getpid()));
        return pod_text_add(text, number, strlen(number));
    case POD_MARK_PATH:
        return pod_text_add_quoted(text, argv[0] ? argv[0] : "");
    case POD_MARK_REST:
        return add_words(text, argv[0] ? argv + 1 : nothing);
    case POD_MARK_COMMAND:
        return add_words(text, instance->args);
    default:
        text->failed = 1;
    }
}

static int write_template(const struct pod_instance *instance, size_t number, const char *folder)
{
    struct pod_text text = {0};
    char path[4400];
    uint32_t length;
    const char *at = pod_plan_blob(instance->plan, TEMPLATES[number], &length);
    const char *end = at ? at + length : NULL;
    int record = TEMPLATES[number] == POD_KEY_P_CONFIG;
    int sync = record && pod_plan_u64(instance->plan, POD_KEY_P_FLAGS) & POD_PREPARED_SYNC;

    if (!at)
        return -1;
    while (at < end) {
        const char *mark = memchr(at, 1, (size_t)(end - at));
        if (!mark || mark + 1 == end) {
            text.failed |= mark != NULL;
            pod_text_add(&text, at, (size_t)(end - at));
            break;
        }
        pod_text_add(&text, at, (size_t)(mark - at));
        add_mark(&text, instance, mark[1]);
        at = mark + 2;
    }
    snprintf(path, sizeof path, "%s/%s", folder, FILES[number]);
    int failed = text.failed || write_new(path, record ? 0600 : 0644, text.bytes, text.used, sync);
    free(text.bytes);
    return failed ? -1 : 0;
}

static int make_folders(struct pod_instance *instance)
{
    char path[4400];
    const char *containers = instance->places[PLACE_CONTAINERS];

    if (set_path(&instance->final, "%s/%s", containers, instance->id) ||
        set_path(&instance->temporary, "%s/.%s.%s.%ld", containers, instance->id,
                 instance->places[PLACE_BOOT], (long)getpid()))
        return -1;
    if (mkdir(instance->temporary, 0700))
        return -1;
    for (size_t i = 0; i < COUNT(FOLDERS); i++) {
        snprintf(path, sizeof path, "%s/%s", instance->temporary, FOLDERS[i]);
        if (mkdir(path, 0700))
            return -1;
    }
    if (write_template(instance, 0, instance->temporary) ||
        rename(instance->temporary, instance->final))
        return -1;
    instance->temporary[0] = '\0';
    return 0;
}

/* From here on rmi sees the container; had it been quicker, the image's record is gone now. */
static int confirm(const struct pod_instance *instance)
{
    return owns_name(instance) ? access(instance->places[PLACE_IMAGE], F_OK) : -1;
}

/* RUN_DIR/c/<32 digits>/lock, held by this process and by what it becomes. */
static int take_lock(struct pod_instance *instance)
{
    char path[4400];

    if (set_path(&instance->run_folder, "%s/%.32s", instance->places[PLACE_RUN], instance->id) ||
        mkdir(instance->run_folder, 0700)) {
        instance->run_folder[0] = '\0';
        return -1;
    }
    snprintf(path, sizeof path, "%s/lock", instance->run_folder);
    /* Inherited by the exec that follows. */
    instance->lock = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    return instance->lock < 0 ? -1 : flock(instance->lock, LOCK_EX | LOCK_NB);
}

static int make_all(struct pod_instance *instance)
{
    if (find_places(instance) || identify(instance) || take_name(instance) ||
        make_folders(instance) || confirm(instance) || take_lock(instance))
        return -1;
    for (size_t i = 1; i < COUNT(FILES); i++)
        if (write_template(instance, i, instance->final))
            return -1;
    return 0;
}

int pod_prepared_make(struct pod_instance *instance)
{
    if (make_all(instance) == 0)
        return 0;
    pod_prepared_undo(instance);
    return -1;
}

static void remove_folder(const char *folder)
{
    char path[4400];

    for (size_t i = 0; folder[0] && i < COUNT(FILES); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, FILES[i]);
        unlink(path);
    }
    for (size_t i = 0; folder[0] && i < COUNT(FOLDERS); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, FOLDERS[i]);
        rmdir(path);
    }
    if (folder[0])
        rmdir(folder);
}

void pod_prepared_undo(struct pod_instance *instance)
{
    char path[4400];

    remove_folder(instance->temporary);
    remove_folder(instance->final);
    if (instance->name_path[0] && owns_name(instance))
        unlink(instance->name_path);
    if (instance->run_folder[0]) {
        snprintf(path, sizeof path, "%s/lock", instance->run_folder);
        unlink(path);
        rmdir(instance->run_folder);
    }
    if (instance->lock >= 0)
        close(instance->lock);
    instance->lock = -1;
}
