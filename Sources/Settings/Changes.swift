// What a reload would change: the difference of two configurations, key by key.

/// One key whose value differs.
public struct Change: Sendable, Equatable, CustomStringConvertible {
    /// What differs.
    public enum Kind: Sendable, Equatable {
        case added
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
    let keys = new.keys + old.keys.filter { key in !new.keys.contains { $0.name == key.name } }
    return keys.flatMap { key in
        difference(old.entries[key.name]?.value, new.entries[key.name]?.value, key, path: path.isEmpty ? key.name : "\(path).\(key.name)")
    }
}

private func difference(_ old: Value?, _ new: Value?, _ key: Key, path: String) -> [Change] {
    switch (old, new) {
    case _ where old == new: return []
    case (.section(let old), .section(let new)): return differences(old, new, path: path)
    case (.map(let old), .map(let new)):
        guard case .destinations = key.type else { break }
        return named(old, new, key, path: path)
    case (nil, .map(let new)):
        guard case .destinations = key.type else { break }
        return named([], new, key, path: path)
    case (.map(let old), nil):
        guard case .destinations = key.type else { break }
        return named(old, [], key, path: path)
    default: break
    }
    let kind: Change.Kind =
        switch (old, new) {
        case (let old?, let new?): .changed(from: inline(old, key.type), to: inline(new, key.type))
        case (nil, _): .added
        case (_, nil): .removed
        }
    return [Change(path: path, kind: kind, reload: key.reload)]
}

private func named(_ old: [Value.Named], _ new: [Value.Named], _ key: Key, path: String) -> [Change] {
    let names = new.map(\.name) + old.map(\.name).filter { name in !new.contains { $0.name == name } }
    return names.flatMap { name in
        let (before, after) = (old.first { $0.name == name }?.value, new.first { $0.name == name }?.value)
        return difference(before, after, key, path: "\(path).\(name)")
    }
}
