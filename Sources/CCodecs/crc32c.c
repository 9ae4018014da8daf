// SPDX-License-Identifier: Apache-2.0
//
// crc32c.c
// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78): with AVX-512 and VPCLMULQDQ, with SSE4.2 and
// PCLMULQDQ, with ARMv8's CRC and PMULL, or from tables. Chosen once, before main.
//
// The hardware forms run three lanes at once to hide the latency of the CRC instruction, and join them by a carry-less
// multiplication. With reflected words a 32x32 product stands for a(x)k(x)x, and the CRC instruction on a 64-bit word
// multiplies by x^32, so moving a lane's CRC over m bytes takes k = x^(8m-33) mod P.
//
// With AVX-512's carry-less multiplication long inputs are folded instead: 256 bytes are held as sixteen blocks of 128 bits,
// and each block, moved on by 256 bytes, is added to the one that stands there. A block moved by d bits is its first half
// times x^(d+64) plus its second half times x^d; a product of reflected words has one x too many, which the constants lack.

#include "CCodecs.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <arm_neon.h>
#include <sys/auxv.h>
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "crc32c.c reads words as little-endian"
#endif

typedef uint32_t (*crc_function)(uint32_t crc, const uint8_t *bytes, size_t count);

static const uint32_t polynomial = 0x82F63B78;

/// tables[n][b]: the CRC of byte b followed by n zero bytes.
static uint32_t tables[8][256];

static uint64_t load64(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/// `crc` moved over one zero bit: a multiplication by x modulo P.
static uint32_t times_x(uint32_t crc) {
    return (crc >> 1) ^ ((crc & 1) ? polynomial : 0);
}

static uint32_t crc_tables(uint32_t crc, const uint8_t *bytes, size_t count) {
    while (count >= 8) {
        uint64_t word = load64(bytes) ^ crc;
        crc = tables[7][word & 0xFF] ^ tables[6][(word >> 8) & 0xFF] ^ tables[5][(word >> 16) & 0xFF] ^
              tables[4][(word >> 24) & 0xFF] ^ tables[3][(word >> 32) & 0xFF] ^ tables[2][(word >> 40) & 0xFF] ^
              tables[1][(word >> 48) & 0xFF] ^ tables[0][word >> 56];
        bytes += 8;
        count -= 8;
    }
    while (count > 0) {
        crc = tables[0][(crc ^ *bytes) & 0xFF] ^ (crc >> 8);
        bytes += 1;
        count -= 1;
    }
    return crc;
}

#if defined(__x86_64__)
#define CRC_LANES 1
#define CRC_TARGET __attribute__((target("sse4.2,pclmul")))
#define CRC_NAME "sse4.2+pclmul"

CRC_TARGET static inline uint32_t step64(uint32_t crc, uint64_t word) {
    return (uint32_t)_mm_crc32_u64(crc, word);
}
CRC_TARGET static inline uint32_t step8(uint32_t crc, uint8_t byte) {
    return _mm_crc32_u8(crc, byte);
}
CRC_TARGET static inline uint64_t multiply(uint32_t a, uint32_t b) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)a), _mm_cvtsi32_si128((int)b), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}
static bool lanes_supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

#elif defined(__aarch64__) && defined(__linux__)
#define CRC_LANES 1
#define CRC_TARGET __attribute__((target("+crc+crypto")))
#define CRC_NAME "armv8 crc+pmull"

CRC_TARGET static inline uint32_t step64(uint32_t crc, uint64_t word) {
    return __crc32cd(crc, word);
}
CRC_TARGET static inline uint32_t step8(uint32_t crc, uint8_t byte) {
    return __crc32cb(crc, byte);
}
CRC_TARGET static inline uint64_t multiply(uint32_t a, uint32_t b) {
    return (uint64_t)vmull_p64((poly64_t)a, (poly64_t)b);
}
static bool lanes_supported(void) {
    // Bits 4 (PMULL) and 7 (CRC32) of AT_HWCAP, as the kernel's ABI numbers them.
    unsigned long needed = (1UL << 4) | (1UL << 7);
    return (getauxval(AT_HWCAP) & needed) == needed;
}
#endif

#if defined(CRC_LANES)
/// The longest lane in 8-byte words: 2 KiB. Longer gains nothing, since a join costs about ten cycles.
enum { lane_words_max = 256 };

/// shifts[n] = x^(64n-33) mod P, which moves a CRC over n words.
static uint32_t shifts[2 * lane_words_max + 1];

static void make_shifts(void) {
    uint32_t power = 1; // x^31: in reflected order bit 0 is the highest power
    for (int n = 1; n <= 2 * lane_words_max; n += 1) {
        shifts[n] = power;
        for (int bit = 0; bit < 64; bit += 1) { power = times_x(power); }
    }
}

/// Takes 24 * `words` bytes as three lanes of `words` words each.
CRC_TARGET static uint32_t crc_three_lanes(uint32_t crc, const uint8_t *bytes, size_t words) {
    const uint8_t *first = bytes;
    const uint8_t *second = bytes + 8 * words;
    const uint8_t *third = bytes + 16 * words;
    uint32_t a = crc, b = 0, c = 0;
    for (size_t n = 0; n < words; n += 1) {
        a = step64(a, load64(first + 8 * n));
        b = step64(b, load64(second + 8 * n));
        c = step64(c, load64(third + 8 * n));
    }
    return step64(0, multiply(a, shifts[2 * words]) ^ multiply(b, shifts[words])) ^ c;
}

