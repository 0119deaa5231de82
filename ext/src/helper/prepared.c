/* Finds the prepared start that fits a command line, or hands over to Python. */
#define _GNU_SOURCE 1

#include "prepared.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define HASH_START 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u
#define ARGS_MARK 0x9e3779b97f4a7c15u
#define PREFIX_MAX 96
#define SMALLEST_PLAN 56
/* Seconds. A start that is recorded costs a third more, and some inputs differ each time. */
#define REASON_HOLDS 3600
#define RENEW_AFTER 10
/* A start by Python notes that the image is in use (core/image/store.py, note_use). */
#define START_LASTS 86400

struct command {
    const char *python, *folder, *pyz;
    char **words; /* "run", …; NULL-terminated */
    uint64_t seed;
};

/* FNV-1a over the string and its NUL; core/container/prepared.py has the same. */
static uint64_t hash(uint64_t state, const char *text)
{
    for (;; text++) {
        state = (state ^ (unsigned char)*text) * HASH_PRIME;
        if (!*text)
            return state;
    }
}

static uint64_t seed(const struct command *command)
{
    struct utsname host;
    char boot[64] = "";
    POD_AUTO_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    if (fd >= 0 && read(fd, boot, sizeof boot - 1) < 0)
        boot[0] = '\0';
    boot[strcspn(boot, "\n")] = '\0';
    uint64_t state = uname(&host) ? HASH_START : hash(HASH_START, host.nodename);
    return hash(hash(hash(state, boot), command->python), command->pyz);
}

/* Python goes on. HINT: 'm' nothing is known of these words, 'r' record this start, 0 neither. */
static _Noreturn void hand_over(const struct command *command, char hint)
{
    char script[PATH_MAX], text[PATH_MAX + 32];
    int count = 0;

    while (command->words[count])
        count++;
    char **argv = calloc((size_t)count + 6, sizeof *argv);
    if (argv) {
        snprintf(script, sizeof script, "%s/_pod_run.py", command->folder);
        snprintf(text, sizeof text, "%c%016llx%s/starts", hint, (unsigned long long)command->seed,
                 command->folder);
        if (hint)
            setenv("POD_PREPARED", text, 1);
        else
            unsetenv("POD_PREPARED");
        argv[0] = (char *)(uintptr_t)command->python;
        argv[1] = (char *)(uintptr_t)"-I";
        argv[2] = (char *)(uintptr_t)"-S";
        argv[3] = script;
        argv[4] = (char *)(uintptr_t)command->pyz;
        memcpy(argv + 5, command->words, (size_t)count * sizeof *argv);
        execv(argv[0], argv);
    }
    dprintf(2, "pod: start: %s: cannot be executed\n", command->python);
    _exit(125);
}

/* The file of these words, -1 where there is none; only what is ours and nobody else can write. */
static int open_file(const struct command *command, uint64_t name, struct stat *st)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/starts/%016llx", command->folder,
                 (unsigned long long)name) >= (int)sizeof path)
        return -1;
    POD_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, st) || !S_ISREG(st->st_mode) || st->st_uid != geteuid() ||
        st->st_mode & 022)
        return -1;
    return pod_steal_fd(&fd);
}

/* The words themselves, for a hash is not proof; how many of them, 0: they are others. */
static int match_words(const struct pod_plan *plan, const struct command *command)
{
    POD_AUTO_FREE char **prefix = pod_plan_strv(plan, POD_KEY_P_PREFIX, 0);
    int count = 0;

    if (!prefix || !prefix[0] || !prefix[1] || strcmp(prefix[0], command->python) ||
        strcmp(prefix[1], command->pyz))
        return 0;
    for (char **word = prefix + 2; *word; word++, count++)
        if (!command->words[count] || strcmp(*word, command->words[count]))
            return 0;
    int has_args = !!(pod_plan_u64(plan, POD_KEY_P_FLAGS) & POD_PREPARED_ARGS);
    return has_args == !!command->words[count] ? count : 0;
}

/* JSON is written byte by byte here, so bytes beyond ASCII are left to Python. */
static int is_ascii(char **words)
{
    for (; *words; words++)
        for (const char *at = *words; *at; at++)
            if ((unsigned char)*at >= 0x80)
                return 0;
    return 1;
}

