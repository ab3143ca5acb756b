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
    case (.list(let items), .list(.section)) where !items.isEmpty:
        return "\(indent)\(name):\n" + items.compactMap(\.section).map { item($0, indent: indent + "  ") }.joined()
    case (.map(let pairs), .names(_, let type)) where !pairs.isEmpty && indent.isEmpty:
        return "\(name):\n" + pairs.map { "  \(scalar($0.name)): \(inline($0.value, type))\n" }.joined()
    case (.map(let pairs), .destinations) where !pairs.isEmpty:
        return "\(indent)\(name):\n" + pairs.map { line($0.name, $0.value, .section([]), indent: indent + "  ", isDefault: false) }.joined()
    default: return "\(indent)\(name): \(inline(value, type))" + (isDefault ? "  # default\n" : "\n")
    }
}

/// One of a list of sections, without its defaults; steps have a line each.
private func item(_ section: Section, indent: String) -> String {
    let lines = section.keys.flatMap { key -> [String] in
        guard let entry = section.entries[key.name], entry.place != nil, let value = entry.value else { return [] }
        guard case .list(.step(let keys)) = key.type else { return ["\(key.name): \(inline(value, key.type))"] }
        return ["\(key.name):"] + value.items.map { "  - \(inline($0, .step(keys)))" }
    }
    return lines.enumerated().map { "\(indent)\($0 == 0 ? "- " : "  ")\($1)\n" }.joined()
}

/// A value on one line, as YAML.
func inline(_ value: Value, _ type: KeyType) -> String {
    switch (value, type) {
    case (.text(let text), _): scalar(text.shown)
    case (.boolean(let flag), _): "\(flag)"
    case (.integer(let number), .bytes): render(bytes: number)
    case (.integer(let mode), .mode): "\"0\(String(mode, radix: 8))\""
    case (.integer(let number), _): "\(number)"
    case (.number(let number), .frequency): render(perSecond: number)
    case (.number(let number), _): render(number: number)
    case (.rule(let rule), _): scalar(rule.text)
    case (.raw(let value), _): flow(value)
    case (.share(.percent(let percent)), _): "\(percent)%"
    case (.share(.bytes(let bytes)), _): render(bytes: bytes)
    case (.duration(let time), _): render(time)
    case (.listen(let address), _): "\"\(address)\""
    case (.secret(let secret), _): "\"\(secret)\""
    case (.list(let items), .list(let item)): "[" + items.map { inline($0, item) }.joined(separator: ", ") + "]"
    case (.list, .either(let types)): types.first(where: \.isList).map { inline(value, $0) } ?? "[]"
    case (.list, _): preconditionFailure("a list that is not of a list's type")
    case (.map(let pairs), .names(_, let item)): braces(pairs.map { (scalar($0.name), inline($0.value, item)) })
    case (.map(let pairs), _): braces(pairs.map { (scalar($0.name), inline($0.value, .section([]))) })
    case (.section(let section), _):
        // Without its defaults: what was written is what a person looks for.
        braces(written(section))
    }
}

/// What stands in the file of a section.
private func written(_ section: Section) -> [(name: String, value: String)] {
    section.keys.compactMap { key in
        guard let entry = section.entries[key.name], entry.place != nil, let value = entry.value else { return nil }
        return (key.name, inline(value, key.type))
    }
}

private func braces(_ pairs: [(name: String, value: String)]) -> String {
    "{" + pairs.map { "\($0.name): \($0.value)" }.joined(separator: ", ") + "}"
}

/// What another room understands, as it was written: a plain scalar that is no text stays plain.
private func flow(_ value: SettingsValue) -> String {
    switch value.content {
    case .empty: "null"
    case .text(let text, let isPlain): isPlain && !value.json.hasPrefix("\"") ? text : scalar(text)
    case .list(let items): "[" + items.map(flow).joined(separator: ", ") + "]"
    case .map(let entries): braces(entries.map { (scalar($0.name), flow($0.value)) })
    }
}

/// A text as YAML: bare where no reader could take it for anything else, otherwise in quotes: the double ones are JSON's, the single ones need
/// no escapes.
private func scalar(_ text: String) -> String {
    let isBare = text.wholeMatch(of: /[A-Za-z\/][A-Za-z0-9_\/.\-]*/) != nil
    guard !isBare || ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(text.lowercased()) else { return text }
    let isPrintable = text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
    if isPrintable, text.utf8.contains(where: { "\"\\".utf8.contains($0) }) { return "'" + text.replacing("'", with: "''") + "'" }
    return jsonText(text)
}
