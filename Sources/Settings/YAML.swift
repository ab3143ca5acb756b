// YAML to `Written`: the only file that knows Yams. Nothing is resolved here (a plain `0660` or `no` stays a text): what a value means is
// the table's business.
import Yams

/// What a file says, and what is wrong in it but leaves the rest readable. Throws where nothing can be made of it.
func parseYAML(_ bytes: [UInt8], file: String) throws(SettingsError) -> (written: Written, mistakes: [Mistake]) {
    guard var text = String(validating: bytes, as: UTF8.self) else {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let line = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0
        let place = Place(file: file, line: line + 1, column: 1)
        throw SettingsError([Mistake(place, "this line is not UTF-8; save the file in that encoding")])
    }
    if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
    var reader = NodeReader(file: file)
    while true {
        do {
            guard let node = try Yams.compose(yaml: text, .basic) else {
                return (Written(content: .empty, place: Place(file: file, line: 1, column: 1)), [])
            }
            reader.lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map(Array.init)
            return (reader.read(node), reader.mistakes)
        } catch YamlError.duplicatedKeysInMapping(_, let context) {
            // Yams stops at the first duplicate. Its key is marked and the text read again, so that all mistakes come at once.
            guard let marked = reader.marking(keyAt: context.mark, in: text) else {
                throw SettingsError([Mistake(Place(file: file, context.mark), "a key stands twice in one section; leave one")])
            }
            text = marked
        } catch {
            throw SettingsError([syntaxMistake(error, in: text, file: file)])
        }
    }
}

/// Turns Yams' nodes into `Written`, and knows which keys were marked as duplicates.
private struct NodeReader {
    /// Far more than a configuration has; a file whose aliases multiply stops here.
    static let mostNodes = 100_000
    /// The private use area, of which a marker stands for a key's first character.
    static let firstMarker: UInt32 = 0xE000
    static let lastMarker: UInt32 = 0xF8FF

    let file: String
    /// Of the text that the nodes are of.
    var lines: [[Unicode.Scalar]] = []
    var mistakes: [Mistake] = []
    private var marked: [Unicode.Scalar: Unicode.Scalar] = [:]
    private var nodes = 0

    init(file: String) { self.file = file }

    /// The text with a key's first character replaced by a marker, so that every column stays. Nil where that cannot be done.
    mutating func marking(keyAt mark: Mark, in text: String) -> String? {
        var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map(Array.init)
        guard lines.indices.contains(mark.line - 1), let marker = Unicode.Scalar(Self.firstMarker + UInt32(marked.count)),
            marker.value <= Self.lastMarker
        else { return nil }
        let line = lines[mark.line - 1]
        let isQuoted = line.indices.contains(mark.column - 1) && "\"'".unicodeScalars.contains(line[mark.column - 1])
        let column = isQuoted ? mark.column : mark.column - 1
        guard line.indices.contains(column), line[column].properties.isAlphabetic || line[column].properties.numericType != nil else {
            return nil
        }
        marked[marker] = line[column]
        lines[mark.line - 1][column] = marker
        return String(String.UnicodeScalarView(lines.joined(separator: ["\n"])))
    }

    private func unmarked(_ key: String) -> String {
        guard let first = key.unicodeScalars.first, let original = marked[first] else { return key }
        return String(original) + String(key.unicodeScalars.dropFirst())
    }

    mutating func read(_ node: Node) -> Written {
        let place = Place(file: file, node.mark)
        nodes += 1
        guard nodes <= Self.mostNodes else {
            if nodes == Self.mostNodes + 1 {
                mistakes.append(Mistake(place, "more than \(Self.mostNodes) values, aliases counted in full"))
            }
            return Written(content: .empty, place: place)
        }
        return Written(content: content(of: node, place), place: place, source: source(of: node, place))
    }

    private func source(of node: Node, _ place: Place) -> ScalarSource? {
        guard let style = node.scalar?.style else { return nil }
        let read: ScalarSource.Style =
            switch style {
            case .any, .plain: .plain
            case .singleQuoted: .singleQuoted
            case .doubleQuoted: .doubleQuoted
            case .literal, .folded: .block
            }
        return ScalarSource(style: read, mark: place, lines: lines)
    }

