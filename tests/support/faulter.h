/* What faulter.c needs to know about one system call of a traced process. */
#ifndef POD_TEST_FAULTER_H
#define POD_TEST_FAULTER_H
#include <sys/types.h>

#define OBJECT_MAX 1024

struct call {
    long number;
    const char *name;
    int changes;
    unsigned long long args[6];
};

/* Which call is to fail, and how. */
struct wish {
    const char *process, *call, *object;
    long number;
    int fault;
};

void use_names(const char *names);
void look_at(pid_t pid, long number, const unsigned long long *args, struct call *call);
void object_of(pid_t pid, const struct call *call, char *object);
int asks_for(pid_t pid, const struct call *call, const char *path);
int is_set_uid(pid_t pid, const struct call *call);
int is_ours(pid_t pid);
int is_readable(pid_t pid, unsigned long long address);
int thread_of(pid_t pid, pid_t process);
const char *name_of(pid_t pid);

#endif
