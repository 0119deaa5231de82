/* The emulator: answers the calls of a container with one id that need other ids (docs/root-emulation.md).
 *
 *   supervisor ──fork, when the first call waits──▶ emulator: the container's user and mount namespaces, the host's pid
 *      │  holds until then: the listener of the        namespace; not dumpable; dies with the supervisor
 *      │  first process, the socket "emu"; until then all ids are root's, and who asks for them is answered by it
 *   exec's monitor ──"emu": struct pod_handover + listener──▶ the same emulator ──one byte──▶ monitor ──▶ exec's process
 *
 * It never waits for anything but the next call: what a caller names is opened by O_PATH or made anew. */
#ifndef POD_EMULATOR_H
#define POD_EMULATOR_H

#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/types.h>

#include "page.h"
#include "passwd.h"
#include "plan.h"
#include "rights.h"

/* What a new process says beside its listener. */
struct pod_handover {
    char kind; /* 'L': root, nothing needs to be known before it runs; 'U': it waits for one byte */
    char unused[3];
    int32_t pid; /* of the process, in the host's pid namespace; filled in by its parent */
    uint32_t uid, gid, group_count;
    uint32_t groups[POD_GROUPS_MAX];
};

/* What a listener's message may be as large as (seccomp_unotify(2): newer kernels may have more than our headers). */
union pod_message {
    struct seccomp_notif notif;
    struct seccomp_notif_resp answer;
    char room[512];
};

#ifndef SECCOMP_USER_NOTIF_FLAG_CONTINUE
#define SECCOMP_USER_NOTIF_FLAG_CONTINUE 1u
#endif

struct pod_emulator {
    const struct pod_plan *plan;
    int folder; /* the container's, for the sidecar */
    int listener; /* -1: none, or the emulator has it */
    int socket; /* where execs hand theirs over; a connection in exec's monitor */
    int userns, mntns;
    int page; /* what programs see (page.h), or -1 */
    struct pod_handover first;
    pid_t pid; /* 0: not started yet */
    int asked; /* it begins with this call, which the supervisor took: */
    union pod_message call;
};

void pod_emulator_init(struct pod_emulator *emulator, const struct pod_plan *plan, int folder);
/* Makes the page in SOCKET_DIR, which process 1 shows; then, while that makes its world, the socket there, if the plan has
 * NOTIFY and is no exec's. In exec's monitor, before it joins: connects to it (missing is no failure). */
void pod_emulator_prepare(struct pod_emulator *emulator);
int pod_emulator_listen(struct pod_emulator *emulator, struct pod_err *err);
void pod_emulator_connect(struct pod_emulator *emulator);
/* Keeps the namespaces of the first process, before it stops being dumpable. */
int pod_emulator_namespaces(struct pod_emulator *emulator, pid_t child, struct pod_err *err);
/* A call waits: lets the kernel answer what it knows while it alone changed no id, else forks the emulator with the call. */
int pod_emulator_call(struct pod_emulator *emulator, struct pod_err *err);
/* Forks it, now. */
int pod_emulator_start(struct pod_emulator *emulator, struct pod_err *err);
/* Takes over LISTENER (and closes it): starts the emulator if HANDOVER asks, or hands it to the one of the container, and
 * returns once the process may go on. */
int pod_emulator_take(struct pod_emulator *emulator, const struct pod_handover *handover,
                      int listener, struct pod_err *err);
/* Kills it and waits: it holds the container's mounts. KEEPS_MOUNTS: if it never ran, mntns stays open. */
void pod_emulator_stop(struct pod_emulator *emulator, int keeps_mounts);

/* serve.c: the loop; does not return. READY gets one byte once the first process is known. */
_Noreturn void pod_emulator_serve(struct pod_emulator *emulator, int proc, int ready);

#endif
