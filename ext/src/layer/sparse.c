/* Maps of sparse files: GNU's old format, PAX 0.0, 0.1 (from the header, pax.c) and 1.0. */
#include "tar_reader.h"

/* GNU's old sparse header: offsets within the block. */
enum {
    GNU_SPARSE = 386,     /* 4 × {offset[12], numbytes[12]} */
    GNU_IS_EXTENDED = 482,
    GNU_REAL_SIZE = 483,
    GNU_EXTRA_IS_EXTENDED = 504, /* an extension block: 21 × {…}, then this flag */
};

static int parse_regions(struct pod_tar *tar, const unsigned char *at, int count,
                         struct pod_err *err)
{
    for (; count; count--, at += 24) {
        uint64_t offset;
        uint64_t length;

        if (!at[0])
            break;
        if (pod_tar_number((const char *)at, 12, &offset) < 0 ||
            pod_tar_number((const char *)at + 12, 12, &length) < 0)
            return pod_tar_fail(tar, POD_TAR_HEADER, EBADMSG, err);
        if (pod_pax_add_region(&tar->local, offset, length, err) < 0)
            return -1;
    }
    return 0;
}

/* GNU's old sparse format ('S'): four regions in the header, 21 in each extension block. */
static int read_gnu_sparse(struct pod_tar *tar, struct pod_err *err)
{
    int more = tar->block[GNU_IS_EXTENDED];

    tar->entry.sparse = 1;
    if (pod_tar_number((const char *)tar->block + GNU_REAL_SIZE, 12, &tar->entry.size) < 0)
        return pod_tar_fail(tar, POD_TAR_HEADER, EBADMSG, err);
    if (parse_regions(tar, tar->block + GNU_SPARSE, 4, err) < 0)
        return -1;
    for (unsigned blocks = 0; more; blocks++) {
        if (blocks > POD_TAR_REGIONS_MAX / 21)
            return pod_tar_fail(tar, POD_LIMIT, E2BIG, err);
        if (pod_tar_take(tar, tar->block, POD_TAR_BLOCK_SIZE, 0, err) < 0 ||
            parse_regions(tar, tar->block, 21, err) < 0)
            return -1;
        more = tar->block[GNU_EXTRA_IS_EXTENDED];
    }
    return 0;
}

/* A decimal line of the map that PAX sparse 1.0 has in front of the data. Taken by blocks of
 * 512. */
static int read_map_number(struct pod_tar *tar, size_t *at, uint64_t *value, struct pod_err *err)
{
    uint64_t sum = 0;

    for (int digits = 0;; digits++) {
        unsigned char byte;

        if (*at == POD_TAR_BLOCK_SIZE) {
            if (tar->left < POD_TAR_BLOCK_SIZE)
                return pod_tar_fail(tar, POD_TAR_HEADER, EBADMSG, err);
            if (pod_tar_take(tar, tar->block, POD_TAR_BLOCK_SIZE, 0, err) < 0)
                return -1;
            tar->left -= POD_TAR_BLOCK_SIZE;
            *at = 0;
        }
        byte = tar->block[(*at)++];
        if (byte == '\n' && digits)
            break;
        if (byte < '0' || byte > '9' || digits > 18)
            return pod_tar_fail(tar, POD_TAR_HEADER, EBADMSG, err);
        sum = sum * 10 + (uint64_t)(byte - '0');
    }
    *value = sum;
    return 0;
}

static int read_pax_map(struct pod_tar *tar, struct pod_err *err)
{
    size_t at = POD_TAR_BLOCK_SIZE;
    uint64_t count;

    if (read_map_number(tar, &at, &count, err) < 0)
        return -1;
    if (count > POD_TAR_REGIONS_MAX)
        return pod_tar_fail(tar, POD_LIMIT, E2BIG, err);
    tar->local.region_count = 0;
    for (; count; count--) {
        uint64_t offset;
        uint64_t length;

        if (read_map_number(tar, &at, &offset, err) < 0 ||
            read_map_number(tar, &at, &length, err) < 0 ||
            pod_pax_add_region(&tar->local, offset, length, err) < 0)
            return -1;
    }
    return 0;
}

/* Regions ascend, do not overlap, lie inside the file, and hold as many bytes as the archive
 * has. */
static int check_regions(struct pod_tar *tar, struct pod_err *err)
{
    uint64_t end = 0;
    uint64_t sum = 0;

    for (size_t i = 0; i < tar->local.region_count; i++) {
        const struct pod_tar_region *region = &tar->local.regions[i];

        if (region->offset < end || region->offset > tar->entry.size ||
            region->length > tar->entry.size - region->offset)
            return pod_tar_fail(tar, POD_TAR_HEADER, EBADMSG, err);
        end = region->offset + region->length;
        sum += region->length;
    }
    if (sum != tar->left)
        return pod_tar_fail(tar, POD_TAR_HEADER, EBADMSG, err);
    tar->entry.regions = tar->local.regions;
    tar->entry.region_count = tar->local.region_count;
    return 0;
}

int pod_tar_read_sparse(struct pod_tar *tar, char type, struct pod_err *err)
{
    const struct pod_pax *pax = &tar->local;

    if (type == 'S') {
        if (read_gnu_sparse(tar, err) < 0)
            return -1;
    } else if (pax->has & (POD_PAX_SPARSE_MAP | POD_PAX_SPARSE_MAJOR_1)) {
        if (!(pax->has & POD_PAX_SPARSE_SIZE))
            return pod_tar_fail(tar, POD_TAR_HEADER, EBADMSG, err);
        tar->entry.sparse = 1;
        tar->entry.size = pax->sparse_size;
        if (pax->has & POD_PAX_SPARSE_MAJOR_1 && read_pax_map(tar, err) < 0)
            return -1;
    } else {
        return 0;
    }
    return check_regions(tar, err);
}
