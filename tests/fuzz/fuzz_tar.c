/* The reader of tar streams alone: headers, PAX, GNU names, sparse maps. The bytes are the archive, decompressed or not. */
#include <string.h>
#include <unistd.h>

#include "../../ext/src/layer/tar.h"
#include "fuzz.h"

#define BYTES_MAX (4u << 20)
#define ENTRIES_MAX 4096

static void check(const struct pod_tar_entry *entry)
{
    uint64_t end = 0, stored = 0;

    CLAIM(entry->path[0]);
    CLAIM(entry->uid != UINT32_MAX && entry->gid != UINT32_MAX);
    CLAIM(!(entry->mode & ~07777u) && entry->nanoseconds < 1000000000u);
    CLAIM(entry->region_count <= POD_TAR_REGIONS_MAX);
    for (size_t i = 0; entry->sparse && i < entry->region_count; i++) {
        const struct pod_tar_region *region = entry->regions + i;
        CLAIM(region->offset >= end && region->length <= entry->size - region->offset);
        end = region->offset + region->length;
        stored += region->length;
    }
    CLAIM(!entry->sparse || stored == entry->stored);
    for (size_t i = 0; i < entry->xattr_count; i++) {
        volatile unsigned sum = (unsigned)strlen(entry->xattrs[i].name);
        for (size_t at = 0; at < entry->xattrs[i].length; at++)
            sum += entry->xattrs[i].value[at];
    }
}

static int read_data(struct pod_tar *tar, const struct pod_tar_entry *entry)
{
    const unsigned char *piece;
    uint64_t stored = entry->stored, got = 0;
    struct pod_err err;
    size_t length;

    do {
        if (pod_tar_data(tar, &piece, &length, &err))
            return -1;
        got += length;
        CLAIM(got <= stored);
    } while (length);
    CLAIM(got == stored);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pod_tar_entry *entry;
    struct pod_patience patience = {0};
    struct pod_source *source = NULL;
    struct pod_tar *tar = NULL;
    struct pod_err err;
    int fd = fuzz_file(data, size), skips = (int)(size & 1);

    if (pod_source_open(fd, -1, BYTES_MAX, 0, &patience, &source, &err) == 0 &&
        pod_tar_open(source, &tar, &err) == 0)
        for (int count = 0; count < ENTRIES_MAX && pod_tar_next(tar, &entry, &err) == 1; count++) {
            check(entry);
            if (!(skips && count & 1) && read_data(tar, entry))
                break;
        }
    pod_tar_close(&tar);
    pod_source_close(&source);
    close(fd);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, room);
    if (seed % 8)
        fuzz_mend_archive(data, size);
    return size;
}