CRC_TARGET static uint32_t crc_lanes(uint32_t crc, const uint8_t *bytes, size_t count) {
    // Below 192 bytes the join costs more than the lanes save.
    while (count >= 192) {
        size_t words = count / 24;
        if (words > lane_words_max) { words = lane_words_max; }
        crc = crc_three_lanes(crc, bytes, words);
        bytes += 24 * words;
        count -= 24 * words;
    }
    while (count >= 8) {
        crc = step64(crc, load64(bytes));
        bytes += 8;
        count -= 8;
    }
    while (count > 0) {
        crc = step8(crc, *bytes);
        bytes += 1;
        count -= 1;
    }
    return crc;
}
#endif

#if defined(__x86_64__)
#define FOLD_TARGET __attribute__((target("avx512f,avx512vl,avx512dq,vpclmulqdq,pclmul,sse4.2")))

/// The distances that blocks are moved by, in bits.
enum { fold_far = 2048, fold_register = 512, fold_block = 128 };
/// Shorter inputs are faster in lanes.
enum { fold_bytes_min = 1024 };

typedef struct {
    uint64_t first, second;
} fold_factor;

static fold_factor far_factor, register_factor, block_factor;

/// x^(bits+63) and x^(bits-1) mod P, reflected in 64 bits.
static fold_factor make_factor(int bits) {
    fold_factor factor = {0, 0};
    uint32_t power = 0x80000000;
    for (int n = 0; n <= bits + 63; n += 1) {
        if (n == bits - 1) { factor.second = (uint64_t)power << 32; }
        if (n == bits + 63) { factor.first = (uint64_t)power << 32; }
        power = times_x(power);
    }
    return factor;
}

static bool folding_supported(void) {
    return lanes_supported() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("vpclmulqdq");
}

static void make_factors(void) {
    far_factor = make_factor(fold_far);
    register_factor = make_factor(fold_register);
    block_factor = make_factor(fold_block);
}

/// `blocks`, moved by what `factors` stands for, plus `others`.
FOLD_TARGET static inline __m512i fold(__m512i blocks, __m512i factors, __m512i others) {
    __m512i first = _mm512_clmulepi64_epi128(blocks, factors, 0x00);
    __m512i second = _mm512_clmulepi64_epi128(blocks, factors, 0x11);
    return _mm512_ternarylogic_epi64(first, second, others, 0x96); // exclusive or of three
}

FOLD_TARGET static inline __m512i spread(fold_factor factor) {
    return _mm512_broadcast_i32x4(_mm_set_epi64x((long long)factor.second, (long long)factor.first));
}

FOLD_TARGET static uint32_t crc_folding(uint32_t crc, const uint8_t *bytes, size_t count) {
    if (count < fold_bytes_min) { return crc_lanes(crc, bytes, count); }
    __m512i a = _mm512_xor_si512(_mm512_loadu_si512(bytes), _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)crc)));
    __m512i b = _mm512_loadu_si512(bytes + 64);
    __m512i c = _mm512_loadu_si512(bytes + 128);
    __m512i d = _mm512_loadu_si512(bytes + 192);
    const __m512i far = spread(far_factor), near = spread(register_factor);
    for (bytes += 256, count -= 256; count >= 256; bytes += 256, count -= 256) {
        a = fold(a, far, _mm512_loadu_si512(bytes));
        b = fold(b, far, _mm512_loadu_si512(bytes + 64));
        c = fold(c, far, _mm512_loadu_si512(bytes + 128));
        d = fold(d, far, _mm512_loadu_si512(bytes + 192));
    }
    uint64_t words[8];
    _mm512_storeu_si512(words, fold(fold(fold(a, near, b), near, c), near, d));
    __m128i block = _mm_loadu_si128((const __m128i *)words);
    const __m128i next = _mm_set_epi64x((long long)block_factor.second, (long long)block_factor.first);
    for (int n = 1; n < 4; n += 1) {
        __m128i moved = _mm_xor_si128(_mm_clmulepi64_si128(block, next, 0x00), _mm_clmulepi64_si128(block, next, 0x11));
        block = _mm_xor_si128(moved, _mm_loadu_si128((const __m128i *)(words + 2 * n)));
    }
    crc = step64(step64(0, (uint64_t)_mm_extract_epi64(block, 0)), (uint64_t)_mm_extract_epi64(block, 1));
    return crc_lanes(crc, bytes, count);
}
#endif

static crc_function chosen = crc_tables;
static const char *chosen_name = "tables";

/// Runs while the process is loaded, before any other thread exists.
__attribute__((constructor)) static void choose(void) {
    for (uint32_t byte = 0; byte < 256; byte += 1) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit += 1) { crc = times_x(crc); }
        tables[0][byte] = crc;
    }
    for (int n = 1; n < 8; n += 1) {
        for (int byte = 0; byte < 256; byte += 1) {
            uint32_t crc = tables[n - 1][byte];
            tables[n][byte] = tables[0][crc & 0xFF] ^ (crc >> 8);
        }
    }
#if defined(CRC_LANES)
    if (lanes_supported()) {
        make_shifts();
        chosen = crc_lanes;
        chosen_name = CRC_NAME;
    }
#endif
#if defined(__x86_64__)
    if (folding_supported()) {
        make_factors();
        chosen = crc_folding;
        chosen_name = "avx512+vpclmulqdq";
    }
#endif
}

uint32_t codecs_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return ~chosen(~crc, (const uint8_t *)bytes, count);
}

uint32_t codecs_crc32c_portable(uint32_t crc, const void *bytes, size_t count) {
    return ~crc_tables(~crc, (const uint8_t *)bytes, count);
}

uint32_t codecs_crc32c_lanes(uint32_t crc, const void *bytes, size_t count) {
#if defined(CRC_LANES)
    if (lanes_supported()) { return ~crc_lanes(~crc, (const uint8_t *)bytes, count); }
#endif
    return codecs_crc32c_portable(crc, bytes, count);
}

const char *codecs_crc32c_implementation(void) {
    return chosen_name;
}
