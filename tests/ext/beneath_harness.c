/* pod_open_in_root and its kin from the command line, for test_beneath.py:
 *   beneath_harness DENIED VERB ROOT PATH [FLAGS]
 * DENIED: an errno that a seccomp filter gives to openat2(2) and fchmodat2(2), 0 for none. */
#define _GNU_SOURCE 1

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "beneath.h"
#include "copytree.h"
#include "rmtree.h"

static int deny(int errnum)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 437, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 452, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)errnum),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0;
}

int main(int count, char **words)
{
    struct pod_err err;
    char name[256] = "";
    char self[64];
    char target[4096] = "";
    const char *verb = words[2];
    int flags = count > 5 ? atoi(words[5]) : O_RDONLY;
    int root = open(words[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = -1;

    if (root < 0 || (atoi(words[1]) && deny(atoi(words[1]))))
        return 2;
    memset(&err, 0, sizeof err);
    if (!strcmp(verb, "in"))
        result = pod_open_in_root(root, words[4], flags, 0644, &err);
    else if (!strcmp(verb, "beneath"))
        result = pod_open_beneath(root, words[4], flags, 0644, &err);
    else if (!strcmp(verb, "within"))
        result = pod_open_within(root, words[4], flags, &err);
    else if (!strcmp(verb, "mkdirs"))
        result = pod_mkdirs_in_root(root, words[4], 0755, &err);
    else if (!strcmp(verb, "parent"))
        result = pod_parent_in_root(root, words[4], 1, name, &err);
    else if (!strcmp(verb, "chmod"))
        result = pod_chmod_at(root, words[4], 0700, &err);
    else if (!strcmp(verb, "rmtree"))
        result = pod_rmtree(root, words[4], &err);
    if (result < 0) {
        printf("%s\n", strerrorname_np(err.errnum));
        return 1;
    }
    snprintf(self, sizeof self, "/proc/self/fd/%d", result);
    if (readlink(self, target, sizeof target - 1) < 0)
        return 2;
    printf("%s%s%s\n", target, name[0] ? " " : "", name);
    return 0;
}
