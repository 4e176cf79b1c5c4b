#include "CCRC32C.h"

#include <string.h>

// The reflected Castagnoli polynomial; RFC 3720, appendix B.4.
#define POLYNOMIAL 0x82f63b78u

static uint32_t table[256];

static uint32_t table_update(uint32_t crc, const uint8_t *p, size_t n) {
    while (n--) crc = table[(crc ^ *p++) & 0xff] ^ (crc >> 8);
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
#define HARDWARE __attribute__((target("sse4.2")))
#define STEP_WORD(crc, word) ((uint32_t)_mm_crc32_u64((crc), (word)))
#define STEP_BYTE(crc, byte) _mm_crc32_u8((crc), (byte))
static int has_hardware(void) { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#define HARDWARE
#define STEP_WORD(crc, word) __crc32cd((crc), (word))
#define STEP_BYTE(crc, byte) __crc32cb((crc), (byte))
static int has_hardware(void) { return 1; }
#endif

#ifdef HARDWARE

// The instruction takes three cycles and one can start in each: three stretches of the bytes, one after the other in memory, are
// summed side by side. A sum is then carried over the stretch behind it, as if that were zeros, and joined with that one's
// own. Carrying over a fixed number of zeros is linear in the sum's bits: four look-ups, one for each byte of it.
#define LONG_STRETCH 1024
#define SHORT_STRETCH 128

static uint32_t over_long[4][256];
static uint32_t over_short[4][256];

static void fill_carry(uint32_t carry[4][256], size_t stretch) {
    static const uint8_t zeros[SHORT_STRETCH];
    for (int place = 0; place < 4; place++) {
        for (int bit = 0; bit < 8; bit++) {
            uint32_t crc = 1u << (8 * place + bit);
            for (size_t done = 0; done < stretch; done += SHORT_STRETCH) crc = table_update(crc, zeros, SHORT_STRETCH);
            carry[place][1 << bit] = crc;
        }
        for (int byte = 1; byte < 256; byte++) {
            int lowest = byte & -byte;
            carry[place][byte] = carry[place][byte ^ lowest] ^ carry[place][lowest];
        }
    }
}

static inline uint32_t carried(uint32_t carry[4][256], uint32_t crc) {
    return carry[0][crc & 0xff] ^ carry[1][crc >> 8 & 0xff] ^ carry[2][crc >> 16 & 0xff] ^ carry[3][crc >> 24];
}

static inline uint64_t word_at(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

HARDWARE static inline uint32_t three_stretches(uint32_t crc, const uint8_t *p, size_t stretch, uint32_t carry[4][256]) {
    uint32_t second = 0, third = 0;
    for (const uint8_t *end = p + stretch; p < end; p += 8) {
        crc = STEP_WORD(crc, word_at(p));
        second = STEP_WORD(second, word_at(p + stretch));
        third = STEP_WORD(third, word_at(p + 2 * stretch));
    }
    return carried(carry, carried(carry, crc) ^ second) ^ third;
}

HARDWARE static uint32_t hardware_update(uint32_t crc, const uint8_t *p, size_t n) {
    for (; n >= 3 * LONG_STRETCH; p += 3 * LONG_STRETCH, n -= 3 * LONG_STRETCH) {
        crc = three_stretches(crc, p, LONG_STRETCH, over_long);
    }
    for (; n >= 3 * SHORT_STRETCH; p += 3 * SHORT_STRETCH, n -= 3 * SHORT_STRETCH) {
        crc = three_stretches(crc, p, SHORT_STRETCH, over_short);
    }
    for (; n >= 8; p += 8, n -= 8) crc = STEP_WORD(crc, word_at(p));
    while (n--) crc = STEP_BYTE(crc, *p++);
    return crc;
}

static void fill_carries(void) {
    fill_carry(over_long, LONG_STRETCH);
    fill_carry(over_short, SHORT_STRETCH);
}

#else
static uint32_t hardware_update(uint32_t crc, const uint8_t *p, size_t n) { return table_update(crc, p, n); }
static int has_hardware(void) { return 0; }
static void fill_carries(void) {}
#endif

// Before the program's own code, so that no thread meets a table half filled.
__attribute__((constructor)) static void fill_tables(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? (c >> 1) ^ POLYNOMIAL : c >> 1;
        table[i] = c;
    }
    fill_carries();
}

uint32_t kv_crc32c(uint32_t crc, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    crc = ~crc;
    crc = has_hardware() ? hardware_update(crc, p, length) : table_update(crc, p, length);
    return ~crc;
}

uint32_t kv_crc32c_by_table(uint32_t crc, const void *bytes, size_t length) {
    return ~table_update(~crc, bytes, length);
}
