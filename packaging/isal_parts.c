/* What the parts of ISA-L that packaging/isal.py takes expect of the rest of it: the choice of the fastest function that the
 * processor has, made anew at each call of a block's length, and a function for zlib's wrapping. */
#include <igzip_lib.h>
#include <encode_df.h>
#include <huff_codes.h>

typedef int decode_block(struct inflate_state *state, uint8_t *start);
typedef uint32_t checksum(uint32_t crc, const unsigned char *data, uint64_t length);

decode_block decode_huffman_code_block_stateless, decode_huffman_code_block_stateless_base;
checksum crc32_gzip_refl, crc32_gzip_refl_base, isal_adler32;

typedef void step(struct isal_zstream *stream);
typedef struct deflate_icf *encode(struct deflate_icf *next_in, struct deflate_icf *end_in,
                                   struct BitBuf2 *bb, struct hufftables_icf *hufftables);
typedef void hash(uint16_t *table, uint32_t mask, uint32_t index, uint8_t *data, uint32_t length);
typedef void match(uint8_t *next_in, uint64_t processed, uint64_t size, struct deflate_icf *lookup);
typedef uint64_t find(struct isal_zstream *stream, struct deflate_icf *lookup, uint32_t size);

step isal_deflate_icf_body_lvl1, isal_deflate_icf_finish_lvl1, isal_deflate_icf_body_hash_hist_base,
    isal_deflate_icf_finish_hash_hist_base;
encode encode_deflate_icf, encode_deflate_icf_base;

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

step isal_deflate_icf_body_hash_hist_01, isal_deflate_icf_body_hash_hist_04,
    isal_deflate_icf_finish_hash_hist_01;
encode encode_deflate_icf_04;

void isal_deflate_icf_body_lvl1(struct isal_zstream *stream)
{
    if (features() & AVX2_BMI2)
        isal_deflate_icf_body_hash_hist_04(stream);
    else if (features() & SSE42)
        isal_deflate_icf_body_hash_hist_01(stream);
    else
        isal_deflate_icf_body_hash_hist_base(stream);
}

void isal_deflate_icf_finish_lvl1(struct isal_zstream *stream)
{
    if (features() & SSE42)
        isal_deflate_icf_finish_hash_hist_01(stream);
    else
        isal_deflate_icf_finish_hash_hist_base(stream);
}

struct deflate_icf *encode_deflate_icf(struct deflate_icf *next_in, struct deflate_icf *end_in,
                                       struct BitBuf2 *bb, struct hufftables_icf *hufftables)
{
    if (features() & AVX2_BMI2)
        return encode_deflate_icf_04(next_in, end_in, bb, hufftables);
    return encode_deflate_icf_base(next_in, end_in, bb, hufftables);
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
step isal_deflate_icf_body_hash_hist_aarch64, isal_deflate_icf_finish_hash_hist_aarch64;
encode encode_deflate_icf_aarch64;

void isal_deflate_icf_body_lvl1(struct isal_zstream *stream)
{
    if (getauxval(AT_HWCAP) & HWCAP_CRC32)
        isal_deflate_icf_body_hash_hist_aarch64(stream);
    else
        isal_deflate_icf_body_hash_hist_base(stream);
}

void isal_deflate_icf_finish_lvl1(struct isal_zstream *stream)
{
    if (getauxval(AT_HWCAP) & HWCAP_CRC32)
        isal_deflate_icf_finish_hash_hist_aarch64(stream);
    else
        isal_deflate_icf_finish_hash_hist_base(stream);
}

struct deflate_icf *encode_deflate_icf(struct deflate_icf *next_in, struct deflate_icf *end_in,
                                       struct BitBuf2 *bb, struct hufftables_icf *hufftables)
{
    return encode_deflate_icf_aarch64(next_in, end_in, bb, hufftables);
}
#endif

/* Other levels, which pod never asks for, but the ways to which are code in the same files. */
step isal_deflate_body, isal_deflate_body_base, isal_deflate_finish, isal_deflate_finish_base,
    isal_deflate_icf_body_lvl2, isal_deflate_icf_body_lvl3, icf_body_hash1_fillgreedy_lazy,
    isal_deflate_icf_finish_lvl2, isal_deflate_icf_finish_lvl3,
    isal_deflate_icf_finish_hash_map_base;
hash isal_deflate_hash_lvl0, isal_deflate_hash_lvl1, isal_deflate_hash_lvl2, isal_deflate_hash_lvl3,
    isal_deflate_hash_base;
match set_long_icf_fg, set_long_icf_fg_base;
find gen_icf_map_lh1, gen_icf_map_h1_base;
void isal_update_histogram_base(uint8_t *data, int length, struct isal_huff_histogram *histogram);

#define SAME(name, other) \
    void name(struct isal_zstream *stream) \
    { \
        other(stream); \
    }

SAME(isal_deflate_body, isal_deflate_body_base)
SAME(isal_deflate_finish, isal_deflate_finish_base)
SAME(isal_deflate_icf_body_lvl2, isal_deflate_icf_body_hash_hist_base)
SAME(isal_deflate_icf_body_lvl3, icf_body_hash1_fillgreedy_lazy)
SAME(isal_deflate_icf_finish_lvl2, isal_deflate_icf_finish_hash_hist_base)
SAME(isal_deflate_icf_finish_lvl3, isal_deflate_icf_finish_hash_map_base)

#define SAME_HASH(name) \
    void name(uint16_t *table, uint32_t mask, uint32_t index, uint8_t *data, uint32_t length) \
    { \
        isal_deflate_hash_base(table, mask, index, data, length); \
    }

SAME_HASH(isal_deflate_hash_lvl0)
SAME_HASH(isal_deflate_hash_lvl1)
SAME_HASH(isal_deflate_hash_lvl2)
SAME_HASH(isal_deflate_hash_lvl3)

void set_long_icf_fg(uint8_t *next_in, uint64_t processed, uint64_t size,
                     struct deflate_icf *lookup)
{
    set_long_icf_fg_base(next_in, processed, size, lookup);
}

uint64_t gen_icf_map_lh1(struct isal_zstream *stream, struct deflate_icf *lookup, uint32_t size)
{
    return gen_icf_map_h1_base(stream, lookup, size);
}

void isal_update_histogram(uint8_t *data, int length, struct isal_huff_histogram *histogram)
{
    isal_update_histogram_base(data, length, histogram);
}

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
