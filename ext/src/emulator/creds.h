/* Sets of ids that programs believe to have. Each is kept once, under a small number, the token; a thread's token is its timer
 * slack (50000 ns + token, prctl(2)): fork inherits it, exec keeps it. Token 0 is the container's root; a slack that is no token
 * of ours, which any program may write, means 0 too. */
#ifndef POD_CREDS_H
#define POD_CREDS_H

#include <stddef.h>
#include <stdint.h>

#include "page.h"

#define POD_CREDS_GROUPS 1024 /* setgroups(2) beyond it is ENOMEM */
#define POD_CREDS_MAX \
    16384 /* sets, and bytes of them together; beyond it changes of ids are EAGAIN */
#define POD_CREDS_BYTES (4u << 20)

enum pod_id { POD_ID_REAL, POD_ID_EFFECTIVE, POD_ID_SAVED, POD_ID_FS };

enum pod_creds_flags {
    POD_CREDS_KEEP = 1, /* PR_SET_KEEPCAPS: until the next exec */
    POD_CREDS_CAPABLE = 2, /* not root any more, but with its capabilities: until the next exec */
};

struct pod_creds {
    uint32_t uid[4]; /* enum pod_id */
    uint32_t gid[4];
    uint32_t flags;
    uint32_t group_count;
    uint32_t groups[POD_CREDS_GROUPS]; /* only GROUP_COUNT of them in what is interned */
};

struct pod_creds_table {
    struct pod_creds **sets; /* by token */
    uint32_t count, bytes;
    uint32_t *slots; /* hash table of token + 1; 0 is empty */
    struct pod_page_file *page; /* NULL, or where tokens are made known (page_writer.h) */
};

/* ROOT becomes token 0. -1 without memory. */
int pod_creds_begin(struct pod_creds_table *table, const struct pod_creds *root);
/* The token of these ids, or -1 where the table is full or memory is short. */
int pod_creds_intern(struct pod_creds_table *table, const struct pod_creds *creds);
/* Those of a timer slack. */
const struct pod_creds *pod_creds_of(const struct pod_creds_table *table, uint64_t slack);

/* set*id(2) by their rules; 0 or a negative errno. (uint32_t)-1 leaves an id of setre* and setres* as it is. UIDS: user ids,
 * else group ids. */
int pod_creds_set(struct pod_creds *creds, int uids, uint32_t id);
int pod_creds_setre(struct pod_creds *creds, int uids, uint32_t real, uint32_t effective);
int pod_creds_setres(struct pod_creds *creds, int uids, const uint32_t ids[3]);
int pod_creds_setgroups(struct pod_creds *creds, const uint32_t *groups, uint32_t count);
/* setfs*id(2) says nothing: the caller returns the id from before. */
void pod_creds_setfs(struct pod_creds *creds, int uids, uint32_t id);
/* Whether CAP_SETUID, CAP_CHOWN and the like would be there. */
int pod_creds_capable(const struct pod_creds *creds);
int pod_creds_in_group(const struct pod_creds *creds, uint32_t gid);

#endif
