/* pod-helper: the static program that is client, supervisor, launcher and exec agent.
 *
 *   pod-helper run FD                 start what the plan in FD says, and be its client
 *   pod-helper attach FD SOCKET_FD    be a client of a supervisor that runs already
 *   pod-helper rmtree FOLDER          remove everything below FOLDER (the trash), and leave FOLDER
 *   pod-helper build-id               print the build id
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "rmtree.h"

static int complain(const struct pod_err *err)
{
    dprintf(2, "pod: cannot %s: %s: %s\n", pod_step_words(err->step), err->path, strerror(err->errnum));
    return 125;
}

static int empty_folder(const char *path)
{
    struct pod_err err;
    struct dirent *entry;
    int status = 0;
    DIR *folder = opendir(path);

    if (!folder) {
        pod_fail(&err, POD_UNLINK, path);
        return complain(&err);
    }
    while ((entry = readdir(folder)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
            pod_rmtree(dirfd(folder), entry->d_name, &err))
            status = complain(&err);
    closedir(folder);
    return status;
}

int main(int argc, char **argv)
{
    struct pod_plan plan;
    struct pod_err err;

    if (argc == 2 && !strcmp(argv[1], "build-id"))
        return dprintf(1, "%s\n", POD_BUILD_ID) < 0;
    if (argc == 3 && !strcmp(argv[1], "rmtree"))
        return empty_folder(argv[2]);
    int attach = argc == 4 && !strcmp(argv[1], "attach");
    if (!attach && !(argc == 3 && !strcmp(argv[1], "run"))) {
        dprintf(2, "pod: pod-helper is not for people: it is started by pod\n");
        return 125;
    }
    int fd = atoi(argv[2]);
    if (pod_plan_open(fd, &plan, &err))
        return complain(&err);
    close(fd);
    return attach ? pod_client_attach(&plan, atoi(argv[3])) : pod_client_run(&plan);
}
