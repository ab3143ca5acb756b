#include "tracefwd_candidates.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define D TRACEFWD_DIGIT
#define U TRACEFWD_UPPER
#define L TRACEFWD_LOWER
#define HU (TRACEFWD_UPPER | TRACEFWD_HEX_UPPER)
#define HL (TRACEFWD_LOWER | TRACEFWD_HEX_LOWER)
#define B TRACEFWD_BASE64_SIGN
const uint8_t tracefwd_classes[256] = {
    ['0'] = D,  ['1'] = D,  ['2'] = D,  ['3'] = D,  ['4'] = D,  ['5'] = D,  ['6'] = D, ['7'] = D, ['8'] = D, ['9'] = D,
    ['A'] = HU, ['B'] = HU, ['C'] = HU, ['D'] = HU, ['E'] = HU, ['F'] = HU, ['G'] = U, ['H'] = U, ['I'] = U, ['J'] = U,
    ['K'] = U,  ['L'] = U,  ['M'] = U,  ['N'] = U,  ['O'] = U,  ['P'] = U,  ['Q'] = U, ['R'] = U, ['S'] = U, ['T'] = U,
    ['U'] = U,  ['V'] = U,  ['W'] = U,  ['X'] = U,  ['Y'] = U,  ['Z'] = U,  ['a'] = HL, ['b'] = HL, ['c'] = HL, ['d'] = HL,
    ['e'] = HL, ['f'] = HL, ['g'] = L,  ['h'] = L,  ['i'] = L,  ['j'] = L,  ['k'] = L, ['l'] = L, ['m'] = L, ['n'] = L,
    ['o'] = L,  ['p'] = L,  ['q'] = L,  ['r'] = L,  ['s'] = L,  ['t'] = L,  ['u'] = L, ['v'] = L, ['w'] = L, ['x'] = L,
    ['y'] = L,  ['z'] = L,  ['_'] = TRACEFWD_UNDERSCORE, ['-'] = TRACEFWD_HYPHEN, ['+'] = B, ['/'] = B, ['='] = B,
};

#undef D
#undef U
#undef L
#undef HU
#undef HL
#undef B

enum { block_size = 64, ahead = 2 };

static inline uint8_t groups(const tracefwd_fingerprints *fingerprints, int position, uint8_t byte) {
    return byte < 0x80 ? fingerprints->low[position][byte & 0xf] & fingerprints->high[position][byte >> 4] : 0;
}

/// Between '0' and 'i' in the low four bits' order: all hex digits, and some bytes more.
static inline bool is_hex_like(uint8_t byte) { return (byte & 0xf) < 10 && (byte >> 4 == 3 || byte >> 4 == 4 || byte >> 4 == 6); }

bool tracefwd_is_candidate(const uint8_t *at, const uint8_t *limit, const tracefwd_fingerprints *fingerprints) {
    const uint8_t byte = *at, next = limit - at > 1 ? at[1] : 0, third = limit - at > 2 ? at[2] : 0;
    if (groups(fingerprints, 0, byte) & groups(fingerprints, 1, next) & groups(fingerprints, 2, third)) return true;
    if (!fingerprints->numbers) return false;
    if ((byte >= '0' && byte <= '9') || byte == '@') return true;
    if (byte == ':') return next > ' ' && next < 0x80;
    return (byte == '.' || byte == '-') && is_hex_like(next) && is_hex_like(third);
}

static tracefwd_candidates next_portable(const uint8_t *at, const uint8_t *end, const uint8_t *limit,
                                         const tracefwd_fingerprints *fingerprints) {
    for (; at < end; at += block_size) {
        uint64_t mask = 0;
        for (ptrdiff_t i = 0; i < block_size && i < end - at; i++) {
            mask |= (uint64_t)tracefwd_is_candidate(at + i, limit, fingerprints) << i;
        }
        if (mask) return (tracefwd_candidates){at, mask};
    }
    return (tracefwd_candidates){at, 0};
}

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2")))

typedef struct {
    __m256i low[3], high[3];
} tables;

