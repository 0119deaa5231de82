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
/* sched_setscheduler, or sched_setattr (ATTR). */
int64_t pod_answer_realtime(struct pod_call *call, int attr);

/* Owners (calls_owners.c). */
int64_t pod_answer_chown(struct pod_call *call, int dirfd, uint64_t path, uint32_t uid,
                         uint32_t gid, int flags);
int64_t pod_answer_stat(struct pod_call *call, int dirfd, uint64_t path, uint64_t buffer,
                        int flags);
int64_t pod_answer_statx(struct pod_call *call);
/* What a stat is about, *FD, and its owner: 1, or 0 where the kernel's own answer is right, errors too; or POD_CALL_GONE. */
int64_t pod_find_owner(struct pod_call *call, int dirfd, uint64_t path, int flags,
                       struct pod_owned *owned, int *fd);
/* The structures of 32-bit programs (calls_narrow.c). */
int64_t pod_answer_stat_narrow(struct pod_call *call, int dirfd, uint64_t path, uint64_t buffer,
                               int flags);

/* Extended attributes (calls_xattrs.c): access lists, and the record, which nobody sees or writes. */
int64_t pod_answer_setxattr(struct pod_call *call, int dirfd, uint64_t path, uint64_t name,
                            int flags, uint64_t value, uint64_t size);
int64_t pod_answer_setxattrat(struct pod_call *call);
int64_t pod_answer_removexattr(struct pod_call *call, uint64_t name);
int64_t pod_answer_listxattr(struct pod_call *call, int dirfd, uint64_t path, int flags,
                             uint64_t list, uint64_t size);

/* What is made by somebody who is not root, or in a folder that hands its group on (calls_make.c). */
int64_t pod_answer_mknod(struct pod_call *call, int dirfd, uint64_t path, uint32_t mode,
                         uint64_t device);
int64_t pod_answer_mkdir(struct pod_call *call, int dirfd, uint64_t path, uint32_t mode);
int64_t pod_answer_symlink(struct pod_call *call, uint64_t target, int dirfd, uint64_t path);
int64_t pod_answer_bind(struct pod_call *call);
int64_t pod_answer_openat2(struct pod_call *call);
int64_t pod_answer_create(struct pod_call *call, int dirfd, uint64_t path, int flags,
                          uint32_t mode);

#endif
