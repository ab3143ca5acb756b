#include "CRegex.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

struct cregex {
    RE2 re2;
};

struct cregex_set {
    RE2::Set set;
    size_t count;
};

namespace {

RE2::Options re2_options(const cregex_options &options) {
    RE2::Options result;
    result.set_log_errors(false);
    result.set_max_mem(options.memory_bytes_max);
    result.set_case_sensitive(!options.ignores_case);
    result.set_dot_nl(options.dot_matches_newline);
    result.set_longest_match(options.longest_match);
    return result;
}

void describe(cregex_error *error, const std::string &text) {
    const size_t length = std::min(text.size(), sizeof error->text - 1);
    memcpy(error->text, text.data(), length);
    error->text[length] = 0;
    error->part_offset = error->part_length = 0;
}

// An empty text may come with a null pointer, which RE2 takes for "no text" when it reports groups.
re2::StringPiece piece(const void *bytes, size_t length) {
    return length == 0 ? re2::StringPiece("", 0) : re2::StringPiece(static_cast<const char *>(bytes), length);
}

}  // namespace

cregex *cregex_compile(const void *pattern, size_t length, const cregex_options *options, cregex_error *error) {
    try {
        const re2::StringPiece source = piece(pattern, length);
        std::unique_ptr<cregex> regex(new cregex{RE2(source, re2_options(*options))});
        if (regex->re2.ok()) return regex.release();
        describe(error, regex->re2.error());
        // RE2 names the part at fault by its text; where it stands several times the first one is shown.
        const std::string &part = regex->re2.error_arg();
        const size_t offset = part.empty() ? re2::StringPiece::npos : source.find(re2::StringPiece(part));
        if (offset != re2::StringPiece::npos) {
            error->part_offset = offset;
            error->part_length = part.size();
        }
    } catch (const std::exception &) {
        describe(error, "out of memory");
    }
    return nullptr;
}

void cregex_free(cregex *regex) { delete regex; }

int cregex_group_count(const cregex *regex) { return regex->re2.NumberOfCapturingGroups(); }

// Matching throws only where memory is out, and ends the process then, as Swift does: "no match" would be a wrong answer.
bool cregex_matches(const cregex *regex, const void *text, size_t length) noexcept {
    return cregex_find(regex, text, length, 0, nullptr, 0);
}

bool cregex_find(const cregex *regex, const void *text, size_t length, size_t from, cregex_range *groups, int group_count) noexcept {
    if (from > length) return false;
    const int few = 16;  // what most patterns have needs no memory
    re2::StringPiece on_stack[few];
    std::vector<re2::StringPiece> on_heap(group_count > few ? group_count : 0);
    re2::StringPiece *found = group_count > few ? on_heap.data() : on_stack;
    const re2::StringPiece whole = piece(text, length);
    if (!regex->re2.Match(whole, from, length, RE2::UNANCHORED, found, group_count)) return false;
    for (int i = 0; i < group_count; i++) {
        const bool part = found[i].data() != nullptr;
        groups[i].begin = part ? found[i].data() - whole.data() : -1;
        groups[i].end = part ? groups[i].begin + static_cast<ptrdiff_t>(found[i].size()) : -1;
    }
    return true;
}

cregex_set *cregex_set_compile(const void *const *patterns, const size_t *lengths, size_t count, const cregex_options *options,
                               cregex_error *error, size_t *failed_at) {
    *failed_at = 0;
    try {
        auto set = std::unique_ptr<cregex_set>(new cregex_set{RE2::Set(re2_options(*options), RE2::UNANCHORED), count});
        std::string text;
        for (size_t i = 0; i < count; i++) {
            if (set->set.Add(piece(patterns[i], lengths[i]), &text) >= 0) continue;
            describe(error, text);
            *failed_at = i;
            return nullptr;
        }
        if (set->set.Compile()) return set.release();
        describe(error, "the patterns together need more memory than the limit allows");
    } catch (const std::exception &) {
        describe(error, "out of memory");
    }
    return nullptr;
}

void cregex_set_free(cregex_set *set) { delete set; }

ptrdiff_t cregex_set_match(const cregex_set *set, const void *text, size_t length, int *matched) noexcept {
    if (set->count == 0) return 0;
    std::vector<int> found;
    RE2::Set::ErrorInfo info;
    if (!set->set.Match(piece(text, length), &found, &info)) return info.kind == RE2::Set::kNoError ? 0 : -1;
    std::copy(found.begin(), found.end(), matched);
    return static_cast<ptrdiff_t>(found.size());
}

ptrdiff_t cregex_find_literal(const void *text, size_t length, size_t from, const void *part, size_t part_length) noexcept {
    if (from > length) return -1;
    if (part_length == 0) return static_cast<ptrdiff_t>(from);
    if (part_length > length - from) return -1;
    const char *start = static_cast<const char *>(text);
    const void *found = memmem(start + from, length - from, part, part_length);
    return found == nullptr ? -1 : static_cast<const char *>(found) - start;
}
