/* Names for the system calls of a traced process, and for what they are about. */
#include "faulter.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NAMES 8
#define ID_LENGTH 8 /* hexadecimal digits: so many are an id */
#define CHANGING_FLAGS (O_CREAT | O_TRUNC)

enum kind { NOTHING, DESCRIPTOR, PATH, BELOW };
#define N {NOTHING, 0}
#define F(i) {DESCRIPTOR, i}
#define P(i) {PATH, i}
#define A(i) {BELOW, i}
#define O(i) (16 + (i))
#define H(i) (32 + (i))

static const struct known {
    long number;
    const char *name;
    struct {
        enum kind kind;
        int at;
    } object[2];
    int changes;
} known[] = {
#define CALL(name, first, second, changes) {SYS_##name, #name, {first, second}, changes},
#include "faulter_calls.h"
#undef CALL
};

static struct {
    char folder[PATH_MAX];
    char word[32];
} names[NAMES];

void use_names(const char *words)
{
    char *copy = strdup(words), *rest = copy, *one;

    for (int i = 0; i < NAMES && (one = strsep(&rest, ":")); i++) {
        char *folder = strsep(&one, "=");
        if (one) {
            snprintf(names[i].folder, sizeof names[i].folder, "%s", folder);
            snprintf(names[i].word, sizeof names[i].word, "%s", one);
        }
    }
    free(copy);
}

static const struct known *entry(long number)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].number == number)
            return &known[i];
    return NULL;
}

/* A string of the process; "?" where it does not show its memory. */
static void text_at(pid_t pid, unsigned long long address, char *text, size_t size)
{
    size_t got = 0;

    while (got + 1 < size) { /* no read past a page, the next may not be there */
        size_t want = 4096 - (address + got) % 4096;
        struct iovec local = {text + got, want < size - 1 - got ? want : size - 1 - got};
        struct iovec remote = {(void *)(address + got), local.iov_len};
        ssize_t count = process_vm_readv(pid, &local, 1, &remote, 1, 0);
        if (count <= 0)
            break;
        got += (size_t)count;
        if (memchr(text, 0, got))
            return;
    }
    strcpy(text, "?");
}

int is_readable(pid_t pid, unsigned long long address)
{
    char byte;
    struct iovec local = {&byte, 1}, remote = {(void *)address, 1};

    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == 1;
}

static unsigned long long flags_at(pid_t pid, unsigned long long address)
{
    unsigned long long flags = 0;
    struct iovec local = {&flags, sizeof flags}, remote = {(void *)address, sizeof flags};

    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == sizeof flags ? flags : CHANGING_FLAGS;
}

/* fcntl(2) is many calls: those that can give an errno of the tests have names of their own. */
static const char *fcntl_name(int command)
{
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return "fcntl F_DUPFD";
    case F_SETLKW:
    case F_OFD_SETLKW:
        return "fcntl F_SETLKW";
    default:
        return "fcntl";
    }
}

void look_at(pid_t pid, long number, const unsigned long long *args, struct call *call)
{
    const struct known *found = entry(number);

    call->number = number;
    memcpy(call->args, args, sizeof call->args);
    call->name = found ? found->name : "other";
    if (number == SYS_fcntl)
        call->name = fcntl_name((int)args[1]);
    call->changes = found ? found->changes : 0;
    if (call->changes >= 32)
        call->changes = (flags_at(pid, args[call->changes - 32]) & CHANGING_FLAGS) != 0;
    else if (call->changes >= 16)
        call->changes = (args[call->changes - 16] & CHANGING_FLAGS) != 0;
}

static void link_text(pid_t pid, const char *which, char *text, size_t size)
{
    char path[64];
    ssize_t length;

    snprintf(path, sizeof path, "/proc/%d/%s", pid, which);
    length = readlink(path, text, size - 1);
    if (length < 0)
        strcpy(text, "?");
    else
        text[length] = 0;
}

