#include "tracefwd_checksum.h"
#include <pthread.h>
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

// The instruction answers after three cycles and takes a word in each: so three stretches are summed side by side, and put together. A sum
// is linear: that of a stretch behind others is the xor of its own from 0 and of theirs, moved on by as many zero bytes. `moved` holds,
// for each value of each byte of a sum, what STRETCH zero bytes make of it.
enum { STRETCH = 4096 };
static uint32_t moved[4][256];
static pthread_once_t moved_made = PTHREAD_ONCE_INIT;

static void make_moved(void) {
    static const uint8_t zeros[STRETCH];
    for (int byte = 0; byte < 4; byte++)
        for (uint32_t value = 1; value < 256; value++) {
            const uint32_t lowest = value & -value;
            moved[byte][value] = value == lowest ? by_instruction(value << 8 * byte, zeros, STRETCH)
                                                 : moved[byte][lowest] ^ moved[byte][value ^ lowest];
        }
}

static uint32_t move(uint32_t crc) {
    return moved[0][crc & 0xff] ^ moved[1][crc >> 8 & 0xff] ^ moved[2][crc >> 16 & 0xff] ^ moved[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t by_three(uint32_t crc, const uint8_t *at, size_t count) {
    pthread_once(&moved_made, make_moved);
    for (; count >= 3 * STRETCH; at += 3 * STRETCH, count -= 3 * STRETCH) {
        uint64_t one = crc, two = 0, three = 0;
        for (size_t i = 0; i < STRETCH; i += 8) {
            uint64_t words[3];
            memcpy(&words[0], at + i, 8);
            memcpy(&words[1], at + STRETCH + i, 8);
            memcpy(&words[2], at + 2 * STRETCH + i, 8);
            one = _mm_crc32_u64(one, words[0]);
            two = _mm_crc32_u64(two, words[1]);
            three = _mm_crc32_u64(three, words[2]);
        }
        crc = move(move((uint32_t)one) ^ (uint32_t)two) ^ (uint32_t)three;
    }
    return by_instruction(crc, at, count);
}

uint32_t tracefwd_crc32c(uint32_t before, const void *bytes, size_t count) {
    if (!__builtin_cpu_supports("sse4.2")) return ~portable(~before, bytes, count);
    return ~(count < 3 * STRETCH ? by_instruction(~before, bytes, count) : by_three(~before, bytes, count));
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
