/* pod-helper: the static program that is client, supervisor, launcher and exec agent.
 *
 *   pod-helper run FD                 start what the plan in FD says, and be its client
 *   pod-helper attach FD SOCKET_FD    be a client of a supervisor that runs already
 *   pod-helper start PYTHON FOLDER PYZ run …   carry a prepared start out, or hand over to Python (prepared.h)
 *   pod-helper reap PID               process 1 of a container with --init (reaper.c)
 *   pod-helper build-id               print the build id
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "launch.h"
#include "prepared.h"

static int complain(const struct pod_err *err)
{
    dprintf(2, "pod: cannot %s: %s: %s\n", pod_step_words(err->step), err->path,
            strerror(err->errnum));
    return 125;
}

/* Where a caller has closed one of 0, 1 and 2, the next file opened (a record, a lock, a socket) would get what is written to
 * it. */
static void fill_stdio(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            _exit(125);
}

int main(int argc, char **argv)
{
    struct pod_plan plan;
    struct pod_err err;

    fill_stdio();
    if (argc == 2 && !strcmp(argv[1], "build-id"))
        return dprintf(1, "%s\n", POD_BUILD_ID) < 0;
    if (argc > 5 && !strcmp(argv[1], "start"))
        pod_prepared_main(argc - 2, argv + 2);
    if (argc == 3 && !strcmp(argv[1], "reap"))
        pod_reaper_loop(atoi(argv[2]));
    int attach = argc == 4 && !strcmp(argv[1], "attach");
    if (!attach && !(argc == 3 && !strcmp(argv[1], "run"))) {
        dprintf(2, "pod: pod-helper is not for people: it is started by pod\n");
        return 125;
    }
    int fd = atoi(argv[2]);
    if (pod_plan_open(fd, &plan, &err))
        return complain(&err);
    close(fd);
    return attach ? pod_client_join(&plan, atoi(argv[3])) : pod_client_run(&plan);
}
