// Regular expressions as CEL and redaction want them: RE2's syntax, on bytes, in time linear in the text whatever the pattern.
// Promises: a match never backtracks, takes bounded memory and never fails; a pattern that cannot be had says why when it is compiled.
// Any number of threads may match with one `Pattern` at once. Texts are UTF-8; offsets count bytes.
// Start here, then PatternSet.swift (which of many patterns match, in one pass).
import CRegex

/// A compiled regular expression (github.com/google/re2, doc/syntax.txt).
public final class Pattern: Sendable {
    /// What the pattern was compiled from.
    public let source: String
    /// The number of capturing groups, the whole match not counted.
    public let groupCount: Int
    // RE2 is only read once it is compiled: its match functions are const and lock what they cache. `deinit` runs after the last use.
    private nonisolated(unsafe) let handle: OpaquePointer

    /// Compiles a pattern, or says what is wrong with it and where.
    public init(_ source: String, options: PatternOptions = PatternOptions()) throws(PatternError) {
        var error = cregex_error()
        var copy = source
        var bridged = options.bridged
        let compiled = copy.withUTF8 { cregex_compile($0.baseAddress, $0.count, &bridged, &error) }
        guard let compiled else { throw PatternError(error, pattern: source) }
        self.source = source
        groupCount = Int(cregex_group_count(compiled))
        handle = compiled
    }

    deinit { cregex_free(handle) }

    /// Whether the pattern matches anywhere in the text.
    public func matches(_ text: UnsafeRawBufferPointer) -> Bool { cregex_matches(handle, text.baseAddress, text.count) }

    /// The first match that begins at `from` or later. What stands before `from` is context: `\b` looks at it and `^` does not match there.
    public func firstMatch(in text: UnsafeRawBufferPointer, from: Int = 0) -> Range<Int>? {
        var whole = cregex_range()
        return cregex_find(handle, text.baseAddress, text.count, max(0, from), &whole, 1) ? whole.begin..<whole.end : nil
    }

    /// The first match that begins at `from` or later with its groups: [0] is the whole, a group that took no part is nil.
    public func firstMatchGroups(in text: UnsafeRawBufferPointer, from: Int = 0) -> [Range<Int>?]? {
        let count = groupCount + 1
        return withUnsafeTemporaryAllocation(of: cregex_range.self, capacity: count) { groups in
            guard cregex_find(handle, text.baseAddress, text.count, max(0, from), groups.baseAddress, Int32(count)) else { return nil }
            return groups.map { $0.begin < 0 ? nil : $0.begin..<$0.end }
        }
    }

    /// Calls `body` for each match from left to right, without overlaps, until it returns false. After an empty match the search goes on
    /// behind the next character.
    public func forEachMatch(in text: UnsafeRawBufferPointer, _ body: (Range<Int>) -> Bool) {
        var at = 0
        while let match = firstMatch(in: text, from: at), body(match) {
            at = match.upperBound
            guard match.isEmpty else { continue }
            repeat { at += 1 } while at < text.count && text[at] & 0xC0 == 0x80
        }
    }
}

/// How a pattern is read. `(?i)`, `(?s)` within the pattern say the same for a part of it.
public struct PatternOptions: Sendable, Equatable {
    /// Upper and lower case are equal.
    public var ignoresCase = false
    /// `.` matches a newline too.
    public var dotMatchesNewline = false
    /// The longest of the leftmost matches, not the one that the pattern prefers.
    public var longestMatch = false
    /// What the program and its automaton may take, in bytes. A pattern whose program is larger is refused.
    public var memoryBytesMax = 8 << 20

    /// The defaults: case matters, `.` stops at a newline, leftmost-first, 8 MiB.
    public init() {}

    var bridged: cregex_options {
        cregex_options(
            memory_bytes_max: Int64(memoryBytesMax), ignores_case: ignoresCase, dot_matches_newline: dotMatchesNewline,
            longest_match: longestMatch)
    }
}
