#include "sha256.h"

/* The low-level interface: since OpenSSL 3.0 EVP is preferred, but EVP would pull the provider
 * machinery (2 MB) into the one file. Both end in the same assembly. */
#define OPENSSL_SUPPRESS_DEPRECATED 1
#include <openssl/sha.h>

_Static_assert(sizeof(SHA256_CTX) <= sizeof(((struct pod_sha256 *)0)->state), "context too small");

/* libcrypto.a finds out about SHA extensions from an .init section, which linkers without crti/crtn
 * fragments drop: then it runs at a sixth of the speed. Idempotent. Not exported by the shared
 * library, which runs its own. */
void OPENSSL_cpuid_setup(void) __attribute__((weak));

void pod_sha256_begin(struct pod_sha256 *sha)
{
    if (OPENSSL_cpuid_setup)
        OPENSSL_cpuid_setup();
    SHA256_Init((SHA256_CTX *)(void *)sha->state);
}

void pod_sha256_add(struct pod_sha256 *sha, const void *data, size_t length)
{
    SHA256_Update((SHA256_CTX *)(void *)sha->state, data, length);
}

void pod_sha256_end(struct pod_sha256 *sha, unsigned char *digest)
{
    SHA256_Final(digest, (SHA256_CTX *)(void *)sha->state);
}
