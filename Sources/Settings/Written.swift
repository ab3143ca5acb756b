// What stands in the files, before anything is understood: maps, lists and texts with their places, and how several files become one.

/// A piece of a file.
struct Written: Sendable {
    enum Content: Sendable {
        /// Nothing after the colon, `~` or `null`.
        case empty
        case text(String)
        case list([Written])
        case map([Entry])
    }

    struct Entry: Sendable {
        let name: String
        /// Where the key stands.
        let place: Place
        let value: Written
    }

    let content: Content
    let place: Place
    /// How a text is written; nil where it is none.
    var source: ScalarSource?

    /// What it is, for messages.
    var kind: String {
        switch content {
        case .empty: "empty"
        case .text: "a text"
        case .list: "a list"
        case .map: "a section"
        }
    }
}

/// Joins a file with those before it: sections by key, routes and tests one after the other. Nil where the two cannot be one: the same leaf, or the
/// same destination, in two files is a mistake, which names both places.
func merge(_ first: Written, _ second: Written, path: [String] = [], mistakes: inout [Mistake]) -> Written? {
    let isDestination = path.count == 2 && path[0] == "destinations"
    switch (first.content, second.content) {
    case (.text, _), (_, .text): return nil
    case _ where isDestination: return nil
    case (_, .empty): return first
    case (.empty, _): return second
    case (.list(let a), .list(let b)) where path == ["routes"] || path == ["tests"]:
        return Written(content: .list(a + b), place: first.place)
    case (.map(var entries), .map(let others)):
        for other in others {
            guard let index = entries.firstIndex(where: { $0.name == other.name }) else {
                entries.append(other)
                continue
            }
            let before = entries[index]
            if let value = merge(before.value, other.value, path: path + [other.name], mistakes: &mistakes) {
                entries[index] = Written.Entry(name: before.name, place: before.place, value: value)
            } else {
                let text = "\"\(other.name)\" stands already at \(before.place); leave one of the two"
                mistakes.append(Mistake(other.place, path: path.joined(separator: "."), text))
            }
        }
        return Written(content: .map(entries), place: first.place)
    default: return nil
    }
}
