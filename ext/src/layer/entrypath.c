#include "entrypath.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

int pod_clean_path(const char *path, char *target)
{
    size_t length = 0;

    for (;;) {
        size_t part;

        while (*path == '/')
            path++;
        part = strcspn(path, "/");
        if (!part)
            break;
        if (part == 2 && path[0] == '.' && path[1] == '.') {
            if (!length)
                return EXDEV;
            while (length && target[--length] != '/') {
            }
        } else if (part != 1 || path[0] != '.') {
            if (part > NAME_MAX || length + part + 2 > PATH_MAX)
                return ENAMETOOLONG;
            if (length)
                target[length++] = '/';
            memcpy(target + length, path, part);
            length += part;
        }
        path += part;
    }
    target[length] = '\0';
    return 0;
}

void pod_split_path(char *path, char *name)
{
    char *slash = strrchr(path, '/');

    strcpy(name, slash ? slash + 1 : path);
    *(slash ? slash : path) = '\0';
}