/// The groups that the byte at each place is in. A look-up by the whole byte gives 0 beyond ASCII, and uses the low four bits elsewhere.
AVX2 static inline __m256i groups_32(const uint8_t *at, const tables *tables, int position) {
    const __m256i bytes = _mm256_loadu_si256((const __m256i *)(at + position));
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0xf));
    return _mm256_and_si256(_mm256_shuffle_epi8(tables->low[position], bytes), _mm256_shuffle_epi8(tables->high[position], high));
}

AVX2 static inline __m256i equal(__m256i bytes, char byte) { return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte)); }

AVX2 static inline __m256i is_hex_like_32(__m256i bytes) {
    const __m256i places = _mm256_setr_epi8(0, 0, 0, -1, -1, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i low = _mm256_and_si256(bytes, _mm256_set1_epi8(0xf));
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0xf));
    return _mm256_and_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8(10), low), _mm256_shuffle_epi8(places, high));
}

AVX2 static inline uint32_t look_at_32(const uint8_t *at, const tables *tables, bool numbers) {
    const __m256i found = _mm256_and_si256(_mm256_and_si256(groups_32(at, tables, 0), groups_32(at, tables, 1)), groups_32(at, tables, 2));
    const uint32_t fingerprints = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(found, _mm256_setzero_si256()));
    if (!numbers) return fingerprints;
    const __m256i bytes = _mm256_loadu_si256((const __m256i *)at), next = _mm256_loadu_si256((const __m256i *)(at + 1));
    const __m256i third = _mm256_loadu_si256((const __m256i *)(at + 2));
    const __m256i digit = _mm256_and_si256(_mm256_cmpgt_epi8(bytes, _mm256_set1_epi8('0' - 1)), _mm256_cmpgt_epi8(_mm256_set1_epi8('9' + 1), bytes));
    const __m256i colon = _mm256_and_si256(equal(bytes, ':'), _mm256_cmpgt_epi8(next, _mm256_set1_epi8(' ')));
    const __m256i sign = _mm256_or_si256(equal(bytes, '.'), equal(bytes, '-'));
    const __m256i pair = _mm256_and_si256(sign, _mm256_and_si256(is_hex_like_32(next), is_hex_like_32(third)));
    const __m256i any = _mm256_or_si256(_mm256_or_si256(digit, equal(bytes, '@')), _mm256_or_si256(colon, pair));
    return fingerprints | (uint32_t)_mm256_movemask_epi8(any);
}

AVX2 static inline tracefwd_candidates look(const uint8_t *at, const uint8_t *end, const uint8_t *limit,
                                            const tracefwd_fingerprints *fingerprints, bool numbers) {
    tables tables;
    for (int i = 0; i < 3; i++) {
        tables.low[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)fingerprints->low[i]));
        tables.high[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)fingerprints->high[i]));
    }
    for (; at < end; at += block_size) {
        uint8_t copy[block_size + ahead];
        const uint8_t *bytes = at;
        if (limit - at < block_size + ahead) {
            memset(copy, 0, sizeof copy);
            memcpy(copy, at, (size_t)(limit - at));
            bytes = copy;
        }
        uint64_t mask = look_at_32(bytes, &tables, numbers) | (uint64_t)look_at_32(bytes + 32, &tables, numbers) << 32;
        if (end - at < block_size) mask &= ((uint64_t)1 << (end - at)) - 1;
        if (mask) return (tracefwd_candidates){at, mask};
    }
    return (tracefwd_candidates){at, 0};
}

AVX2 static tracefwd_candidates next_avx2(const uint8_t *at, const uint8_t *end, const uint8_t *limit,
                                          const tracefwd_fingerprints *fingerprints) {
    return fingerprints->numbers ? look(at, end, limit, fingerprints, true) : look(at, end, limit, fingerprints, false);
}

#endif

tracefwd_candidates tracefwd_next_candidates(const uint8_t *at, const uint8_t *end, const uint8_t *limit,
                                             const tracefwd_fingerprints *fingerprints) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return next_avx2(at, end, limit, fingerprints);
#endif
    return next_portable(at, end, limit, fingerprints);
}
