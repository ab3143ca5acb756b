// The inner loops of the JSON scanner, in C because Swift's SIMD types measured 47 times slower here. A run of plain text is what a JSON
// string may hold as it stands and what needs no UTF-8 check: printable ASCII but quote and backslash. SSE2 looks at 16 bytes at once;
// elsewhere, and for the last bytes of a line, 8 bytes are looked at in a register, then single ones. Nothing at or behind `end` is read.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#pragma clang assume_nonnull begin

static inline bool tracefwd_is_plain(uint8_t byte) { return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\'; }

/// A set high bit in the lowest byte of `word` that is not plain (bytes above it may be marked wrongly); 0 where all 8 are plain.
static inline uint64_t tracefwd_not_plain(uint64_t word) {
    const uint64_t ones = 0x0101010101010101u, highs = ones << 7;
    const uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
    return (word | ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & highs;
}

/// The first byte of [at, end) that is not plain, or `end`: the form for every processor.
static inline const uint8_t *tracefwd_plain_end_portable(const uint8_t *at, const uint8_t *end) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        const uint64_t found = tracefwd_not_plain(word);
        if (found) return at + (__builtin_ctzll(found) >> 3);
    }
#endif
    while (at < end && tracefwd_is_plain(*at)) at++;
    return at;
}

#if defined(__SSE2__)
/// A bit for each of 16 bytes that is not plain. The comparison is signed, so that "below 0x20" takes in all beyond ASCII.
static inline uint32_t tracefwd_not_plain_16(__m128i bytes) {
    const __m128i outside = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
    const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    const __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(outside, quote), backslash));
}
#endif

/// The first byte of [at, end) that is not plain, or `end`.
static inline const uint8_t *tracefwd_plain_end(const uint8_t *at, const uint8_t *end) {
#if defined(__SSE2__)
    for (; end - at >= 16; at += 16) {
        const uint32_t found = tracefwd_not_plain_16(_mm_loadu_si128((const __m128i *)at));
        if (found) return at + __builtin_ctz(found);
    }
#endif
    return tracefwd_plain_end_portable(at, end);
}

/// As `tracefwd_plain_end`, and copies what it passes over to `to`. Up to 15 bytes behind the copy are overwritten, never more bytes in
/// all than [at, end) holds.
static inline const uint8_t *tracefwd_plain_copy(uint8_t *to, const uint8_t *at, const uint8_t *end) {
#if defined(__SSE2__)
    for (; end - at >= 16; at += 16, to += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)at);
        _mm_storeu_si128((__m128i *)to, bytes);
        const uint32_t found = tracefwd_not_plain_16(bytes);
        if (found) return at + __builtin_ctz(found);
    }
#endif
    const uint8_t *stop = tracefwd_plain_end_portable(at, end);
    memcpy(to, at, (size_t)(stop - at));
    return stop;
}

/// Copies `count` bytes; what is short without a call.
static inline void tracefwd_copy(uint8_t *to, const uint8_t *from, size_t count) {
    if (count > 32) {
        memcpy(to, from, count);
    } else if (count >= 16) {
        uint64_t head[2], tail[2];
        memcpy(head, from, 16);
        memcpy(tail, from + count - 16, 16);
        memcpy(to, head, 16);
        memcpy(to + count - 16, tail, 16);
    } else if (count >= 8) {
        uint64_t head, tail;
        memcpy(&head, from, 8);
        memcpy(&tail, from + count - 8, 8);
        memcpy(to, &head, 8);
        memcpy(to + count - 8, &tail, 8);
    } else if (count >= 4) {
        uint32_t head, tail;
        memcpy(&head, from, 4);
        memcpy(&tail, from + count - 4, 4);
        memcpy(to, &head, 4);
        memcpy(to + count - 4, &tail, 4);
    } else {
        for (size_t i = 0; i < count; i++) to[i] = from[i];
    }
}

/// Reads 8 hexadecimal digits of either case, most significant first. False where one is none.
static inline bool tracefwd_hex32(const uint8_t *at, uint32_t *value) {
    const uint64_t ones = 0x0101010101010101u, highs = ones << 7;
    uint64_t digits;
    memcpy(&digits, at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    digits = __builtin_bswap64(digits);
#endif
    // Below 0x80, adding 0x80 - k sets the high bit of a byte that is k or more, and carries nothing into the next.
    const uint64_t ascii = digits & ~highs, lower = ascii | ones * 0x20;
    const uint64_t decimal = (ascii + ones * 0x50) & ~(ascii + ones * 0x46) & highs;
    const uint64_t letter = (lower + ones * 0x1f) & ~(lower + ones * 0x19) & highs;
    const uint64_t nibbles = (ascii & ones * 0x0f) + (letter >> 7) * 9;
    uint64_t packed = (nibbles << 4 | nibbles >> 8) & 0x00ff00ff00ff00ffu;
    packed = (packed | packed >> 8) & 0x0000ffff0000ffffu;
    *value = __builtin_bswap32((uint32_t)(packed | packed >> 16));
    return ((decimal | letter) & ~digits) == highs;
}

/// Reads 16 hexadecimal digits.
static inline bool tracefwd_hex64(const uint8_t *at, uint64_t *value) {
#if defined(__SSE2__)
    // As above, a byte of 16 each: above 0x7f both comparisons fail, since they are signed.
    const __m128i digits = _mm_loadu_si128((const __m128i *)at);
    const __m128i lower = _mm_or_si128(digits, _mm_set1_epi8(0x20));
    const __m128i decimal = _mm_and_si128(_mm_cmpgt_epi8(digits, _mm_set1_epi8('0' - 1)), _mm_cmplt_epi8(digits, _mm_set1_epi8('9' + 1)));
    const __m128i letter = _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)), _mm_cmplt_epi8(lower, _mm_set1_epi8('f' + 1)));
    const __m128i nines = _mm_and_si128(letter, _mm_set1_epi8(9));
    const __m128i nibbles = _mm_add_epi8(_mm_and_si128(digits, _mm_set1_epi8(0x0f)), nines);
    // The first nibble of each pair lies in the lower byte of a word.
    const __m128i pairs = _mm_and_si128(_mm_or_si128(_mm_slli_epi16(nibbles, 4), _mm_srli_epi16(nibbles, 8)), _mm_set1_epi16(0xff));
    *value = __builtin_bswap64((uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(pairs, pairs)));
    return _mm_movemask_epi8(_mm_or_si128(decimal, letter)) == 0xffff;
#else
    uint32_t high, low;
    const bool valid = tracefwd_hex32(at, &high) & tracefwd_hex32(at + 8, &low);
    *value = (uint64_t)high << 32 | low;
    return valid;
#endif
}

#pragma clang assume_nonnull end
