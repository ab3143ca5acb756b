/// Where something stands in a file. Line and column count from 1; line 0 means the file as a whole.
public struct Place: Sendable, Equatable, Comparable, CustomStringConvertible {
    /// The file's path, as it was opened.
    public let file: String
    /// The line.
    public let line: Int
    /// The column, in Unicode scalars.
    public let column: Int

    /// A place.
    public init(file: String, line: Int = 0, column: Int = 0) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `file:line:column`, as compilers print it.
    public var description: String { line == 0 ? file : "\(file):\(line):\(column)" }

    /// The order of reading within one file.
    public static func < (a: Place, b: Place) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// One mistake in the configuration: where it is, what it is, what would be right. Never holds the value of a secret.
public struct Mistake: Sendable, Equatable, CustomStringConvertible {
    /// Where.
    public let place: Place
    /// The section, as a path of keys: `destinations.langfuse`; empty at the top.
    public let path: String
    /// What is wrong, and the remedy.
    public let text: String
    /// The line of an expression and one with carets under what is meant; nil where `text` says enough.
    public let excerpt: String?

    /// A mistake; reported by `Section.mistake(at:_:)`, `RuleText.mistake` and `SettingsValue.mistake` outside this room.
    init(_ place: Place, path: String = "", _ text: String, excerpt: String? = nil) {
        self.place = place
        self.path = path
        self.text = text
        self.excerpt = excerpt
    }

    /// One line, without the excerpt.
    public var description: String { "\(place): \(sentence)" }

    /// What stands behind the place.
    public var sentence: String { (path.isEmpty ? "" : "\(path): ") + text }

    /// The line, `note` behind it, and below it the excerpt, indented.
    public func paragraph(_ note: String = "") -> String {
        let lines = (excerpt ?? "").split(separator: "\n", omittingEmptySubsequences: false)
        return description + note + (excerpt == nil ? "" : lines.map { "\n    \($0)" }.joined())
    }
}

/// Every mistake of the configuration, one a line (below that of an expression its excerpt), and their number.
public struct SettingsError: Error, Equatable, CustomStringConvertible {
    /// In the order of reading.
    public let mistakes: [Mistake]

    /// An error for at least one mistake.
    public init(_ mistakes: [Mistake]) {
        precondition(!mistakes.isEmpty, "an error without a mistake")
        self.mistakes = mistakes
    }

    /// All of them.
    public var description: String {
        let count = mistakes.count == 1 ? " (1 mistake)" : " (\(mistakes.count) mistakes)"
        return mistakes.enumerated().map { $1.paragraph($0 == mistakes.count - 1 ? count : "") }.joined(separator: "\n")
    }
}

/// The known word that was probably meant, if one is near: equal but for case, `_` and `-`, few edits away, or longer.
public func nearest(to word: String, in known: [String]) -> String? {
    let plain = foldedWord(word)
    let most = max(1, plain.count / 3)
    let scored = known.map { (word: $0, distance: editDistance(plain, foldedWord($0))) }
    let near = scored.filter { $0.distance <= most && $0.distance < plain.count }.min { $0.distance < $1.distance }
    return near?.word ?? known.first { plain.count >= 3 && foldedWord($0).starts(with: plain) }
}

private func foldedWord(_ word: String) -> [Character] { word.lowercased().filter { $0 != "_" && $0 != "-" && $0 != " " }.map(\.self) }

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` ("optimal string alignment").
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    var rows = [Array(0...b.count)]
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var best = min(row[j] + 1, rows[i][j + 1] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
            row.append(best)
        }
        rows.append(row)
    }
    return rows[a.count][b.count]
}
