/* What the targets share. Each is one program: LLVMFuzzerTestOneInput of libFuzzer takes an input as often as there is time,
 * under the address and undefined-behaviour sanitizers. It must not crash, leak, hang or say what is not so: claims are
 * abort()s. Built and run by tests/fuzz/__main__.py; what it found lies in build/fuzz/found. */
#ifndef POD_FUZZ_H
#define POD_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);

/* What must hold in any case. */
#define CLAIM(what)                                                                            \
    do {                                                                                       \
        if (!(what)) {                                                                         \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what);          \
            abort();                                                                           \
        }                                                                                      \
    } while (0)

/* A memory file with these bytes, read from its start. */
int fuzz_file(const void *data, size_t size);
/* A folder of this process' own in memory where there is /dev/shm, O_RDONLY; gone when the process ends. */
int fuzz_scratch(void);
/* Text up to the next NUL of the input, or its end; a copy that the caller frees. */
char *fuzz_text(const uint8_t **data, size_t *size);
/* The checksum of every header block of a tar archive, so that a change of it is not the end of the way. */
void fuzz_mend_archive(uint8_t *data, size_t size);
/* The header of a plan: magic, version, size, build; and the number of entries kept small. */
void fuzz_mend_plan(uint8_t *data, size_t size);

#endif
