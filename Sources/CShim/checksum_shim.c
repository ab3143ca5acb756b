#include "tracefwd_checksum.h"
#include <string.h>

static uint32_t portable(uint32_t crc, const uint8_t *at, size_t count) {
    while (count--) {
        crc ^= *at++;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82f63b78u & -(crc & 1));
    }
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *at, size_t count) {
    uint64_t wide = crc;
    for (; count >= 8; at += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    while (count--) crc = _mm_crc32_u8(crc, *at++);
    return crc;
}

uint32_t tracefwd_crc32c(uint32_t before, const void *bytes, size_t count) {
    if (__builtin_cpu_supports("sse4.2")) return ~by_instruction(~before, bytes, count);
    return ~portable(~before, bytes, count);
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

uint32_t tracefwd_crc32c(uint32_t before, const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    uint32_t crc = ~before;
    for (; count >= 8; at += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc = __crc32cd(crc, word);
    }
    while (count--) crc = __crc32cb(crc, *at++);
    return ~crc;
}
#else
uint32_t tracefwd_crc32c(uint32_t before, const void *bytes, size_t count) { return ~portable(~before, bytes, count); }
#endif
