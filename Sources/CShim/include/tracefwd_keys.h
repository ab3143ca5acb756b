// A key of a JSON object as it stood in a line, so that the same bytes are known again without reading them one by one. In C for its SIMD, as
// tracefwd_scan.h is.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#pragma clang assume_nonnull begin

/// The most bytes that a key may take to be known again, and the bytes that `tracefwd_key_stands` reads.
enum { tracefwd_key_room = 48 };

/// What stood in a line from behind a brace or comma to the key's value, and what was found out about the key.
struct tracefwd_key {
    uint8_t bytes[tracefwd_key_room];
    /// A bit for each of `bytes` that counts; a bit beyond all of them where none do: that stands nowhere.
    uint64_t mask;
    uint32_t hash;
    /// How many bytes count, and where among them the key's text is.
    uint8_t length, text_at, text_count;
    /// Which set of names was asked last whether it holds the key, and the answer.
    uint8_t asked, answer;
};

/// Whether all that counts stands at `at`.
static inline bool tracefwd_key_is(const struct tracefwd_key *key, const uint8_t *at) {
    const size_t length = key->length;
    if (length < 8) return memcmp(at, key->bytes, length) == 0;
    uint64_t left, right;
    for (size_t i = 0; i + 8 < length; i += 8) {
        memcpy(&left, at + i, 8);
        memcpy(&right, key->bytes + i, 8);
        if (left != right) return false;
    }
    memcpy(&left, at + length - 8, 8);
    memcpy(&right, key->bytes + length - 8, 8);
    return left == right;
}

/// The same at once. 48 bytes of `at` are read.
static inline bool tracefwd_key_stands(const struct tracefwd_key *key, const uint8_t *at) {
#if defined(__SSE2__)
    uint64_t equal = 0;
    for (int block = tracefwd_key_room - 16; block >= 0; block -= 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(at + block));
        const __m128i known = _mm_loadu_si128((const __m128i *)(key->bytes + block));
        equal = equal << 16 | (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, known));
    }
    return (key->mask & ~equal) == 0;
#else
    return key->length > 0 && tracefwd_key_is(key, at);
#endif
}

/// Keeps `length` bytes of [at, ...), or none where they are too many.
static inline void tracefwd_key_keep(struct tracefwd_key *key, const uint8_t *at, size_t length) {
    const bool fits = length > 0 && length <= tracefwd_key_room;
    if (fits) memcpy(key->bytes, at, length);
    key->length = fits ? (uint8_t)length : 0;
    key->mask = fits ? ((uint64_t)1 << length) - 1 : (uint64_t)1 << 63;
    key->asked = 0;
}

#pragma clang assume_nonnull end
