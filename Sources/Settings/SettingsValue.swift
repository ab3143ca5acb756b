/// A piece of a file that another room understands: a test's span, prices.
public struct SettingsValue: Sendable, Equatable {
    /// What stands there.
    public enum Content: Sendable {
        case empty
        /// As it is written; `isPlain` where no quotes or block say that it is a text whatever it looks like.
        case text(String, isPlain: Bool)
        case list([SettingsValue])
        case map([(name: String, value: SettingsValue)])
    }

    /// What stands there.
    public let content: Content
    /// Where.
    public let place: Place

    init(_ content: Content, at place: Place) {
        self.content = content
        self.place = place
    }

    init(_ written: Written) {
        place = written.place
        content =
            switch written.content {
            case .empty: .empty
            case .text(let text): .text(text, isPlain: written.source?.style == .plain)
            case .list(let items): .list(items.map { SettingsValue($0) })
            case .map(let entries): .map(entries.map { ($0.name, SettingsValue($0.value)) })
            }
    }

    /// Equal by what it says, wherever it stands.
    public static func == (a: SettingsValue, b: SettingsValue) -> Bool { a.json == b.json }

    /// A mistake in it. `path` is what it is, as a person would name it: `prices.models.gpt-4o`.
    public func mistake(_ path: String, _ text: String) -> Mistake { Mistake(place, path: path, text) }

    /// The member of a map; nil where there is none.
    public subscript(name: String) -> SettingsValue? {
        guard case .map(let entries) = content else { return nil }
        return entries.first { $0.name == name }?.value
    }

    /// The outermost piece that stands at `file:line:column`; nil where none does.
    public func piece(at place: String) -> SettingsValue? {
        if "\(self.place)" == place { return self }
        return switch content {
        case .empty, .text: nil
        case .list(let items): items.lazy.compactMap { $0.piece(at: place) }.first
        case .map(let entries): entries.lazy.compactMap { $0.value.piece(at: place) }.first
        }
    }

    /// The value as JSON on one line. A plain scalar is what YAML's core schema (YAML 1.2.2, section 10.3) takes it for, numbers with the
    /// digits that are written; one in quotes is a text.
    public var json: String {
        switch content {
        case .empty: "null"
        case .text(let text, let isPlain): (isPlain ? coreSchema(text) : nil) ?? jsonText(text)
        case .list(let items): "[" + items.map(\.json).joined(separator: ",") + "]"
        case .map(let entries): "{" + entries.map { jsonText($0.name) + ":" + $0.value.json }.joined(separator: ",") + "}"
        }
    }
}

/// What a plain scalar is in JSON, where it is no text. An infinity and what is no number have no JSON, and stay texts.
private func coreSchema(_ text: String) -> String? {
    switch text {
    case "null", "Null", "NULL", "~", "": "null"
    case "true", "True", "TRUE": "true"
    case "false", "False", "FALSE": "false"
    case _ where text.hasPrefix("0x"): UInt64(text.dropFirst(2), radix: 16).map { "\($0)" }
    case _ where text.hasPrefix("0o"): UInt64(text.dropFirst(2), radix: 8).map { "\($0)" }
    case _ where isNumber(text): jsonNumber(text)
    default: nil
    }
}

/// JSON has no `+`, no leading zeros, and digits on both sides of a point.
private func jsonNumber(_ text: String) -> String {
    var rest = text[...]
    let sign = rest.first == "-" ? "-" : ""
    if rest.first == "-" || rest.first == "+" { rest.removeFirst() }
    let whole = rest.prefix { $0.isNumber }
    rest = rest[whole.endIndex...]
    let digits = whole.drop { $0 == "0" }
    var fraction = ""
    if rest.first == "." {
        let behind = rest.dropFirst().prefix { $0.isNumber }
        fraction = behind.isEmpty ? "" : ".\(behind)"
        rest = rest[behind.endIndex...]
    }
    return sign + (digits.isEmpty ? "0" : digits) + fraction + rest
}

/// A text in JSON's quotes (RFC 8259, section 7).
func jsonText(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case _ where scalar.properties.generalCategory == .control: result += "\\u" + hexDigits(scalar.value)
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

/// At least four.
func hexDigits(_ value: UInt32, uppercase: Bool = false) -> String {
    let digits = String(value, radix: 16, uppercase: uppercase)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}
