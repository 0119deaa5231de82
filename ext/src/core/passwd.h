/* USER of an image or of -u, looked up in the container's own /etc/passwd and /etc/group: files that strangers wrote.
 * Bounded: at most 16 MiB of a regular file is read, longer lines than 4 KiB are passed over; nothing is allocated. */
#ifndef POD_PASSWD_H
#define POD_PASSWD_H

#include <sys/types.h>

#include "err.h"

#define POD_GROUPS_MAX 256

struct pod_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[POD_GROUPS_MAX];
    size_t group_count;
    char home[256]; /* "/" where the user has no entry */
};

/* TEXT is "", "user", "uid", "user:group" …, EXTRA a NULL-terminated vector of further groups. Numbers need no entry. Names
 * without an entry fail with step SETUID or SETGID and errno ENOENT, numbers out of range with EINVAL. Without a group
 * the passwd entry's is taken (0 if there is none) and the groups that list the user. */
int pod_user_lookup(int rootfd, const char *text, char *const *extra, struct pod_user *user,
                    struct pod_err *err);

#endif
