/* System calls without a C library.
 *
 * The register of the sixth argument is empty afterwards: a call of fewer arguments leaves it as it is, so that a cookie left
 * there would take the next calls of the C library past the emulator. */
#ifndef POD_CALL_H
#define POD_CALL_H

#if defined(__x86_64__)
static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;

    __asm__ volatile("movq %[f], %%r9\n\tsyscall\n\txorl %%r9d, %%r9d"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), [f] "r"(f)
                     : "rcx", "r9", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;

    __asm__ volatile("mov x5, %[f]\n\tsvc 0\n\tmov x5, xzr"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), [f] "r"(f)
                     : "x5", "memory");
    return x0;
}
#else
#error "no system calls for this machine"
#endif

static inline long call4(long number, long a, long b, long c, long d)
{
    return call6(number, a, b, c, d, 0, 0);
}

#endif
