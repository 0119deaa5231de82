/* cp: an archive of a container unpacked into a folder that has something already, and that folder packed again. What pod has
 * packed it must be able to unpack, and what that gives is packed as the same bytes. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../ext/src/core/rmtree.h"
#include "../../ext/src/files/job.h"
#include "../../ext/src/layer/apart.h"
#include "fuzz.h"

int __wrap_pod_apart_start(int fd, const struct pod_extract_options *options, int userns,
                           struct pod_apart *apart, struct pod_err *err);
int __wrap_pod_apart_finish(struct pod_apart *apart, struct pod_extract_result *result,
                            struct pod_err *err);

static int scratch = -1, failed;
static struct pod_extract_result done;
static struct pod_err failure;

/* In this process, where libFuzzer sees the way, instead of in a child behind walls. */
int __wrap_pod_apart_start(int fd, const struct pod_extract_options *options, int userns,
                           struct pod_apart *apart, struct pod_err *err)
{
    (void)userns;
    (void)apart;
    (void)err;
    failed = pod_extract(fd, options, &done, &failure);
    return 0;
}

int __wrap_pod_apart_finish(struct pod_apart *apart, struct pod_extract_result *result,
                            struct pod_err *err)
{
    (void)apart;
    *(failed ? err : &failure) = failure;
    *result = done;
    return failed;
}

static void put_file(const char *name, const char *text)
{
    int fd = openat(scratch, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    CLAIM(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void begin(void)
{
    if (scratch < 0) {
        scratch = fuzz_scratch();
        CLAIM(!mkdirat(scratch, "outside", 0755));
        put_file("outside/file", "untouched");
    }
    CLAIM(!mkdirat(scratch, "one", 0755) && !mkdirat(scratch, "one/d", 0755));
    CLAIM(!mkdirat(scratch, "two", 0755));
    put_file("one/f", "there before");
    put_file("one/d/g", "there before");
    CLAIM(!symlinkat("../outside", scratch, "one/s") && !symlinkat("d", scratch, "one/l"));
}

static int unpack(int stream, const char *path)
{
    struct pod_job job = {.kind = POD_JOB_UNPACK, .dirfd = scratch, .stream = stream, .path = path};
    struct pod_job_result result = {0};
    struct pod_err err;

    CLAIM(!lseek(stream, 0, SEEK_SET));
    return pod_job_unpack(&job, NULL, &result, &err);
}

static int pack(const char *path)
{
    struct pod_job job = {.kind = POD_JOB_PACK,
                          .dirfd = scratch,
                          .stream = memfd_create("packed", MFD_CLOEXEC),
                          .path = path,
                          .base = "top",
                          .flags = POD_JOB_NO_TOP};
    struct pod_job_result result = {0};
    struct pod_err err;

    if (!pod_job_pack(&job, NULL, &result, &err))
        return job.stream;
    close(job.stream);
    return -1;
}

static int same(int first, int second)
{
    static char a[65536], b[65536];
    ssize_t got;

    for (off_t at = 0; (got = pread(first, a, sizeof a, at)) > 0; at += got)
        if (pread(second, b, sizeof b, at) != got || memcmp(a, b, (size_t)got) != 0)
            return 0;
    return lseek(first, 0, SEEK_END) == lseek(second, 0, SEEK_END);
}

static void round_trip(void)
{
    int first = pack("one"), second;

    if (first < 0)
        return; /* what the archive made cannot be read by who owns it, say */
    CLAIM(!unpack(first, "two"));
    second = pack("two");
    CLAIM(second >= 0 && same(first, second));
    close(first);
    close(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pod_err err;
    struct stat st;
    int archive;

    begin();
    archive = fuzz_file(data, size);
    unpack(archive, "one");
    round_trip();
    CLAIM(!fstatat(scratch, "outside/file", &st, 0) && st.st_size == 9 && st.st_nlink == 1);
    CLAIM(!fstatat(scratch, "outside", &st, 0) && (st.st_mode & 07777) == 0755 && st.st_nlink == 2);
    close(archive);
    CLAIM(!pod_rmtree(scratch, "one", &err) && !pod_rmtree(scratch, "two", &err));
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, room);
    if (seed % 8)
        fuzz_mend_archive(data, size);
    return size;
}