static void raw_object(pid_t pid, enum kind kind, const unsigned long long *arg, char *text, size_t size)
{
    char which[32], below[OBJECT_MAX];

    if (kind == PATH || kind == BELOW)
        text_at(pid, arg[kind == BELOW], text, size);
    snprintf(which, sizeof which, "fd/%d", (int)arg[0]);
    if (kind == DESCRIPTOR)
        link_text(pid, which, text, size);
    if (kind != BELOW || *text == '/' || (int)arg[0] == AT_FDCWD)
        return;
    snprintf(below, sizeof below, "%.*s", OBJECT_MAX - 1, text);
    link_text(pid, which, text, size / 2);
    snprintf(text + strlen(text), size - strlen(text), "/%.1000s", below);
}

/* The same text for every run: folders by their words, ids as #, numbers as N. */
static void normalise(const char *from, char *to, size_t size)
{
    size_t used = 0;

    while (*from && used + 40 < size) {
        size_t hex = strspn(from, "0123456789abcdef"), digits = strspn(from, "0123456789");
        int started = used && (isalnum((unsigned char)to[used - 1]) || to[used - 1] == '_');
        int hour = digits == 2 && from[2] == ':';
        int name = 0;

        while (name < NAMES && !(*names[name].folder && strncmp(from, names[name].folder, strlen(names[name].folder)) == 0))
            name++;
        if (name < NAMES) {
            used += (size_t)snprintf(to + used, size - used, "%s", names[name].word);
            from += strlen(names[name].folder);
        } else if (hex >= ID_LENGTH) {
            to[used++] = '#';
            from += hex;
        } else if (digits && (digits > 2 || hour || !started)) {
            to[used++] = 'N';
            from += digits;
        } else {
            to[used++] = *from == '\t' || *from == '\n' ? ' ' : *from;
            from++;
        }
    }
    to[used] = 0;
}

void object_of(pid_t pid, const struct call *call, char *object)
{
    const struct known *found = entry(call->number);
    char text[2 * PATH_MAX];
    size_t used = 0;

    *object = 0;
    if (!found) {
        snprintf(object, OBJECT_MAX, "%ld", call->number);
        return;
    }
    for (int i = 0; i < 2 && found->object[i].kind != NOTHING; i++) {
        raw_object(pid, found->object[i].kind, call->args + found->object[i].at, text, sizeof text);
        if (i)
            used += (size_t)snprintf(object + used, OBJECT_MAX - used, " to ");
        normalise(text, object + used, OBJECT_MAX / 2);
        used = strlen(object);
    }
}

int asks_for(pid_t pid, const struct call *call, const char *path)
{
    char text[PATH_MAX];

    if (call->number != SYS_newfstatat && call->number != SYS_stat && call->number != SYS_faccessat2 &&
        call->number != SYS_faccessat)
        return 0;
    text_at(pid, call->args[call->number != SYS_stat], text, sizeof text);
    return strcmp(text, path) == 0;
}

int is_set_uid(pid_t pid, const struct call *call)
{
    char text[PATH_MAX];
    const char *name;

    if (call->number != SYS_execve)
        return 0;
    text_at(pid, call->args[0], text, sizeof text);
    name = strrchr(text, '/') ? strrchr(text, '/') + 1 : text;
    return strcmp(name, "newuidmap") == 0 || strcmp(name, "newgidmap") == 0;
}

/* The program is pod's: the shell or Python that begins it, or the helper out of memory. */
int is_ours(pid_t pid)
{
    char text[PATH_MAX];
    const char *name;

    link_text(pid, "exe", text, sizeof text);
    name = strrchr(text, '/') ? strrchr(text, '/') + 1 : text;
    return strncmp(text, "/memfd:", 7) == 0 || strncmp(name, "python3", 7) == 0 || strcmp(name, "dash") == 0 ||
           strcmp(name, "bash") == 0 || strncmp(name, "pod-", 4) == 0;
}

int thread_of(pid_t pid, pid_t process)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/task/%d", process, pid);
    return access(path, F_OK) == 0;
}

const char *name_of(pid_t pid)
{
    static char name[32];
    char path[64];
    FILE *file;

    strcpy(name, "?");
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    file = fopen(path, "re");
    if (file) {
        if (fgets(name, sizeof name, file))
            name[strcspn(name, "\n")] = 0;
        fclose(file);
    }
    return name;
}
