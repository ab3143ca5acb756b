// The inner loop of redaction: where in a text something may begin that is worth a closer look. In C because it looks at 64 bytes at once
// where the processor can; what it finds is only a candidate, the matchers in Swift decide.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#pragma clang assume_nonnull begin

/// What a byte may be: a sum of the values of `tracefwd_class`.
enum {
    TRACEFWD_DIGIT = 1,
    TRACEFWD_UPPER = 2,
    TRACEFWD_LOWER = 4,
    TRACEFWD_HEX_LOWER = 8,
    TRACEFWD_HEX_UPPER = 16,
    TRACEFWD_UNDERSCORE = 32,
    TRACEFWD_HYPHEN = 64,
    TRACEFWD_BASE64_SIGN = 128,
};

extern const uint8_t tracefwd_classes[256];

/// Whether the byte is of one of the classes in `mask`.
static inline bool tracefwd_is(uint8_t byte, uint8_t mask) { return (tracefwd_classes[byte] & mask) != 0; }

/// Which three ASCII bytes in a row make a candidate: up to eight groups, each a set of first, second and third bytes. A byte is in a set of
/// group n where bit n is set both for its low and for its high four bits, so sets may take in more than was asked for.
typedef struct {
    uint8_t low[3][16];
    uint8_t high[3][16];
    /// Digits, `@`, a colon before a sign other than a blank, and a dot or hyphen before two hex digits are candidates too.
    bool numbers;
} tracefwd_fingerprints;

/// Candidates among the 64 bytes from `block` on: bit n is set for `block + n`.
typedef struct {
    const uint8_t *block;
    uint64_t mask;
} tracefwd_candidates;

/// The first block of [at, end), counted in steps of 64 from `at`, that holds a candidate; a mask of 0 where none does. Bytes from `end` to
/// `limit` may be read, and be the second or third byte of a candidate, but none begins there; nothing at or behind `limit` is read.
tracefwd_candidates tracefwd_next_candidates(const uint8_t *at, const uint8_t *end, const uint8_t *limit,
                                             const tracefwd_fingerprints *fingerprints);

/// The definition of a candidate, byte by byte: what `tracefwd_next_candidates` is tested against.
bool tracefwd_is_candidate(const uint8_t *at, const uint8_t *limit, const tracefwd_fingerprints *fingerprints);

/// The first such byte of [at, end), or `end`.
static inline const uint8_t *tracefwd_find_byte(const uint8_t *at, const uint8_t *end, uint8_t byte) {
    const uint8_t *found = at < end ? memchr(at, byte, (size_t)(end - at)) : NULL;
    return found ? found : end;
}

/// The first quote or backslash of [at, end), or `end`: what ends a run inside of a JSON string.
static inline const uint8_t *tracefwd_json_run_end(const uint8_t *at, const uint8_t *end) {
#if defined(__SSE2__)
    for (; end - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)at);
        const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
        const uint32_t found = (uint32_t)_mm_movemask_epi8(_mm_or_si128(quote, backslash));
        if (found) return at + __builtin_ctz(found);
    }
#endif
    while (at < end && *at != '"' && *at != '\\') at++;
    return at;
}

#pragma clang assume_nonnull end
