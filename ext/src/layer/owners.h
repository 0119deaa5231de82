/* The owners record: what a layer's entries carry that its tree on disk cannot hold (ids outside
 * the map, devices, security attributes). One file beside the tree, read by mmap and binary search.
 * Little-endian, version 1:
 *
 *   header, 64 bytes          records, each 8-aligned                     index
 *    0  8  "podowner"          0 u32  length, padding included             count × u64, offsets of records,
 *    8 u32 version = 1         4 u32  flags (enum pod_owner_flags)         ascending by path
 *   12 u32 header size = 64    8 u32  uid
 *   16 u64 count              12 u32  gid
 *   24 u64 offset of index    16 u32  mode, type bits included (stat's st_mode)
 *   32 u64 file size          20 u32  device major
 *   40 u64 hard links that    24 u32  device minor
 *      are copies             28 u16  bytes of path
 *   48 zero                   30 u16  extended attributes
 *                             32      path, NUL; then per attribute: u16 bytes of name, u32 bytes of value, name, value
 *
 * Paths are relative to the layer, without "." or "..", and go through no link; "" is the layer's
 * root. They are compared bytewise with "/" below every other byte, so that a directory is followed
 * by what lies in it. An entry without a record is 0:0 and as stat says.
 *
 * Writing: records go to the file in the order of the archive through one 64 KiB buffer; in memory
 * stays an offset of 8 bytes each. At the end the file is mapped, the offsets are sorted (heapsort,
 * in place), records that later ones replaced are left out of the index (not of the file). So
 * memory is 8 bytes per entry with a record, bounded by the limit on entries. */
#ifndef POD_OWNERS_H
#define POD_OWNERS_H

#include "tar.h"

#define POD_OWNERS_MAGIC "podowner"
#define POD_OWNERS_VERSION 1

enum pod_owner_flags {
    POD_OWNER_IDS = 1, /* uid and gid are not those on disk */
    POD_OWNER_DEVICE = 2, /* an empty regular file stands for a device: mode, major, minor */
    POD_OWNER_XATTRS = 4, /* attributes that the disk refused */
    /* Only while writing: nothing recorded so far holds for the path and below. */
    POD_OWNER_REMOVED = 8,
};

struct pod_owner {
    const char *path; /* NUL-terminated */
    size_t path_length;
    uint32_t flags;
    uint32_t uid;
    uint32_t gid;
    uint32_t mode;
    uint32_t major;
    uint32_t minor;
    size_t xattr_count;
    const struct pod_tar_xattr *xattrs; /* writing only; read them by pod_owners_xattr */
    const unsigned char *packed; /* reading only */
    size_t packed_length;
};

struct pod_owners_writer;

/* FD: an empty file open for reading and writing. */
int pod_owners_begin(int fd, struct pod_owners_writer **writer, struct pod_err *err);
int pod_owners_add(struct pod_owners_writer *writer, const struct pod_owner *owner,
                   struct pod_err *err);
/* The path was removed or replaced by something that needs no record. Free where nothing was
 * recorded yet. */
int pod_owners_remove(struct pod_owners_writer *writer, const char *path, struct pod_err *err);
/* A record that was read elsewhere, as it is. */
int pod_owners_add_read(struct pod_owners_writer *writer, const struct pod_owner *owner,
                        struct pod_err *err);
/* Whether PATH is a device by what was recorded so far: 1 and *device, of which only mode, major and
 * minor are set. *VISITS counts the records that were looked at: those of devices, mostly. */
int pod_owners_find_device(struct pod_owners_writer *writer, const char *path,
                           struct pod_owner *device, uint64_t *visits, struct pod_err *err);
/* A hard link became a copy: the header tells how many. */
void pod_owners_count_copy(struct pod_owners_writer *writer);
/* Sorts, and writes index and header. */
int pod_owners_end(struct pod_owners_writer *writer, struct pod_err *err);
void pod_owners_close(struct pod_owners_writer **writer);

/* A mapped record, checked once as a whole: every offset and length lies inside. */
struct pod_owners {
    const unsigned char *data;
    size_t size;
    size_t count;
    const uint64_t *index;
};

/* A file that is no owners record of this version is EBADMSG, step OWNERS. */
int pod_owners_map(int fd, struct pod_owners *owners, struct pod_err *err);
void pod_owners_at(const struct pod_owners *owners, size_t position, struct pod_owner *owner);
/* 1 and *owner, or 0. */
int pod_owners_find(const struct pod_owners *owners, const char *path, struct pod_owner *owner);
/* The records of PATH ("" is the root) and of what lies below it are those from *FIRST on, before
 * *END; the one of PATH itself, if there is one, comes first: then 1. */
int pod_owners_range(const struct pod_owners *owners, const char *path, size_t length,
                     size_t *first, size_t *end);
/* The attribute at *AT of owner->packed (start at 0, moved on); name is not NUL-terminated. 0 when
 * there is none left. */
int pod_owners_xattr(const struct pod_owner *owner, size_t *at, const char **name,
                     size_t *name_length, const unsigned char **value, size_t *value_length);
void pod_owners_unmap(struct pod_owners *owners);

#endif
