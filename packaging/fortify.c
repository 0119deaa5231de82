/* Names that only glibc has and Debian's static libraries, built with _FORTIFY_SOURCE, import. Linked hidden into the
 * extensions of pod.pyz, so that they load on musl too. packaging/audit.py finds out when another one is needed. */
#include <setjmp.h>

/* OpenSSL's armcap.c leaves its probe for CPU features by siglongjmp (getauxval answers first on any Linux of ours). */
_Noreturn void __longjmp_chk(sigjmp_buf env, int value);

_Noreturn void __longjmp_chk(sigjmp_buf env, int value)
{
    siglongjmp(env, value);
}