static char **join(const struct pod_plan *plan, char **args)
{
    uint32_t count = 0;

    while (args[count])
        count++;
    char **argv = pod_plan_strv(plan, POD_KEY_P_ENTRY, count);
    char **end = argv;
    while (end && *end)
        end++;
    if (end)
        memcpy(end, args, count * sizeof *args);
    return argv;
}

/* The program that goes on: a sealed copy of this one in memory (CVE-2019-5736, see core/runtime/launch.py). */
static int sealed_copy(void)
{
    struct stat st;
    off_t done = 0;
    POD_AUTO_FD int source = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    POD_AUTO_FD int target =
        pod_prepared_memory("pod", MFD_CLOEXEC | MFD_ALLOW_SEALING, POD_MEMORY_EXEC);

    if (source < 0 || target < 0 || fstat(source, &st))
        return -1;
    while (done < st.st_size)
        if (sendfile(target, source, &done, (size_t)(st.st_size - done)) <= 0)
            return -1;
    if (fcntl(target, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
        return -1;
    return pod_steal_fd(&target);
}

static void become_client(struct pod_instance *instance)
{
    char number[16];
    char *argv[] = {(char *)(uintptr_t)"pod", (char *)(uintptr_t)"run", number, NULL};
    POD_AUTO_FD int helper = sealed_copy();
    POD_AUTO_FD int plan = pod_prepared_plan(instance);

    if (helper < 0 || plan < 0)
        return;
    snprintf(number, sizeof number, "%d", plan);
    fexecve(helper, argv, environ);
}

/* Whether ST was changed less than SECONDS ago; clocks may have been put back. */
static int younger(const struct stat *st, long seconds)
{
    return labs((long)(time(NULL) - st->st_mtime)) < seconds;
}

/* Returns where Python must do it: the hint for hand_over. */
static char try_file(const struct command *command, int fd, const struct stat *st)
{
    struct pod_plan plan;
    struct pod_err err;
    struct pod_instance instance = {.plan = &plan, .lock = -1};

    if (pod_plan_open(fd, &plan, &err) || !pod_plan_is_whole(&plan))
        return 'r';
    close(fd);
    int count = match_words(&plan, command);
    if (count && !is_ascii(command->words + count))
        return 0;
    int joins = !!(pod_plan_u64(&plan, POD_KEY_P_FLAGS) & POD_PREPARED_EXEC);
    if (!count || !(joins || younger(st, START_LASTS)) || !pod_prepared_holds(&plan))
        return younger(st, RENEW_AFTER) ? 0 : 'r';
    instance.args = command->words + count;
    instance.argv = join(&plan, instance.args);
    if (!instance.argv || (!joins && pod_prepared_make(&instance)))
        return 0;
    become_client(&instance);
    if (!joins)
        pod_prepared_undo(&instance);
    return 0;
}

/* Absolute, as the lean start makes it: so it does not matter from where pod.pyz was called. */
static const char *absolute(const char *path)
{
    char here[PATH_MAX], *joined = NULL;

    if (path[0] == '/' || !getcwd(here, sizeof here) || asprintf(&joined, "%s/%s", here, path) < 0)
        return path;
    return joined;
}

/* What Python's start has too, so that everything after either is the same: a closed standard stream must not become the
 * number of the lock or of the plan, and a file beyond `ulimit -f` fails with words instead of a signal. */
static void begin_like_python(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            break;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    umask(umask(077) & 077); /* as cli/main does */
}

_Noreturn void pod_prepared_main(int argc, char **argv)
{
    struct command command = {argv[0], argv[1], absolute(argv[2]), argv + 3, 0};
    int words = argc - 3;
    struct stat st;

    unsetenv("POD_PREPARED");
    begin_like_python();
    command.seed = seed(&command);
    uint64_t state = command.seed;
    for (int i = 0; i < words && i < PREFIX_MAX; i++) {
        state = hash(state, command.words[i]);
        int fd = open_file(&command, i + 1 < words ? state ^ ARGS_MARK : state, &st);
        if (fd < 0)
            continue;
        if (st.st_size > 0 && st.st_size < SMALLEST_PLAN)
            hand_over(&command, younger(&st, REASON_HOLDS) ? 0 : 'r');
        hand_over(&command, st.st_size ? try_file(&command, fd, &st) : 'r');
    }
    hand_over(&command, 'm');
}
