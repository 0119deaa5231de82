/* What fuzz_emulator.c and its worker share. */
#ifndef POD_FUZZ_EMULATOR_H
#define POD_FUZZ_EMULATOR_H

#include <stdint.h>

extern uint64_t state; /* of the random numbers; each process goes on from its parent's */
uint32_t any(uint32_t below);

/* fuzz_worker.c: random calls until it ends or is killed. */
_Noreturn void worker(void);

#endif
