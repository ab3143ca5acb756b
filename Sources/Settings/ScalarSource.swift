/// A text as it is written in a file: tells where each of its characters stands there, through quotes, escapes, folded lines and blocks, so
/// that a mistake inside an expression has the file's own line and column.
struct ScalarSource: Sendable {
    /// How YAML writes it.
    enum Style: Sendable { case plain, singleQuoted, doubleQuoted, block }

    /// Its style.
    let style: Style
    /// Where it begins, its quote or its `|` included.
    let mark: Place
    /// All lines of the file, without their ends.
    let lines: [[Unicode.Scalar]]

    /// Where the text's first character stands.
    func start(of text: String) -> Place { Walk(self, text).place }

    /// Where a character of the text stands; lines and columns count from 1. One behind the end is the place behind the last character.
    ///
    /// Where the file is written in a way that cannot be followed it is the text's first character.
    func place(of text: String, line: Int, column: Int) -> Place {
        var walk = Walk(self, text)
        let start = walk.place
        while let next = walk.next, (walk.line, walk.column) < (line, column) {
            guard walk.step(over: next) else { return start }
        }
        return walk.place
    }
}

/// Reads a text and its file side by side.
private struct Walk {
    let source: ScalarSource
    var rest: Substring.UnicodeScalarView
    /// In the text, from 1.
    var line = 1
    var column = 1
    /// In the file, from 0.
    var row: Int
    var index: Int
    /// How far a block is indented.
    var indent = 0

    init(_ source: ScalarSource, _ text: String) {
        self.source = source
        rest = text.unicodeScalars[...]
        (row, index) = (source.mark.line - 1, source.mark.column - 1)
        switch source.style {
        case .plain: skipProperties()
        case .singleQuoted, .doubleQuoted:
            skipProperties()
            index += 1
        case .block:
            row += 1
            indent = Self.indent(of: text, in: source.lines[min(row, source.lines.count)...])
            index = indent
        }
    }

    /// The first lines that are not blank are the same, but for the block's indentation.
    private static func indent(of text: String, in lines: ArraySlice<[Unicode.Scalar]>) -> Int {
        let ownLine = text.unicodeScalars.split(separator: "\n").first { !$0.allSatisfy { $0 == " " } } ?? []
        let line = lines.first { !$0.allSatisfy { $0 == " " || $0 == "\r" } } ?? []
        return max(0, line.prefix { $0 == " " }.count - ownLine.prefix { $0 == " " }.count)
    }

    /// Over an anchor and a tag, which stand before the text.
    private mutating func skipProperties() {
        while let first = scalar(at: index), first == "&" || first == "!" {
            while let next = scalar(at: index), next != " " { index += 1 }
            while scalar(at: index) == " " { index += 1 }
        }
    }

    var next: Unicode.Scalar? { rest.first }

    var place: Place { Place(file: source.mark.file, line: row + 1, column: index + 1) }

    private func scalar(at index: Int) -> Unicode.Scalar? {
        guard source.lines.indices.contains(row), source.lines[row].indices.contains(index) else { return nil }
        return source.lines[row][index]
    }

    private func isBlank(row: Int, from index: Int = 0) -> Bool {
        source.lines[row].dropFirst(index).allSatisfy { $0 == " " || $0 == "\t" || $0 == "\r" }
    }

    /// Over one character of the text, or a run of line breaks. False where the file does not go on with it.
    mutating func step(over next: Unicode.Scalar) -> Bool {
        guard source.lines.indices.contains(row) else { return false }
        if next == "\n" || next == " ", isBlank(row: row, from: index) { return stepOverBreak(next) }
        if source.style == .doubleQuoted, scalar(at: index) == "\\" { return stepOverEscape() }
        guard scalar(at: index) == next else { return false }
        index += source.style == .singleQuoted && next == "'" ? 2 : 1
        advance(over: next)
        return true
    }

    /// The end of a line is a space, or with blank lines behind it as many breaks; in a block it may be a break by itself.
    private mutating func stepOverBreak(_ next: Unicode.Scalar) -> Bool {
        repeat { advance(over: next) } while next == "\n" && rest.first == "\n"
        return stepToNextLine()
    }

    private mutating func stepToNextLine() -> Bool {
        repeat { row += 1 } while source.lines.indices.contains(row) && isBlank(row: row)
        guard source.lines.indices.contains(row) else {
            // Behind the last line.
            row = source.lines.count - 1
            index = source.lines[row].count
            return rest.isEmpty
        }
        index = source.style == .block ? indent : source.lines[row].prefix { $0 == " " || $0 == "\t" }.count
        return true
    }

    private mutating func stepOverEscape() -> Bool {
        guard !isBlank(row: row, from: index + 1) else { return stepToNextLine() }
        let lengths: [Unicode.Scalar: Int] = ["x": 4, "u": 6, "U": 10]
        index += scalar(at: index + 1).flatMap { lengths[$0] } ?? 2
        rest.first.map { advance(over: $0) }
        return true
    }

    private mutating func advance(over scalar: Unicode.Scalar) {
        rest.removeFirst()
        (line, column) = scalar == "\n" ? (line + 1, 1) : (line, column + 1)
    }
}
