#include "CCRC32C.h"

#include <string.h>

// The reflected Castagnoli polynomial; RFC 3720, appendix B.4.
#define POLYNOMIAL 0x82f63b78u

static uint32_t table_update(uint32_t crc, const uint8_t *p, size_t n) {
    static uint32_t table[256];
    static volatile int ready;
    if (!ready) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++) c = c & 1 ? (c >> 1) ^ POLYNOMIAL : c >> 1;
            table[i] = c;  // every thread writes the same numbers: a race is harmless
        }
        ready = 1;
    }
    while (n--) crc = table[(crc ^ *p++) & 0xff] ^ (crc >> 8);
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t hardware_update(uint32_t crc, const uint8_t *p, size_t n) {
    uint64_t c = crc;
    while (n >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = _mm_crc32_u64(c, word);
        p += 8;
        n -= 8;
    }
    while (n--) c = _mm_crc32_u8((uint32_t)c, *p++);
    return (uint32_t)c;
}

static int has_hardware(void) { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

static uint32_t hardware_update(uint32_t crc, const uint8_t *p, size_t n) {
    while (n >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = __crc32cd(crc, word);
        p += 8;
        n -= 8;
    }
    while (n--) crc = __crc32cb(crc, *p++);
    return crc;
}

static int has_hardware(void) { return 1; }
#else
static uint32_t hardware_update(uint32_t crc, const uint8_t *p, size_t n) { return table_update(crc, p, n); }
static int has_hardware(void) { return 0; }
#endif

uint32_t kv_crc32c(uint32_t crc, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    crc = ~crc;
    crc = has_hardware() ? hardware_update(crc, p, length) : table_update(crc, p, length);
    return ~crc;
}
