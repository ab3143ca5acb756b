// RE2 behind plain C, for Swift. RE2 is what the language CEL means by a regular expression, and its time is linear in the text for any
// pattern. Nothing here throws, logs or keeps a reference to what it is given. A compiled handle is only read by the match functions, so
// any number of threads may use one at once; freeing it is for the one that made it, when the others are done.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

#ifdef __cplusplus
#define CREGEX_NOEXCEPT noexcept
extern "C" {
#else
#define CREGEX_NOEXCEPT
#endif

typedef struct cregex cregex;
typedef struct cregex_set cregex_set;

/// Where a group lies in the text, in bytes; both -1 where the group took no part in the match.
typedef struct {
    ptrdiff_t begin;
    ptrdiff_t end;
} cregex_range;

typedef struct {
    /// What the program and the automaton's cache may take, in bytes. A pattern whose program needs more is refused; a cache that is full
    /// is thrown away or done without, which is slower but still linear.
    int64_t memory_bytes_max;
    bool ignores_case;
    /// `.` matches a newline too.
    bool dot_matches_newline;
    /// The longest of the leftmost matches (POSIX), not the one that the pattern prefers (Perl).
    bool longest_match;
} cregex_options;

/// Why a pattern was refused: RE2's words, and the part of the pattern at fault (`part_length` is 0 where the whole is).
typedef struct {
    char text[160];
    size_t part_offset;
    size_t part_length;
} cregex_error;

/// Compiles `pattern` (UTF-8). NULL where it is refused or memory is short; then `error` says why.
cregex *_Nullable cregex_compile(const void *_Nullable pattern, size_t length, const cregex_options *options, cregex_error *error);

void cregex_free(cregex *regex);

/// The number of capturing groups, the whole match not counted.
int cregex_group_count(const cregex *regex);

/// True where the pattern matches anywhere in the text.
bool cregex_matches(const cregex *regex, const void *_Nullable text, size_t length) CREGEX_NOEXCEPT;

/// Finds the first match that begins at `from` or later; what stands before `from` is context for `\b` and `^`. Fills `groups[0]` with the
/// whole match and the others with the pattern's groups, as many as `group_count` asks for. False where there is no match.
bool cregex_find(const cregex *regex, const void *_Nullable text, size_t length, size_t from, cregex_range *_Nullable groups,
                 int group_count) CREGEX_NOEXCEPT;

/// Compiles patterns into one automaton that says which of them match a text. NULL where one is refused; `error` and `failed_at` say why and which.
cregex_set *_Nullable cregex_set_compile(const void *const _Nullable *_Nonnull patterns, const size_t *lengths, size_t count,
                                         const cregex_options *options, cregex_error *error, size_t *failed_at);

void cregex_set_free(cregex_set *set);

/// Fills `matched` (room for every pattern of the set) with the indices of the patterns that match somewhere, in no order, and returns how
/// many; -1 where the memory limit was reached and nothing is known.
ptrdiff_t cregex_set_match(const cregex_set *set, const void *_Nullable text, size_t length, int *matched) CREGEX_NOEXCEPT;

/// Where `part` first stands in the text at `from` or behind it; -1 where it does not. Time linear in the text (two-way search).
ptrdiff_t cregex_find_literal(const void *_Nullable text, size_t length, size_t from, const void *_Nullable part,
                              size_t part_length) CREGEX_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#pragma clang assume_nonnull end
