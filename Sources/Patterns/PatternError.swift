import CRegex

/// Why a pattern was refused.
public struct PatternError: Error, Equatable, CustomStringConvertible {
    /// The pattern.
    public let pattern: String
    /// RE2's words: `missing closing )`.
    public let reason: String
    /// The part at fault, in bytes of the pattern's UTF-8; nil where the whole is.
    public let part: Range<Int>?
    /// Which pattern of a set was refused; 0 for a single one.
    public let index: Int

    init(_ error: cregex_error, pattern: String, index: Int = 0) {
        self.pattern = pattern
        self.index = index
        reason = withUnsafeBytes(of: error.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        part = error.part_length > 0 ? error.part_offset..<error.part_offset + error.part_length : nil
    }

    /// The sentence for a person: what is wrong, and with which part.
    public var description: String {
        guard let part, part.upperBound <= pattern.utf8.count else { return "pattern \"\(pattern.prefix(80))\": \(reason)" }
        let text = String(decoding: Array(pattern.utf8)[part], as: UTF8.self)
        // RE2 often quotes the part itself.
        return "pattern \"\(pattern.prefix(80))\": \(reason.hasSuffix(text) ? reason : "\(reason): \(text)")"
    }
}
