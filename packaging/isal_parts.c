/* What the inflating part of ISA-L (packaging/isal.py) expects of the rest of it: the choice of the fastest function that
 * the processor has, made anew at each call of a block's length, and two functions for zlib's wrapping and for headers,
 * which live in files that would bring all of compression along. */
#include <igzip_lib.h>
#include <string.h>

typedef int decode_block(struct inflate_state *state, uint8_t *start);
typedef uint32_t checksum(uint32_t crc, const unsigned char *data, uint64_t length);

decode_block decode_huffman_code_block_stateless, decode_huffman_code_block_stateless_base;
checksum crc32_gzip_refl, crc32_gzip_refl_base, isal_adler32, isal_adler32_bam1;

#ifdef __x86_64__
#include <cpuid.h>

decode_block decode_huffman_code_block_stateless_01, decode_huffman_code_block_stateless_04;
checksum crc32_gzip_refl_by8;

enum { SSE42 = 1, CLMUL = 2, AVX2_BMI2 = 4, KNOWN = 8 };

/* Racing threads find the same. */
static unsigned features(void)
{
    static unsigned known;
    unsigned a, b, c, d;
    unsigned found = KNOWN;
    unsigned saved = 0;

    if (__atomic_load_n(&known, __ATOMIC_RELAXED))
        return __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        found |= c & bit_SSE4_2 ? SSE42 : 0;
        found |= c & bit_SSE4_1 && c & bit_PCLMUL ? CLMUL : 0;
        if (c & bit_OSXSAVE)
            __asm__("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
    }
    /* the system saves the wide registers: bits 1 and 2 of XCR0 */
    if ((saved & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_AVX2 && b & bit_BMI2)
        found |= AVX2_BMI2;
    __atomic_store_n(&known, found, __ATOMIC_RELAXED);
    return found;
}

int decode_huffman_code_block_stateless(struct inflate_state *state, uint8_t *start)
{
    if (features() & AVX2_BMI2)
        return decode_huffman_code_block_stateless_04(state, start);
    if (features() & SSE42)
        return decode_huffman_code_block_stateless_01(state, start);
    return decode_huffman_code_block_stateless_base(state, start);
}

uint32_t crc32_gzip_refl(uint32_t crc, const unsigned char *data, uint64_t length)
{
    return features() & CLMUL ? crc32_gzip_refl_by8(crc, data, length)
                              : crc32_gzip_refl_base(crc, data, length);
}

#else
#include <asm/hwcap.h>
#include <sys/auxv.h>

decode_block decode_huffman_code_block_stateless_aarch64;
checksum crc32_gzip_refl_pmull;

int decode_huffman_code_block_stateless(struct inflate_state *state, uint8_t *start)
{
    if (getauxval(AT_HWCAP) & HWCAP_CRC32)
        return decode_huffman_code_block_stateless_aarch64(state, start);
    return decode_huffman_code_block_stateless_base(state, start);
}

uint32_t crc32_gzip_refl(uint32_t crc, const unsigned char *data, uint64_t length)
{
    if (getauxval(AT_HWCAP) & HWCAP_PMULL)
        return crc32_gzip_refl_pmull(crc, data, length);
    return crc32_gzip_refl_base(crc, data, length);
}
#endif

/* Of zlib's wrapping, which pod never asks for. */
uint32_t isal_adler32(uint32_t sum, const unsigned char *data, uint64_t length)
{
    uint64_t a = sum & 0xffff;
    uint64_t b = sum >> 16;

    for (; length; length--) {
        a = (a + *data++) % 65521;
        b = (b + a) % 65521;
    }
    return (uint32_t)(b << 16 | a);
}

uint32_t isal_adler32_bam1(uint32_t sum, const unsigned char *data, uint64_t length)
{
    return isal_adler32(sum, data, length);
}

void isal_gzip_header_init(struct isal_gzip_header *header)
{
    memset(header, 0, sizeof *header);
}
