/* Microseconds of a call, the least of nine batches: "NAME NUMBER" a line. ARGV[1]: a folder to make files in. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char file[4096], folder[4096];
static struct stat st;

static void do_stat(void)
{
    stat("/etc/passwd", &st);
}

static void do_fstat(void)
{
    fstat(5, &st);
}

static void do_getuid(void)
{
    getuid();
}

static void do_create(void)
{
    int fd = open(file, O_CREAT | O_WRONLY, 0644);

    if (write(fd, "x", 1) != 1 || close(fd) || unlink(file))
        _exit(1);
}

static void do_mkdir(void)
{
    if (mkdir(folder, 0755) || rmdir(folder))
        _exit(1);
}

static void do_exec(void)
{
    int status;
    pid_t child = vfork();

    if (!child) {
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    if (waitpid(child, &status, 0) != child || status)
        _exit(1);
}

static const struct {
    const char *name;
    void (*run)(void);
    int count;
} rows[] = {{"stat", do_stat, 4000},          {"fstat", do_fstat, 8000},
            {"getuid", do_getuid, 20000},     {"create+write+close", do_create, 1500},
            {"mkdir+rmdir", do_mkdir, 1500},  {"vfork+exec true", do_exec, 60}};

int main(int argc, char **argv)
{
    if (argc < 2 || dup2(open("/etc/passwd", O_RDONLY), 5) != 5)
        return 2;
    snprintf(file, sizeof file, "%s/file", argv[1]);
    snprintf(folder, sizeof folder, "%s/folder", argv[1]);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double best = 1e18;
        for (int batch = 0; batch < 9; batch++) {
            struct timespec from, to;
            clock_gettime(CLOCK_MONOTONIC, &from);
            for (int n = 0; n < rows[i].count; n++)
                rows[i].run();
            clock_gettime(CLOCK_MONOTONIC, &to);
            double took =
                (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
            if (took / rows[i].count < best)
                best = took / rows[i].count;
        }
        printf("%s %.3f\n", rows[i].name, best);
    }
    return 0;
}