    private mutating func content(of node: Node, _ place: Place) -> Written.Content {
        switch node {
        case .scalar(let scalar):
            let tag = "\(scalar.tag)"
            if !tag.isEmpty, !tag.hasPrefix("tag:yaml.org,2002:") {
                // The tag itself is not shown: it may be the beginning of a password that lacks its quotes.
                mistakes.append(Mistake(place, "a YAML tag (!…) means nothing here; a text that begins with ! stands in quotes"))
            }
            let isPlain = scalar.style == .plain || scalar.style == .any
            return isPlain && ["", "~", "null"].contains(scalar.string) ? .empty : .text(scalar.string)
        case .sequence(let items): return .list(items.map { read($0) })
        case .mapping(let pairs): return .map(entries(of: pairs))
        case .alias: return .empty  // made by Yams' encoder only; its parser resolves them
        }
    }

    private mutating func entries(of pairs: Node.Mapping) -> [Written.Entry] {
        var entries: [Written.Entry] = []
        for (keyNode, valueNode) in pairs {
            let place = Place(file: file, keyNode.mark)
            let value = read(valueNode)
            guard let name = (keyNode.scalar?.string).map(unmarked) else {
                mistakes.append(Mistake(place, "a key is a word, not a list or a section"))
                continue
            }
            if let first = entries.first(where: { $0.name == name }) {
                mistakes.append(Mistake(place, "\"\(name)\" stands twice in one section, first in line \(first.place.line); leave one"))
            } else {
                entries.append(Written.Entry(name: name, place: place, value: value))
            }
        }
        return entries
    }
}

extension Place {
    fileprivate init(file: String, _ mark: Mark?) { self.init(file: file, line: mark?.line ?? 0, column: mark?.column ?? 0) }
}

/// A sentence for what the YAML parser met. Its own words name no content of the file, so they are safe to show.
private func syntaxMistake(_ error: any Error, in text: String, file: String) -> Mistake {
    switch error {
    case YamlError.scanner(let context, let problem, let mark, _), YamlError.parser(let context, let problem, let mark, _):
        let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
        let hasTab = lines.indices.contains(mark.line - 1) && lines[mark.line - 1].prefix { $0 == " " || $0 == "\t" }.contains("\t")
        let remedy = hasTab ? "YAML indents with spaces, this line has a tab" : remedy(for: problem)
        let beginning = context.map { $0.mark.line < mark.line ? " (what it is in begins in line \($0.mark.line))" : "" } ?? ""
        return Mistake(Place(file: file, mark), "not YAML: \(remedy)\(beginning)")
    case YamlError.composer(_, let problem, let mark, _):
        return Mistake(Place(file: file, mark), "not YAML: \(remedy(for: problem))")
    case YamlError.reader(let problem, let offset, _, let yaml):
        let before = yaml.prefix(offset ?? 0).split(separator: "\n", omittingEmptySubsequences: false)
        return Mistake(
            Place(file: file, line: before.count, column: (before.last?.unicodeScalars.count ?? 0) + 1), "not YAML: \(problem)")
    default: return Mistake(Place(file: file), "not YAML")
    }
}

private func remedy(for problem: String) -> String { syntaxRemedies.first { problem.contains($0.problem) }?.remedy ?? problem }

/// What people most often did when the parser says this.
private let syntaxRemedies = [
    (problem: "could not find expected ':'", remedy: "before this, a key lacks the colon and space after it, or a quote is not closed"),
    (
        problem: "mapping values are not allowed",
        remedy: "a colon within a value, which then stands in quotes, or a key that is indented too far"
    ),
    (problem: "did not find expected key", remedy: "the indentation fits no line above, or a quote or bracket before this is not closed"),
    (problem: "did not find expected '-' indicator", remedy: "an item of a list begins with \"- \", as far in as the items before it"),
    (problem: "did not find expected ',' or", remedy: "a bracket is not closed, or a comma is missing"),
    (problem: "did not find expected node content", remedy: "a bracket is not closed, or nothing stands between two commas"),
    (problem: "cannot start any token", remedy: "a value that begins with @, ` or % stands in quotes"),
    (problem: "unexpected end of stream", remedy: "the file ends within quotes"),
    (problem: "found undefined alias", remedy: "an alias (*…) without its anchor; a text that begins with * stands in quotes"),
    (problem: "Maximum nesting level", remedy: "nested beyond what is read"),
    (problem: "but found another document", remedy: "a second document (---); a file is one document"),
]
