// From what is written to values, by the table. Reports every mistake and goes on: a section whose mistakes were reported still has the
// values that were right. A secret's text, and what stands in its place by mistake, never gets into a message.

/// Walks `Written` along the table.
struct Decode {
    let table: [Key]
    let surroundings: Surroundings
    var mistakes: [Mistake] = []
    /// Names of destinations that something refers to, checked once all destinations are known.
    private var references: [(name: Text, site: Site)] = []
    private var destinations: [String] = []

    init(table: [Key], surroundings: Surroundings) {
        self.table = table
        self.surroundings = surroundings
    }

    /// Where a value stands and what it is called: `destinations.collector: linger`.
    struct Site {
        let place: Place
        let path: String
        let name: String

        var full: String { path.isEmpty ? name : "\(path).\(name)" }
    }

    /// The whole configuration.
    ///
    /// `isWhole` is false where a file could not be read: what it would have defined is not missed then.
    mutating func root(_ written: Written, isWhole: Bool) -> Section {
        let root = section(written, table, path: "")
        for (name, site) in references where isWhole && !destinations.contains(name.text) {
            let guess = nearest(to: name.text, in: destinations).map { "did you mean \"\($0)\"?" }
            let known = destinations.isEmpty ? "none is configured" : "known are \(phrase(destinations, "and"))"
            report(site, "is \"\(name.shown)\", which is no destination; \(guess ?? known)")
        }
        return root
    }

    private mutating func report(_ site: Site, _ predicate: String) {
        mistakes.append(Mistake(site.place, path: site.path, "\(site.name) \(predicate)"))
    }

    // MARK: - Sections

    /// A section with the values that are right. `ignoresUnknown` is for a destination whose type is not known.
    private mutating func section(_ written: Written, _ keys: [Key], path: String, ignoresUnknown: Bool = false) -> Section {
        var section = Section(keys: keys, path: path, place: written.place)
        let entries = if case .map(let entries) = written.content { entries } else { [Written.Entry]() }
        for entry in entries {
            let site = Site(place: entry.place, path: path, name: entry.name)
            guard let key = keys.first(where: { $0.name == entry.name }) else {
                if !ignoresUnknown { reportUnknown(site, keys) }
                continue
            }
            if key.mayBeEmpty, case .empty = entry.value.content { continue }
            let valueSite = Site(place: place(of: entry), path: path, name: entry.name)
            let value = value(entry.value, key.type, valueSite, key: site)
            if case .list = key.type, case .list(let items) = entry.value.content, items.isEmpty {
                let otherwise = if case .nothing(let meaning) = key.absent { ", or leave the key out (\(meaning))" } else { "" }
                report(valueSite, "is an empty list; name at least one\(otherwise)")
            }
            section.entries[key.name] = Section.Entry(value: value, place: entry.place)
        }
        for key in keys where section.isLeftOut(key.name) {
            switch key.absent {
            case .required:
                mistakes.append(Mistake(written.place, path: path, "\"\(key.name)\" is missing; it is \(key.type.form)"))
            case .value, .defaults:
                section.entries[key.name] = Section.Entry(value: defaultValue(key, path: path, place: written.place), place: nil)
            case .nothing: break
            }
        }
        return section
    }

    /// Where to point for an entry's value: at the value, unless it is empty and so has no place that a person would see.
    private func place(of entry: Written.Entry) -> Place {
        if case .empty = entry.value.content { entry.place } else { entry.value.place }
    }

    private mutating func reportUnknown(_ site: Site, _ keys: [Key]) {
        let names = keys.filter { !$0.isLater }.map(\.name)
        let guess = nearest(to: site.name, in: names).map { "did you mean \"\($0)\"?" }
        let homes = homes(of: site.name, in: keys, path: site.path) + homes(of: site.name, in: table, path: "")
        // A key at the wrong depth is the commonest slip of YAML; where it has one home in the table, that is named.
        let home = Set(homes).count == 1 ? homes.first.map { "it belongs under \"\($0)\"" } : nil
        let text = "unknown key \"\(site.name)\"; \(guess ?? home ?? "known here are \(phrase(names, "and"))")"
        mistakes.append(Mistake(site.place, path: site.path, text))
    }

