// The inner loop of redaction: where in a text something may begin that is worth a closer look. In C because it looks at 32 bytes at once
// with whatever the processor has; what it finds is only a candidate, the matchers in Swift decide.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/// Which candidates are wanted. Each set holds those before it.
typedef enum {
    /// Bytes that stand in the fixed part of some secret.
    TRACEFWD_SECRETS = 0,
    /// Digits, `@`, and the dots of a hardware address too.
    TRACEFWD_ALL = 1,
} tracefwd_candidate_set;

/// Candidates among the 64 bytes from `block` on: bit n is set for `block + n`.
typedef struct {
    const uint8_t *block;
    uint64_t mask;
} tracefwd_candidates;

/// The first block of [at, end), counted in steps of 64 from `at`, that holds a candidate; a mask of 0 where none does. Nothing at or behind
/// `end` is read. Equal on every processor.
tracefwd_candidates tracefwd_next_candidates(const uint8_t *at, const uint8_t *end, tracefwd_candidate_set set);

/// The definition of a candidate, byte by byte: what `tracefwd_next_candidates` is tested against.
bool tracefwd_is_candidate(const uint8_t *at, const uint8_t *end, tracefwd_candidate_set set);

/// The first such byte of [at, end), or `end`.
static inline const uint8_t *tracefwd_find_byte(const uint8_t *at, const uint8_t *end, uint8_t byte) {
    const uint8_t *found = at < end ? memchr(at, byte, (size_t)(end - at)) : NULL;
    return found ? found : end;
}

/// The first quote or backslash of [at, end), or `end`: what ends a run inside of a JSON string.
const uint8_t *tracefwd_json_run_end(const uint8_t *at, const uint8_t *end);

#pragma clang assume_nonnull end
