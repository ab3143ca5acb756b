#include "tracefwd_candidates.h"

#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

// What is looked for, all of it ASCII. A sign alone is a candidate only where no blank follows, which spares lists, dashes and "key: value".
//   _  -  :  =     most keys and tokens, private keys, user:password@, IPv6 and hardware addresses
//   i z (any case) authorization, AIza
//   IA CA yJ G.    AWS keys, JSON web tokens, SendGrid
//   dap            Databricks
// and, in the larger set:
//   0-9 @          numbers of all kinds, IPv4, e-mail
//   .????.         a hardware address in three groups

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

// How far behind a candidate its definition looks.
enum { ahead = 5, block_size = 64 };

bool tracefwd_is_candidate(const uint8_t *at, const uint8_t *end, tracefwd_candidate_set set) {
    const uint8_t byte = *at;
    const uint8_t next = end - at > 1 ? at[1] : 0, second = end - at > 2 ? at[2] : 0, fifth = end - at > ahead ? at[ahead] : 0;
    const bool sign = byte == '_' || byte == '-' || byte == ':' || byte == '=';
    if (sign && next > ' ' && next < 0x80) return true;
    if ((byte | 0x20) == 'i' && (next | 0x20) == 'z') return true;
    if ((byte == 'I' || byte == 'C') && next == 'A') return true;
    if ((byte == 'y' && next == 'J') || (byte == 'G' && next == '.')) return true;
    if (byte == 'd' && next == 'a' && second == 'p') return true;
    return set == TRACEFWD_ALL && ((byte >= '0' && byte <= '9') || byte == '@' || (byte == '.' && fifth == '.'));
}

#if defined(__SSE2__)

// Signed bytes: a comparison with them is one instruction, and what is beyond ASCII is below 0.
typedef int8_t bytes32 __attribute__((vector_size(32)));
typedef int8_t bytes32_anywhere __attribute__((vector_size(32), aligned(1)));

#define INLINE static inline __attribute__((always_inline))

INLINE void look_at_32(const uint8_t *at, tracefwd_candidate_set set, bytes32 *hits) {
    const bytes32 byte = *(const bytes32_anywhere *)at, next = *(const bytes32_anywhere *)(at + 1);
    const bytes32 second = *(const bytes32_anywhere *)(at + 2);
    const bytes32 folded = byte | 0x20;
    // '-' and '=' differ by one bit.
    bytes32 sign = (byte == '_') | ((byte | 0x10) == '=') | (byte == ':');
    sign &= next > ' ';
    bytes32 pair = (folded == 'i') & ((next | 0x20) == 'z');
    pair |= ((byte == 'I') | (byte == 'C')) & (next == 'A');
    pair |= (byte == 'y') & (next == 'J');
    pair |= (byte == 'G') & (next == '.');
    pair |= (byte == 'd') & (next == 'a') & (second == 'p');
    *hits = sign | pair;
    if (set == TRACEFWD_ALL) {
        const bytes32 fifth = *(const bytes32_anywhere *)(at + ahead);
        *hits |= ((byte >= '0') & (byte <= '9')) | (byte == '@') | ((byte == '.') & (fifth == '.'));
    }
}

INLINE uint32_t bits_sse2(const bytes32 *hits) {
    const uint32_t low = (uint32_t)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)hits));
    const uint32_t high = (uint32_t)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)hits + 1));
    return low | high << 16;
}

__attribute__((target("avx2"))) INLINE uint32_t bits_avx2(const bytes32 *hits) {
    return (uint32_t)_mm256_movemask_epi8(_mm256_loadu_si256((const __m256i *)hits));
}

// The same loop for the processors that can look at 32 bytes in one go, and for those that need two.
#define LOOP(BITS)                                                                                                                          \
    for (; end - at >= block_size + ahead; at += block_size) {                                                                              \
        bytes32 low, high;                                                                                                                  \
        look_at_32(at, set, &low);                                                                                                          \
        look_at_32(at + 32, set, &high);                                                                                                    \
        const uint64_t mask = BITS(&low) | (uint64_t)BITS(&high) << 32;                                                                     \
        if (mask) return (tracefwd_candidates){at, mask};                                                                                   \
    }                                                                                                                                       \
    return (tracefwd_candidates){at, 0};

static tracefwd_candidates all_sse2(const uint8_t *at, const uint8_t *end) {
    const tracefwd_candidate_set set = TRACEFWD_ALL;
    LOOP(bits_sse2)
}

static tracefwd_candidates secrets_sse2(const uint8_t *at, const uint8_t *end) {
    const tracefwd_candidate_set set = TRACEFWD_SECRETS;
    LOOP(bits_sse2)
}

__attribute__((target("avx2"))) static tracefwd_candidates all_avx2(const uint8_t *at, const uint8_t *end) {
    const tracefwd_candidate_set set = TRACEFWD_ALL;
    LOOP(bits_avx2)
}

__attribute__((target("avx2"))) static tracefwd_candidates secrets_avx2(const uint8_t *at, const uint8_t *end) {
    const tracefwd_candidate_set set = TRACEFWD_SECRETS;
    LOOP(bits_avx2)
}

/// The first whole block with a candidate, or the place from which on there are no whole blocks.
static tracefwd_candidates whole_blocks(const uint8_t *at, const uint8_t *end, tracefwd_candidate_set set) {
    if (__builtin_cpu_supports("avx2")) return set == TRACEFWD_ALL ? all_avx2(at, end) : secrets_avx2(at, end);
    return set == TRACEFWD_ALL ? all_sse2(at, end) : secrets_sse2(at, end);
}

/// The last bytes of a text, copied to where blocks may be looked at.
static tracefwd_candidates rest(const uint8_t *at, const uint8_t *end, tracefwd_candidate_set set) {
    uint8_t copy[block_size + ahead + block_size + ahead] = {0};
    memcpy(copy, at, (size_t)(end - at));
    tracefwd_candidates found = whole_blocks(copy, copy + sizeof copy, set);
    if (found.mask) found.block = at + (found.block - copy);
    return found;
}

#else

static tracefwd_candidates whole_blocks(const uint8_t *at, const uint8_t *end, tracefwd_candidate_set set) {
    return (tracefwd_candidates){at, 0};
}

static tracefwd_candidates rest(const uint8_t *at, const uint8_t *end, tracefwd_candidate_set set) {
    for (; at < end; at += block_size) {
        uint64_t mask = 0;
        for (ptrdiff_t i = 0; i < block_size && i < end - at; i++) mask |= (uint64_t)tracefwd_is_candidate(at + i, end, set) << i;
        if (mask) return (tracefwd_candidates){at, mask};
    }
    return (tracefwd_candidates){at, 0};
}

#endif

tracefwd_candidates tracefwd_next_candidates(const uint8_t *at, const uint8_t *end, tracefwd_candidate_set set) {
    const tracefwd_candidates found = whole_blocks(at, end, set);
    return found.mask || found.block == end ? found : rest(found.block, end, set);
}

const uint8_t *tracefwd_json_run_end(const uint8_t *at, const uint8_t *end) {
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
