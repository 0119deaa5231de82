/* Who owns what, where the disk can only say "root": three places, asked in this order.
 *
 *   user.pod.owner     of files and folders: "UID:GID", or "UID:GID:c|b:MAJOR:MINOR" on the empty file that stands for a device
 *   a sidecar          of what can have no such attribute (links, FIFOs, sockets, tmpfs of old kernels; sidecar.h): the
 *                      volume's, that of all bind mounts, or the container's own, by the mount that it is seen through
 *   the layers' files  ("owners" beside a layer's tree, layer/owners.h), by the inode that the layer's file has, which
 *                      overlayfs shows also after copy-up and renaming until the container is started anew: from then on what
 *                      has attributes is known by the one that its layer's file had (layer/attributes.c), a link by its looks
 *
 * What has no record is root's, and so is what belongs to somebody else on the host: no attribute of theirs is believed, and
 * nothing is recorded about it. */
#ifndef POD_RECORDS_H
#define POD_RECORDS_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "page_writer.h"
#include "plan.h"
#include "sidecar.h"
#include "table.h"

#define POD_RECORDS_MAX 229376 /* of all sidecars together: 6 MiB */
#define POD_LAYER_RECORDS_MAX 917504 /* of all layers together */

#define POD_PLACES 64
#define POD_TOPS 128
#define POD_MOUNTS 256

enum pod_place { POD_PLACE_CONTAINER, POD_PLACE_BINDS, POD_PLACE_VOLUMES };

struct pod_owned {
    uint32_t uid, gid;
    uint32_t device; /* S_IFCHR, S_IFBLK, or 0: not a device */
    uint32_t major, minor;
};

/* A link, FIFO or socket of a layer with an owner: how its copy is known again (records_layers.c). */
struct pod_special {
    uint64_t looks; /* kind, time of change, where it leads */
    uint64_t path;
    uint32_t uid, gid;
};

struct pod_records {
    struct pod_sidecar sidecars[POD_PLACES]; /* by place */
    uint64_t devs[POD_PLACES]; /* of a volume's top: 0 in its rows */
    int places;
    /* The tops of what is mounted, and the mounts that have them (statx' mount number). */
    struct {
        uint64_t dev, ino;
        int place;
    } tops[POD_TOPS];
    struct {
        uint64_t id;
        int place;
    } mounts[POD_MOUNTS];
    int top_count, mount_count;
    uint64_t root_dev, root_mount;
    struct pod_page_file *page; /* NULL, or where records are made known */
    int fresh; /* no emulator has served this container before: what has an attribute got it in this run, or from its layer,
                  and is marked */
    int real; /* owners are the kernel's, only devices are recorded */
    int upper; /* overlayfs' upper folder, O_PATH, or -1 */
    struct pod_table own, layers, devices; /* fingerprint to ids; to kind and number, 0: none */
    struct pod_special *specials;
    uint32_t special_count;
};

/* Reads sidecars and layers, and tells PAGE (or NULL) of them; to be called where the host's paths are still there. A record that cannot be read is as none. */
void pod_records_begin(struct pod_records *records, const struct pod_plan *plan, int folder,
                       struct pod_page_file *page);
/* Below the container's root ROOTFD, which is mounted: which mount is which place. The working directory is the host's /proc,
 * here and below. */
void pod_records_settle(struct pod_records *records, int rootfd);
void pod_records_end(struct pod_records *records);

/* The owner of the open FD (O_PATH will do). 1: not what the kernel shows. */
int pod_records_get(struct pod_records *records, int fd, struct pod_owned *owned);
/* The attribute's text, LENGTH bytes and a NUL: 1, or 0 where it is not what pod_owner_text writes. */
int pod_owner_parse(const char *text, size_t length, struct pod_owned *owned);
/* Its length. */
int pod_owner_text(const struct pod_owned *owned, char *text, size_t size);

/* 0 or a negative errno. Writes nothing where that is what is known already. */
int pod_records_set(struct pod_records *records, int fd, const struct pod_owned *owned);

/* pod_mount_all() in the container's first process; what is a copy of the image's files gets the owners that these have: a tree
 * where there is no overlay, once, and volumes that get their first content. The working directory becomes PROC, the host's. */
int pod_records_mount_all(const struct pod_plan *plan, int proc, int rootfd, struct pod_err *err);

/* ---- of what only records*.c and places.c need ----------------------------- */

/* A file as it is found in the tables. */
struct pod_look {
    int place;
    uint64_t dev, ino;
    int64_t born;
    uint32_t mode, uid, gid;
};

int pod_records_look(const struct pod_records *records, int fd, struct pod_look *look);
/* The file OF, which lies in the container's root, is OWNED's: 0 or a negative errno. */
int pod_records_add(struct pod_records *records, const struct pod_look *look,
                    const struct pod_owned *owned);
/* A layer's file INO; 0 or a negative errno. */
int pod_records_add_layer(struct pod_records *records, uint64_t ino, const struct pod_owned *owned);
/* Whether a sidecar knows it. */
int pod_records_known(const struct pod_records *records, const struct pod_look *look);

/* places.c. The number of the mount that ST was read through; 0 before Linux 5.8. */
#define POD_STATX_MOUNT 0x1000u
uint64_t pod_statx_mount(const struct statx *st);
void pod_places_begin(struct pod_records *records, const struct pod_plan *plan, int folder);
/* FD is the top of something that is mounted, seen through its mount. */
void pod_places_see(struct pod_records *records, int fd);
void pod_places_settle(struct pod_records *records, int rootfd);

/* records_layers.c */
void pod_layers_begin(struct pod_records *records, const struct pod_plan *plan);
/* Links, FIFOs and sockets of layers that an earlier run copied up or moved: overlayfs had nowhere to note where they came
 * from. They are known by their looks. What has the attribute of its layer's file is marked where nothing else tells of it. */
void pod_layers_adopt(struct pod_records *records);

#endif