    private func homes(of name: String, in keys: [Key], path: String) -> [String] {
        keys.flatMap { key -> [String] in
            guard case .section(let below) = key.type else { return [] }
            let path = path.isEmpty ? key.name : "\(path).\(key.name)"
            return (below.contains { $0.name == name } ? [path] : []) + homes(of: name, in: below, path: path)
        }
    }

    private mutating func defaultValue(_ key: Key, path: String, place: Place) -> Value {
        let path = path.isEmpty ? key.name : "\(path).\(key.name)"
        switch (key.absent, key.type) {
        case (.defaults, .section(let keys)): return .section(section(Written(content: .empty, place: place), keys, path: path))
        case (.value(let text), _):
            guard let value = try? key.type.parse(text, shown: text) else { preconditionFailure("\(path): the default is not of its type") }
            return value
        default: preconditionFailure("\(path): has no default")
        }
    }

    // MARK: - Values

    private mutating func value(_ written: Written, _ type: KeyType, _ site: Site, key: Site) -> Value? {
        switch (type, written.content) {
        case (.later, _):
            mistakes.append(Mistake(key.place, path: key.path, "\"\(key.name)\" is not in this version yet; leave it out"))
            return nil
        case (.section(let keys), .map), (.section(let keys), .empty):
            return .section(section(Written(content: written.content, place: key.place), keys, path: site.full))
        case (.list(let item), .list(let items)): return .list(self.items(of: item, in: items, site))
        case (.destinations(let types), .map(let entries)):
            destinations = entries.map(\.name)
            return .map(entries.compactMap { destination($0, types, path: site.full) })
        case (.headers, .map(let entries)): return .map(entries.compactMap { header($0, entries, path: site.full) })
        case (.secret, _): return secret(written, site).map { .secret($0) }
        case (.choice(_, .some(.section(let keys))), .map(let entries)):
            guard !entries.isEmpty else { break }
            return .section(section(Written(content: written.content, place: key.place), keys, path: site.full))
        case (_, .text(let text)) where type.isScalar: return scalar(text, type, site)
        default: break
        }
        report(site, "is \(written.kind); it is \(type.form)")
        return nil
    }

    private mutating func scalar(_ text: String, _ type: KeyType, _ site: Site) -> Value? {
        let substituted = Substituted(text, environment: surroundings.environment)
        guard substituted.problems.isEmpty else {
            for problem in substituted.problems { report(site, problem) }
            return nil
        }
        do throws(Remedy) {
            let value = try type.parse(substituted.text, shown: text)
            if case .destination = type { references.append((Text(text: substituted.text, shown: text), site)) }
            return value
        } catch {
            // As it is written: what a variable holds may be a secret.
            let replaced = substituted.hasVariables ? ", with its variables replaced" : ""
            report(site, "is \(quoted(text, type))\(replaced); \(error.text)")
            return nil
        }
    }

    private mutating func items(of type: KeyType, in items: [Written], _ site: Site) -> [Value] {
        items.enumerated().compactMap { index, item in
            var name = "\(site.name)[\(index)]"
            if case .map(let entries) = item.content, let given = entries.first(where: { $0.name == "name" }),
                case .text(let text) = given.value.content
            {
                name += " \"\(text)\""
            }
            let site = Site(place: item.place, path: site.path, name: name)
            return value(item, type, site, key: site)
        }
    }

    // MARK: - Destinations

