import CRegex

/// Many patterns in one automaton: says in one pass over a text which of them match, not where. For telling which are worth a search.
public final class PatternSet: Sendable {
    /// The number of patterns.
    public let count: Int
    // As in `Pattern`: a compiled set is only read, its cache is locked, and `deinit` runs after the last use.
    private nonisolated(unsafe) let handle: OpaquePointer

    /// Compiles the patterns; the error names the first that is wrong by its index.
    public init(_ sources: [String], options: PatternOptions = PatternOptions()) throws(PatternError) {
        var error = cregex_error()
        var failed = 0
        // One buffer holds all the patterns, and the addresses point into it.
        let bytes = sources.flatMap { Array($0.utf8) }
        let lengths = sources.map(\.utf8.count)
        let compiled = bytes.withUnsafeBytes { all in
            var offset = 0
            let starts = lengths.map { length in
                defer { offset += length }
                return all.baseAddress.map { UnsafeRawPointer($0 + offset) }
            }
            return withUnsafePointer(to: options.bridged) { cregex_set_compile(starts, lengths, lengths.count, $0, &error, &failed) }
        }
        guard let compiled else { throw PatternError(error, pattern: failed < sources.count ? sources[failed] : "", index: failed) }
        count = sources.count
        handle = compiled
    }

    deinit { cregex_set_free(handle) }

    /// The indices of the patterns that match somewhere in the text, ascending; nil where the memory limit was reached: then any may match.
    public func matching(_ text: UnsafeRawBufferPointer) -> [Int]? {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: max(count, 1)) { found in
            guard let room = found.baseAddress else { return nil }
            let matched = cregex_set_match(handle, text.baseAddress, text.count, room)
            return matched < 0 ? nil : found[..<matched].map { Int($0) }.sorted()
        }
    }
}
