#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "network.h"
#include "text.h"

#define HOSTS_MAX (1 << 20) /* bytes: what is larger the container has made so, and keeps */

/* In place: whoever has the file open or bound sees it. The old end goes last, so that no reader finds it empty. */
static int replace(int dirfd, const struct pod_text *text)
{
    POD_AUTO_FD int fd =
        openat(dirfd, "hosts", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);

    if (text->failed)
        errno = ENOMEM;
    if (fd < 0 || text->failed || pwrite(fd, text->bytes, text->used, 0) != (ssize_t)text->used ||
        ftruncate(fd, (off_t)text->used))
        return -1;
    return 0;
}

int pod_hosts_write(int dirfd, const char *base, const char *lines, struct pod_err *err)
{
    struct pod_text text = {0};

    pod_text_add_words(&text, base);
    pod_text_add_words(&text, lines);
    int failed = replace(dirfd, &text) ? pod_fail(err, POD_WRITE, "hosts") : 0;
    free(text.bytes);
    return failed;
}

/* The whole file with a NUL, allocated; NULL where it is none of ours any more. */
static char *content(int dirfd)
{
    struct stat st;
    POD_AUTO_FD int fd = openat(dirfd, "hosts", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > HOSTS_MAX)
        return NULL;
    char *bytes = malloc((size_t)st.st_size + 1);
    ssize_t got = bytes ? read(fd, bytes, (size_t)st.st_size) : -1;
    if (got < 0) {
        free(bytes);
        return NULL;
    }
    bytes[got] = '\0';
    return bytes;
}

void pod_hosts_change(int dirfd, const char *before, const char *lines)
{
    struct pod_text text = {0};
    char *old = content(dirfd);

    if (!old)
        return;
    const char *place = *before ? strstr(old, before) : NULL;
    if (place) {
        pod_text_add(&text, old, (size_t)(place - old));
        pod_text_add_words(&text, lines);
        pod_text_add_words(&text, place + strlen(before));
    } else {
        pod_text_add_words(&text, old);
        pod_text_add_words(&text, lines);
    }
    if (text.used)
        replace(dirfd, &text);
    free(text.bytes);
    free(old);
}
