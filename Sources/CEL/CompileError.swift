/// One mistake in an expression: what, where, and what would be right.
public struct CompileError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong, in a sentence.
    public let message: String
    /// Where it begins, in bytes of the expression's UTF-8.
    public let offset: Int
    /// How many bytes it covers; at least 1.
    public let length: Int
    /// The line, from 1.
    public let line: Int
    /// The character in the line, from 1.
    public let column: Int
    // The line itself, and how many characters of it are at fault.
    let lineText: String
    let width: Int

    init(_ message: String, at range: Range<Int>, in source: [UInt8]) {
        // Names and types in it come from the expression and may be as long as that.
        self.message = message.utf8.count <= 500 ? message : "\(message.prefix(500))..."
        let start = min(max(range.lowerBound, 0), source.count)
        let lineStart = source[..<start].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let lineEnd = source[start...].firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") } ?? source.count
        offset = start
        length = max(range.upperBound - start, 1)
        line = source[..<start].count { $0 == UInt8(ascii: "\n") } + 1
        column = String(decoding: source[lineStart..<start], as: UTF8.self).unicodeScalars.count + 1
        lineText = String(decoding: source[lineStart..<lineEnd], as: UTF8.self)
        let end = min(max(range.upperBound, start), lineEnd)
        width = max(String(decoding: source[start..<end], as: UTF8.self).unicodeScalars.count, 1)
    }

    /// `1:7: unknown variable 'modle'; did you mean 'model'?`
    public var description: String { "\(line):\(column): \(message)" }

    /// The line of the expression with carets under the mistake; of a long line, the part around it.
    public var excerpt: String {
        let characters = Array(lineText.unicodeScalars)
        let from = max(0, min(column - 1, characters.count) - 60)
        let to = min(characters.count, from + 120)
        var shown = String.UnicodeScalarView()
        shown.append(contentsOf: characters[from..<to])
        // A tab stays a tab, so the carets stand below what they mean.
        let indent = String(characters[from..<min(column - 1, to)].map { $0 == "\t" ? "\t" : " " })
        return "\(String(shown))\n\(indent)\(String(repeating: "^", count: max(1, min(width, to - column + 1))))"
    }
}

/// Every mistake that was found in an expression, in the order in which they stand there.
public struct CompileErrors: Error, Equatable, Sendable, CustomStringConvertible {
    /// At least one.
    public let errors: [CompileError]

    /// Each mistake on its line, the expression and carets below it.
    public var description: String { errors.map { "\($0)\n\($0.excerpt)" }.joined(separator: "\n") }
}