    private mutating func destination(_ entry: Written.Entry, _ types: [DestinationType], path: String) -> Value.Named? {
        let site = Site(place: entry.place, path: path, name: entry.name)
        if entry.name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9_\-]{0,63}/) == nil {
            report(site, "is no name for a destination; it has letters, digits, _ and -, at most 64, and begins with a letter or digit")
        }
        guard case .map(let entries) = entry.value.content else {
            report(site, "is \(entry.value.kind); it is a section with a \"type:\"")
            return nil
        }
        var type: DestinationType?
        if let given = entries.first(where: { $0.name == "type" }), case .text(let text) = given.value.content {
            type = types.first { $0.name == Substituted(text, environment: surroundings.environment).text }
        }
        let before = mistakes.count
        let keys = [typeKey(types)] + (type?.allKeys ?? commonDestinationKeys(http: true))
        let written = Written(content: entry.value.content, place: entry.place)
        let section = section(written, keys, path: site.full, ignoresUnknown: type == nil)
        if let type, mistakes.count == before { mistakes += type.check(section) }
        return Value.Named(name: entry.name, value: .section(section))
    }

    private mutating func header(_ entry: Written.Entry, _ all: [Written.Entry], path: String) -> Value.Named? {
        let site = Site(place: entry.place, path: path, name: entry.name)
        let lower = entry.name.lowercased()
        guard entry.name.wholeMatch(of: /[A-Za-z0-9!#$%&'*+\-.^_`|~]+/) != nil else {
            // Not shown: a whole "name: value" may stand here by mistake.
            mistakes.append(
                Mistake(site.place, path: path, "the name of a header has letters, digits and -; its value comes after the colon"))
            return nil
        }
        if lower == "host" || lower == "content-length" { report(site, "is set by tracefwd; leave it out") }
        if let first = all.first(where: { $0.name.lowercased() == lower }), first.place != entry.place {
            report(site, "stands twice; the first is \(first.name) in line \(first.place.line)")
        }
        guard let value = secret(entry.value, Site(place: place(of: entry), path: path, name: entry.name)) else { return nil }
        guard value.reveal().utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
            report(site, "has a line break or control character in its value")
            return nil
        }
        return Value.Named(name: entry.name, value: .secret(value))
    }

    // MARK: - Secrets

    private mutating func secret(_ written: Written, _ site: Site) -> Secret? {
        var read: String?
        switch written.content {
        case .text(let text): read = secretText(text, site)
        case .map(let entries) where entries.count == 1 && entries[0].name == "file":
            guard let (path, written) = sourceText(entries[0], site) else { return nil }
            read = contents(of: path, "the file \(written)", site)
        case .map(let entries) where entries.count == 1 && entries[0].name == "credential":
            guard let (name, written) = sourceText(entries[0], site) else { return nil }
            guard !name.contains("/"), let folder = surroundings.environment["CREDENTIALS_DIRECTORY"] else {
                report(
                    site,
                    "is a credential, which systemd hands over: LoadCredential=NAME:PATH in the unit; $CREDENTIALS_DIRECTORY is not set")
                return nil
            }
            read = contents(of: "\(folder)/\(name)", "the credential \(written)", site)
        default:
            report(site, "is \(written.kind), which is not shown; it is \(KeyType.secretForms)")
            return nil
        }
        guard let read else { return nil }
        guard !read.isEmpty else {
            report(site, "is empty; it is \(KeyType.secretForms)")
            return nil
        }
        return Secret(read)
    }

    private mutating func secretText(_ text: String, _ site: Site) -> String? {
        let substituted = Substituted(text, environment: surroundings.environment)
        for problem in substituted.problems { report(site, problem) }
        return substituted.problems.isEmpty ? substituted.text : nil
    }

    /// The path or name in `{file: …}` or `{credential: …}`, and as it is written: a variable in it is not shown.
    private mutating func sourceText(_ entry: Written.Entry, _ site: Site) -> (text: String, written: String)? {
        guard case .text(let written) = entry.value.content, !written.isEmpty else {
            report(site, "has an empty {\(entry.name): …}")
            return nil
        }
        return secretText(written, site).map { ($0, written) }
    }

    private mutating func contents(of path: String, _ what: String, _ site: Site) -> String? {
        do throws(ReadError) {
            guard var text = String(validating: try surroundings.read(path), as: UTF8.self) else {
                report(site, "cannot be had: \(what) is not UTF-8")
                return nil
            }
            if text.last == "\n" || text.last == "\r\n" { text.removeLast() }
            return text
        } catch {
            report(site, "cannot be had: \(what): \(error.reason)")
            return nil
        }
    }
}

/// A value in a message: numbers bare, texts in quotes, cut where long, without control characters.
private func quoted(_ text: String, _ type: KeyType) -> String {
    var text = text
    if case .url = type { text = withoutSecrets(text) }
    if !text.isEmpty, text.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") || ".-%".utf8.contains($0) }) {
        return text
    }
    let clean = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) }
    return "\"" + String(clean.prefix(60)) + (clean.count > 60 ? "…" : "") + "\""
}
