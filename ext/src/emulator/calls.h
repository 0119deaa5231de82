/* The calls that are answered: one handler for each kind, found by architecture and number. */
#ifndef POD_CALLS_H
#define POD_CALLS_H

#include "tracee.h"

/* A result >= 0, a negative errno, POD_CALL_PASS or POD_CALL_GONE. The arguments lie in call->args as x86-64 has them. */
int64_t pod_call_answer(struct pod_call *call);

/* Ids (calls_ids.c). WHICH: what getuid and the like ask for. */
int64_t pod_answer_get(struct pod_call *call, int uids, int which);
int64_t pod_answer_getres(struct pod_call *call, int uids);
int64_t pod_answer_getgroups(struct pod_call *call);
enum pod_set { POD_SET, POD_SETRE, POD_SETRES, POD_SETFS };
int64_t pod_answer_set(struct pod_call *call, int uids, enum pod_set kind);
int64_t pod_answer_setgroups(struct pod_call *call);
int64_t pod_answer_prctl(struct pod_call *call);
int64_t pod_answer_exec(struct pod_call *call, int dirfd, uint64_t path, int flags);
int64_t pod_answer_peer(struct pod_call *call);
/* A filter of the caller's own (calls_confine.c): what the library in it may do from now on. */
int64_t pod_answer_confine(struct pod_call *call);

/* Owners (calls_owners.c). */
int64_t pod_answer_chown(struct pod_call *call, int dirfd, uint64_t path, uint32_t uid,
                         uint32_t gid, int flags);
int64_t pod_answer_setxattr(struct pod_call *call, int dirfd, uint64_t path, int flags);
int64_t pod_answer_stat(struct pod_call *call, int dirfd, uint64_t path, uint64_t buffer,
                        int flags);
int64_t pod_answer_statx(struct pod_call *call);

/* What is made by somebody who is not root, or in a folder that hands its group on (calls_make.c). */
int64_t pod_answer_mknod(struct pod_call *call, int dirfd, uint64_t path, uint32_t mode,
                         uint64_t device);
int64_t pod_answer_mkdir(struct pod_call *call, int dirfd, uint64_t path, uint32_t mode);
int64_t pod_answer_symlink(struct pod_call *call, uint64_t target, int dirfd, uint64_t path);
int64_t pod_answer_bind(struct pod_call *call);
int64_t pod_answer_create(struct pod_call *call, int dirfd, uint64_t path, int flags,
                          uint32_t mode);

#endif
