// The inner loops of the JSON scanner, in C because Swift's SIMD types measured 47 times slower here. A run of plain text is what a JSON
// string may hold as it stands and what needs no UTF-8 check: printable ASCII but quote and backslash. SSE2 looks at 16 bytes at once;
// elsewhere, and for the last bytes of a line, 8 bytes are looked at in a register, then single ones. Nothing at or behind `end` is read.
#pragma once
#include <stdbool.h>
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

/// Reads 16 hexadecimal digits of either case, most significant first. False where one is none.
static inline bool tracefwd_hex64(const uint8_t *at, uint64_t *value) {
    uint64_t result = 0;
    uint32_t wrong = 0;
    for (int i = 0; i < 16; i++) {
        const uint32_t digit = (uint32_t)at[i] - '0', letter = ((uint32_t)at[i] | 0x20) - 'a';
        wrong |= digit > 9 && letter > 5;
        result = result << 4 | ((digit > 9 ? letter + 10 : digit) & 15);
    }
    *value = result;
    return !wrong;
}

#pragma clang assume_nonnull end
