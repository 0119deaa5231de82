/* USER and groups looked up in an image's /etc/passwd and /etc/group: "USER\0GROUP\0passwd\0group". */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../ext/src/core/passwd.h"
#include "fuzz.h"

static int root = -1, files[2];

static void begin(void)
{
    static const char *const names[] = {"etc/passwd", "etc/group"};

    if (root >= 0)
        return;
    root = fuzz_scratch();
    CLAIM(!mkdirat(root, "etc", 0755));
    for (int i = 0; i < 2; i++) {
        files[i] = openat(root, names[i], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        CLAIM(files[i] >= 0);
    }
}

static void fill(int fd, const uint8_t *data, size_t size)
{
    CLAIM(!ftruncate(fd, 0) && pwrite(fd, data, size, 0) == (ssize_t)size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *user = fuzz_text(&data, &size), *group = fuzz_text(&data, &size);
    char *const extra[] = {group, NULL};
    const uint8_t *second = memchr(data, 0, size);
    size_t length = second ? (size_t)(second - data) : size;
    struct pod_user found;
    struct pod_err err;

    begin();
    fill(files[0], data, length);
    fill(files[1], data + length, size - length);
    if (!pod_user_lookup(root, user, group[0] ? extra : NULL, &found, &err)) {
        CLAIM(found.uid <= 0x7fffffff && found.gid <= 0x7fffffff);
        CLAIM(found.group_count && found.group_count <= POD_GROUPS_MAX);
        CLAIM(memchr(found.home, 0, sizeof found.home) && found.home[0]);
        for (size_t i = 0; i < found.group_count; i++)
            CLAIM(found.groups[i] <= 0x7fffffff);
    } else {
        CLAIM(memchr(err.path, 0, sizeof err.path));
    }
    free(user);
    free(group);
    return 0;
}
