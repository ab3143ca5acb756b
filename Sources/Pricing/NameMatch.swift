import Patterns

/// A condition on a model's name, as the price data writes it.
indirect enum NameMatch: Sendable {
    /// Texts are in lower case.
    case equals([UInt8])
    case prefix([UInt8])
    case suffix([UInt8])
    case contains([UInt8])
    case pattern(Pattern)
    case not(NameMatch)
    case any([NameMatch])
    case all([NameMatch])

    func holds(for name: ModelName) -> Bool {
        switch self {
        case .equals(let text): name.folded == text
        case .prefix(let text): name.folded.starts(with: text)
        case .suffix(let text): name.folded.reversed().starts(with: text.reversed())
        case .contains(let text): contains(text, in: name.folded)
        case .pattern(let pattern): name.bytes.withUnsafeBytes { pattern.matches($0) }
        case .not(let match): !match.holds(for: name)
        case .any(let matches): matches.contains { $0.holds(for: name) }
        case .all(let matches): matches.allSatisfy { $0.holds(for: name) }
        }
    }

    private func contains(_ text: [UInt8], in name: [UInt8]) -> Bool {
        guard text.count <= name.count else { return false }
        return (0...(name.count - text.count)).contains { name[$0...].starts(with: text) }
    }

    /// A pattern of the data. RE2 has no lookahead; one that is the whole pattern (`^(?!X)`) is the opposite of `^(?:X)`.
    init(regex source: String) throws(PatternError) {
        let opening = "^(?!"
        guard source.hasPrefix(opening), let body = Self.group(in: source.dropFirst(opening.count)) else {
            self = .pattern(try Pattern(source))
            return
        }
        self = .not(.pattern(try Pattern("^(?:" + body + ")")))
    }

    /// What stands before the parenthesis that closes the text, where that is its last character.
    private static func group(in text: Substring) -> Substring? {
        var depth = 1
        var isEscaped = false
        var isInClass = false
        for index in text.indices {
            switch text[index] {
            case _ where isEscaped: isEscaped = false
            case "\\": isEscaped = true
            case "]": isInClass = false
            case _ where isInClass: continue
            case "[": isInClass = true
            case "(": depth += 1
            case ")":
                depth -= 1
                if depth == 0 { return text.index(after: index) == text.endIndex ? text[..<index] : nil }
            default: continue
            }
        }
        return nil
    }
}

/// A model's name with its form in lower case (ASCII; other letters are compared as they are).
struct ModelName {
    let bytes: [UInt8]
    let folded: [UInt8]

    init(_ bytes: some Sequence<UInt8>) {
        self.bytes = Array(bytes)
        folded = self.bytes.map(lowercase)
    }

    /// The parts of a proxy's name: `azure/eu/gpt-4o` is `azure`, and the names `eu/gpt-4o` and `gpt-4o`.
    var behindSlashes: (head: [UInt8], names: [ModelName])? {
        guard let first = folded.firstIndex(of: UInt8(ascii: "/")) else { return nil }
        // A name has few; ten are read so that a name of slashes costs no more.
        let slashes = bytes.indices.filter { bytes[$0] == UInt8(ascii: "/") }.prefix(10)
        return (Array(folded[..<first]), slashes.map { ModelName(bytes[($0 + 1)...]) })
    }
}

func lowercase(_ byte: UInt8) -> UInt8 { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte ? byte | 0x20 : byte }
func lowercase(_ text: String) -> [UInt8] { text.utf8.map(lowercase) }
func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }
