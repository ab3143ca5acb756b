// What a reload would change: the difference of two configurations, key by key.

/// One key whose value differs.
public struct Change: Sendable, Equatable, CustomStringConvertible {
    /// What differs.
    public enum Kind: Sendable, Equatable {
        /// A section that was not there.
        case added
        /// A section that is there no more.
        case removed
        /// As YAML, with dots for secrets.
        case changed(from: String, to: String)
    }

    /// As a person would name it: `destinations.collector.linger`.
    public let path: String
    /// How it differs.
    public let kind: Kind
    /// Whether a reload applies it; otherwise it takes a restart.
    public let reload: Bool

    /// One line.
    public var description: String {
        let what =
            switch kind {
            case .added: "added"
            case .removed: "removed"
            case .changed(let from, let to): "\(from) -> \(to)"
            }
        return "\(path): \(what)" + (reload ? "" : " (needs a restart)")
    }
}

extension LoadedSettings {
    /// What is different from `old`, in the order of the table.
    public func changes(from old: LoadedSettings) -> [Change] { differences(old.root, root, path: "") }
}

private func differences(_ old: Section, _ new: Section, path: String) -> [Change] {
    // A destination of another type has other keys: then the type is all that can be compared.
    let keys = new.keys.map(\.name) == old.keys.map(\.name) ? new.keys : Array(new.keys.prefix { $0.name == "type" })
    return keys.flatMap { key in
        difference(old.entries[key.name]?.value, new.entries[key.name]?.value, key, path: path.isEmpty ? key.name : "\(path).\(key.name)")
    }
}

private func difference(_ old: Value?, _ new: Value?, _ key: Key, path: String) -> [Change] {
    guard old != new else { return [] }
    if case (.section(let old), .section(let new)) = (old, new) { return differences(old, new, path: path) }
    if case .destinations = key.type, case .map(let first) = old ?? .map([]), case .map(let second) = new ?? .map([]) {
        return named(first, second, key, path: path)
    }
    if case .list(.section) = key.type, let first = old.map(byName), let second = new.map(byName) {
        return moved(first, second, key, path: path) + named(first, second, key, path: path)
    }
    if case .names(_, let item) = key.type, case .map(let first) = old, case .map(let second) = new {
        return named(first, second, Key(key.name, item, key.absent, reload: key.reload, key.doc), path: path)
    }
    let text: (Value?) -> String = { $0.map { inline($0, key.type) } ?? "left out" }
    let kind: Change.Kind =
        switch (old ?? new, old, new) {
        case (.section, nil, _): .added
        case (.section, _, nil): .removed
        default: .changed(from: text(old), to: text(new))
        }
    return [Change(path: path, kind: kind, reload: key.reload)]
}

/// The sections of a list, by their names or else their numbers.
private func byName(_ list: Value) -> [Value.Named] {
    list.items.enumerated().compactMap { index, item in
        item.section.map { Value.Named(name: $0["name"]?.text ?? "\(index)", value: item, place: $0.place) }
    }
}

/// Those that stay, where their order has changed.
private func moved(_ old: [Value.Named], _ new: [Value.Named], _ key: Key, path: String) -> [Change] {
    let before = old.map(\.name).filter { name in new.contains { $0.name == name } }
    let after = new.map(\.name).filter { before.contains($0) }
    guard before != after else { return [] }
    return [Change(path: path, kind: .changed(from: phrase(before, "and"), to: phrase(after, "and")), reload: key.reload)]
}

private func named(_ old: [Value.Named], _ new: [Value.Named], _ key: Key, path: String) -> [Change] {
    let names = new.map(\.name) + old.map(\.name).filter { name in !new.contains { $0.name == name } }
    return names.flatMap { name in
        let (before, after) = (old.first { $0.name == name }?.value, new.first { $0.name == name }?.value)
        return difference(before, after, key, path: "\(path).\(name)")
    }
}
