/* SHA-256 by the library of LIBS, behind a struct of our own. */
#ifndef POD_SHA256_H
#define POD_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define POD_SHA256_SIZE 32

struct pod_sha256 {
    uint64_t state[16]; /* the library's context, 112 bytes */
};

void pod_sha256_begin(struct pod_sha256 *sha);
void pod_sha256_add(struct pod_sha256 *sha, const void *data, size_t length);
/* DIGEST: POD_SHA256_SIZE bytes. */
void pod_sha256_end(struct pod_sha256 *sha, unsigned char *digest);

#endif
