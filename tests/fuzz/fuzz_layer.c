/* An archive into a tree, as pull and cp do it: names, links, whiteouts, owners; then flattened with itself. The first byte
 * chooses how, the rest is the archive. Nothing may come to stand beside the root, and what was there stays as it is. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../ext/src/core/rmtree.h"
#include "../../ext/src/layer/extract.h"
#include "../../ext/src/layer/flatten.h"
#include "../../ext/src/layer/owners.h"
#include "fuzz.h"

static int scratch = -1;

static int made(const char *name)
{
    int fd;

    CLAIM(!mkdirat(scratch, name, 0755));
    fd = openat(scratch, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLAIM(fd >= 0);
    return fd;
}

static void begin(void)
{
    if (scratch >= 0)
        return;
    scratch = fuzz_scratch();
    close(made("outside"));
    int fd = openat(scratch, "outside/file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CLAIM(fd >= 0 && write(fd, "untouched", 9) == 9);
    close(fd);
}

/* What an archive could lead to: a link "../outside", an absolute one. */
static void check_outside(void)
{
    DIR *dir = fdopendir(openat(scratch, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat st;
    int count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    CLAIM(count == 2 + 3);
    CLAIM(!fstatat(scratch, "outside/file", &st, 0) && st.st_size == 9 && st.st_nlink == 1);
    CLAIM((st.st_mode & 07777) == 0600);
    CLAIM(!fstatat(scratch, "outside", &st, 0) && st.st_nlink == 2 && (st.st_mode & 07777) == 0755);
}

static void flatten(const struct pod_extract_options *layer)
{
    int target = openat(scratch, "flat", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int roots[2] = {layer->root_fd, layer->root_fd};
    int owners[2] = {layer->owners_fd, layer->owners_fd};
    struct pod_flatten flat = {.count = 2, .layer_fds = roots, .owners_fds = owners};
    struct pod_err err;

    flat.target_fd = target;
    flat.owners_fd = memfd_create("flat", MFD_CLOEXEC);
    pod_flatten(&flat, &err);
    close(flat.owners_fd);
    close(target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pod_extract_options options = {
        .max_bytes = 4 << 20, .max_entries = 500, .follow = -1};
    struct pod_extract_result result;
    struct pod_owners owners;
    struct pod_err err;
    int how = size ? data[0] : 0, source = fuzz_file(data + !!size, size - !!size), failed;

    begin();
    options.dialect = (enum pod_dialect)(how % 3);
    options.mapped = how >> 4 & 1;
    options.merge = how >> 5 & 1;
    options.threads = how >> 6 == 3;
    options.root_fd = made("root");
    options.owners_fd = memfd_create("owners", MFD_CLOEXEC);
    close(made("flat"));
    failed = pod_extract(source, &options, &result, &err);
    if (!failed) { /* what was written must be readable */
        CLAIM(!pod_owners_map(options.owners_fd, &owners, &err));
        pod_owners_unmap(&owners);
        if (options.dialect != POD_DIALECT_PLAIN)
            flatten(&options);
    }
    check_outside();
    close(source);
    close(options.root_fd);
    close(options.owners_fd);
    CLAIM(!pod_rmtree(scratch, "root", &err) && !pod_rmtree(scratch, "flat", &err));
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, room);
    if (seed % 8 && size)
        fuzz_mend_archive(data + 1, size - 1);
    return size;
}
