/* What fuzz_emulator.c and its worker share. */
#ifndef POD_FUZZ_EMULATOR_H
#define POD_FUZZ_EMULATOR_H

#include <stdint.h>
#include <sys/types.h>

extern uint64_t state; /* of the random numbers; each process goes on from its parent's */
uint32_t any(uint32_t below);

/* fuzz_worker.c: random calls until it ends or is killed. */
_Noreturn void worker(void);
/* fuzz_listeners.c: more listeners than there is room for, by the socket in RUN; ZYGOTE: whom handovers are for. 0: as it should be. */
int many_listeners(const char *run, pid_t zygote);

#endif
