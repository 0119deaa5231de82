/* Pipes for splice(2): held only while bytes are in them, and a few more for the next who needs one. */
#include <fcntl.h>
#include <unistd.h>

#include "splice.h"

#define SPARE 16
#define PIPES_MAX 256
/* Of bytes; what the kernel gives otherwise (fs.pipe-user-pages-soft is the user's whole) is 64 kB or less, and works. */
#define PIPE_BYTES 262144

static struct {
    int spare[SPARE][2];
    int spares, made;
} pipes;

int pod_pipe_take(int pipe[2])
{
    if (pipes.spares) {
        pipes.spares--;
        pipe[0] = pipes.spare[pipes.spares][0];
        pipe[1] = pipes.spare[pipes.spares][1];
        return 0;
    }
    if (pipes.made >= PIPES_MAX || pipe2(pipe, O_NONBLOCK | O_CLOEXEC)) {
        pipe[0] = pipe[1] = -1;
        return -1;
    }
    fcntl(pipe[0], F_SETPIPE_SZ, PIPE_BYTES);
    pipes.made++;
    return 0;
}

void pod_pipe_give(int pipe[2], int empty)
{
    if (pipe[0] >= 0 && empty && pipes.spares < SPARE) {
        pipes.spare[pipes.spares][0] = pipe[0];
        pipes.spare[pipes.spares][1] = pipe[1];
        pipes.spares++;
    } else if (pipe[0] >= 0) {
        close(pipe[0]);
        close(pipe[1]);
        pipes.made--;
    }
    pipe[0] = pipe[1] = -1;
}

void pod_pipes_forget(void)
{
    pipes.spares = pipes.made = 0;
}
