// Values back to YAML: what is in force (`check --effective`), and single values for a reload's account. Secrets are dots; a text that holds
// a variable is shown as it was written, since what the variable holds may be a secret.

extension LoadedSettings {
    /// All that is in force as one YAML file, which can be loaded again (but for its secrets): what is a default says so, what is left out
    /// stands in a comment with what that means.
    public func renderEffective() -> String {
        var yaml = files.map { "# from \($0)\n" }.joined()
        yaml += block(root, indent: "")
        return yaml
    }
}

private func block(_ section: Section, indent: String) -> String {
    section.keys.map { key in
        guard let entry = section.entries[key.name], let value = entry.value else {
            if case .nothing(let meaning) = key.absent, !meaning.isEmpty { return "\(indent)# \(key.name): left out: \(meaning)\n" }
            return ""
        }
        return line(key.name, value, key.type, indent: indent, isDefault: entry.place == nil)
    }.joined()
}

private func line(_ name: String, _ value: Value, _ type: KeyType, indent: String, isDefault: Bool) -> String {
    switch (value, type) {
    case (.section(let section), .section): return "\(indent)\(name):\n" + block(section, indent: indent + "  ")
    case (.map(let pairs), .destinations) where !pairs.isEmpty:
        return "\(indent)\(name):\n" + pairs.map { line($0.name, $0.value, .section([]), indent: indent + "  ", isDefault: false) }.joined()
    default: return "\(indent)\(name): \(inline(value, type))" + (isDefault ? "  # default\n" : "\n")
    }
}

/// A value on one line, as YAML.
func inline(_ value: Value, _ type: KeyType) -> String {
    switch (value, type) {
    case (.text(let text), _): scalar(text.shown)
    case (.boolean(let flag), _): "\(flag)"
    case (.integer(let number), .bytes): render(bytes: number)
    case (.integer(let mode), .mode): "\"0\(String(mode, radix: 8))\""
    case (.integer(let number), _): "\(number)"
    case (.share(.percent(let percent)), _): "\(percent)%"
    case (.share(.bytes(let bytes)), _): render(bytes: bytes)
    case (.duration(let time), _): render(time)
    case (.listen(let address), _): "\"\(address)\""
    case (.secret(let secret), _): "\"\(secret)\""
    case (.list(let items), .list(let item)): "[" + items.map { inline($0, item) }.joined(separator: ", ") + "]"
    case (.list, _): preconditionFailure("a list that is not of a list's type")
    case (.map(let pairs), _): "{" + pairs.map { "\(scalar($0.name)): \(inline($0.value, .section([])))" }.joined(separator: ", ") + "}"
    case (.section(let section), _):
        "{"
            + section.keys.compactMap { key in
                section[key.name].map { "\(key.name): \(inline($0, key.type))" }
            }.joined(separator: ", ") + "}"
    }
}

/// A text as YAML: bare where no reader could take it for anything else, otherwise in double quotes.
private func scalar(_ text: String) -> String {
    let isBare = text.wholeMatch(of: /[A-Za-z\/][A-Za-z0-9_\/.\-]*/) != nil
    guard !isBare || ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(text.lowercased()) else { return text }
    let escaped = text.unicodeScalars.map { scalar in
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case "\n": "\\n"
        case _ where scalar.properties.generalCategory == .control: "\\u" + hex(scalar.value)
        default: String(scalar)
        }
    }
    return "\"" + escaped.joined() + "\""
}

private func hex(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}
