// From what is written to values, by the table. Reports every mistake and goes on: a section whose mistakes were reported still has the
// values that were right. A secret's text, and what stands in its place by mistake, never gets into a message.

/// Walks `Written` along the table.
struct Decode {
    let table: [Key]
    let surroundings: Surroundings
    var mistakes: [Mistake] = []
    /// Names of destinations that something refers to, checked once all destinations and groups are known.
    private var references: [Reference] = []
    private var destinations: [String] = []
    private var groups: [String] = []

    init(table: [Key], surroundings: Surroundings) {
        self.table = table
        self.surroundings = surroundings
    }

    /// What the keys of a section are below: a path of keys, `destinations.collector`, or in an item of a list the item and the keys from
    /// there: `routes[0] "production": sample.tail`.
    struct Scope {
        let path: String
        var keysInItem: String?

        static let top = Scope(path: "")

        func site(_ name: String, _ place: Place) -> Site {
            guard let keysInItem else { return Site(place: place, path: path, name: name, below: Scope(path: joined(path, name))) }
            let name = joined(keysInItem, name)
            return Site(place: place, path: path, name: name, below: Scope(path: path, keysInItem: name))
        }

        /// An item of the list at a site.
        static func item(_ name: String, _ place: Place, of list: Site) -> Site {
            let isNested = list.below.keysInItem != nil
            let below = isNested ? Scope(path: list.path, keysInItem: name) : Scope(path: joined(list.path, name), keysInItem: "")
            return Site(place: place, path: list.path, name: name, below: below)
        }

        /// What is wrong with the section as a whole.
        func mistake(_ place: Place, _ text: String) -> Mistake {
            guard let keysInItem, !keysInItem.isEmpty else { return Mistake(place, path: path, text) }
            return Mistake(place, path: path, "\(keysInItem): \(text)")
        }
    }

    /// Where a value stands and what it is called: `destinations.collector: linger`.
    struct Site {
        let place: Place
        let path: String
        let name: String
        /// Of the keys in the section that stands here.
        let below: Scope
    }

    private struct Reference {
        enum Kind { case destination, target, key }

        let name: Text
        let site: Site
        let kind: Kind
    }

    /// The whole configuration.
    ///
    /// `isWhole` is false where a file could not be read: what it would have defined is not missed then.
    mutating func root(_ written: Written, isWhole: Bool) -> Section {
        let root = section(written, table, .top)
        if isWhole { references.forEach { checkReference($0) } }
        return root
    }

    private mutating func checkReference(_ reference: Reference) {
        let known = reference.kind == .target ? destinations + groups : destinations
        guard !known.contains(reference.name.text) else { return }
        let guess = nearest(to: reference.name.text, in: known).map { "did you mean \"\($0)\"?" }
        let what = reference.kind == .target && !groups.isEmpty ? "no destination and no group" : "no destination"
        let remedy = guess ?? (known.isEmpty ? "none is configured" : "known are \(phrase(known, "and"))")
        report(reference.site, (reference.kind == .key ? "is" : "is \"\(reference.name.shown)\", which is") + " \(what); \(remedy)")
    }

    private mutating func report(_ site: Site, _ predicate: String) {
        mistakes.append(Mistake(site.place, path: site.path, "\(site.name) \(predicate)"))
    }

    // MARK: - Sections

    /// A section with the values that are right. `ignoresUnknown` is for a destination whose type is not known.
    private mutating func section(_ written: Written, _ keys: [Key], _ scope: Scope, ignoresUnknown: Bool = false) -> Section {
        var section = Section(keys: keys, path: scope.path, keysInItem: scope.keysInItem ?? "", place: written.place)
        let entries = if case .map(let entries) = written.content { entries } else { [Written.Entry]() }
        for entry in entries {
            let site = scope.site(entry.name, entry.place)
            guard let key = keys.first(where: { $0.name == entry.name }) else {
                if !ignoresUnknown { reportUnknown(entry, keys, scope) }
                continue
            }
            if key.mayBeEmpty, case .empty = entry.value.content { continue }
            let valueSite = scope.site(entry.name, place(of: entry))
            let value = value(entry.value, key.type, valueSite, key: site)
            if key.type.isList, case .list(let items) = entry.value.content, items.isEmpty {
                let otherwise = if case .nothing(let meaning) = key.absent { ", or leave the key out (\(meaning))" } else { "" }
                report(valueSite, "is an empty list; name at least one\(otherwise)")
            }
            section.entries[key.name] = Section.Entry(value: value, place: entry.place)
        }
        for key in keys where section.isLeftOut(key.name) {
            switch key.absent {
            case .required:
                mistakes.append(scope.mistake(written.place, "\"\(key.name)\" is missing; it is \(key.type.form)"))
            case .value, .defaults:
                section.entries[key.name] = Section.Entry(value: defaultValue(key, scope, written.place), place: nil)
            case .nothing: break
            }
        }
        return section
    }

    /// Where to point for an entry's value: at the value, unless it is empty and so has no place that a person would see.
    private func place(of entry: Written.Entry) -> Place {
        if case .empty = entry.value.content { entry.place } else { entry.value.place }
    }

    private mutating func reportUnknown(_ entry: Written.Entry, _ keys: [Key], _ scope: Scope) {
        let names = keys.map(\.name)
        let guess = nearest(to: entry.name, in: names).map { "did you mean \"\($0)\"?" }
        let homes = homes(of: entry.name, in: keys, path: scope.keysInItem ?? scope.path) + homes(of: entry.name, in: table, path: "")
        // A key at the wrong depth is the commonest slip of YAML; where it has one home in the table, that is named.
        let home = Set(homes).count == 1 ? homes.first.map { "it belongs under \"\($0)\"" } : nil
        let text = "unknown key \"\(entry.name)\"; \(guess ?? home ?? "known here are \(phrase(names, "and"))")"
        mistakes.append(scope.mistake(entry.place, text))
    }

    private func homes(of name: String, in keys: [Key], path: String) -> [String] {
        keys.flatMap { key -> [String] in
            guard let below = key.type.keysWhereSection else { return [] }
            let path = path.isEmpty ? key.name : "\(path).\(key.name)"
            return (below.contains { $0.name == name } ? [path] : []) + homes(of: name, in: below, path: path)
        }
    }

    private mutating func defaultValue(_ key: Key, _ scope: Scope, _ place: Place) -> Value {
        let site = scope.site(key.name, place)
        switch (key.absent, key.type) {
        case (.defaults, .section(let keys)): return .section(section(Written(content: .empty, place: place), keys, site.below))
        case (.value(let text), let type):
            // The default of a rate is a number.
            let type = if case .rate = type { KeyType.fraction("") } else { type }
            guard let value = try? type.parse(text, shown: text) else { preconditionFailure("\(key.name): the default is not of its type") }
            return value
        default: preconditionFailure("\(key.name): has no default")
        }
    }

    // MARK: - Values

    private mutating func value(_ written: Written, _ type: KeyType, _ site: Site, key: Site) -> Value? {
        let type = type.alternative(for: written.content)
        switch (type, written.content) {
        case (.section(let keys), .map), (.section(let keys), .empty):
            return .section(section(Written(content: written.content, place: key.place), keys, site.below))
        case (.step(let keys), .map(let entries)):
            if entries.count != 1 {
                let begin = entries.isEmpty ? "is empty" : "has \(phrase(entries.map(\.name), "and")) in one step"
                report(site, "\(begin); a step is one key, behind its own \"- \": \(phrase(keys.map(\.name), "or"))")
            }
            return .section(section(Written(content: written.content, place: key.place), keys, site.below))
        case (.names(let form, let item), .map(let entries)):
            if case .group = form { groups = entries.map(\.name) }
            return .map(entries.compactMap { named($0, form, item, site.below) })
        case (.anything, .map): return .raw(SettingsValue(written))
        case (.expression(_, orNull: true), .empty): return .rule(RuleText("null", written, site))
        case (.expression, .text(let text)), (.condition, .text(let text)), (.rate, .text(let text)): return rule(text, type, written, site)
        case (.list(let item), .list(let items)): return .list(self.items(of: item, in: items, site))
        case (.destinations(let types), .map(let entries)):
            destinations = entries.map(\.name)
            return .map(entries.compactMap { destination($0, types, site.below) })
        case (.headers, .map(let entries)): return .map(entries.compactMap { header($0, entries, site.below) })
        case (.secret, _): return secret(written, site).map { .secret($0) }
        case (.choice(_, .some(.section(let keys))), .map(let entries)):
            guard !entries.isEmpty else { break }
            return .section(section(Written(content: written.content, place: key.place), keys, site.below))
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
            let name = Text(text: substituted.text, shown: text)
            if case .destination = type { references.append(Reference(name: name, site: site, kind: .destination)) }
            if case .target = type { references.append(Reference(name: name, site: site, kind: .target)) }
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
            let site = Scope.item(name, item.place, of: site)
            return value(item, type, site, key: site)
        }
    }

    /// A name with its value, in a map of names that are the user's.
    private mutating func named(_ entry: Written.Entry, _ form: NameForm, _ type: KeyType, _ scope: Scope) -> Value.Named? {
        let site = scope.site(entry.name, entry.place)
        switch form {
        case .identifier where entry.name.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]*/) == nil:
            report(site, "is no name for an expression; it has letters, digits and _, and begins with no digit")
        case .group where !isDestinationName(entry.name): report(site, "is no name for a group; \(destinationNames)")
        case .destination: references.append(Reference(name: Text(text: entry.name, shown: entry.name), site: site, kind: .key))
        case .attribute where entry.name.isEmpty, .glob where entry.name.isEmpty:
            mistakes.append(scope.mistake(entry.place, "a name is empty"))
        default: break
        }
        let valueSite = scope.site(entry.name, place(of: entry))
        guard let value = value(entry.value, type, valueSite, key: site) else { return nil }
        if case .list(let items) = value, items.isEmpty { report(valueSite, "is an empty list; name at least one") }
        if case .glob = form, case .text(let to) = value, stars(entry.name) != stars(to.text) {
            report(
                valueSite,
                "is \"\(to.shown)\", which has \(stars(to.text)) * where its name has \(stars(entry.name)); what a * stands for is kept")
        }
        return Value.Named(name: entry.name, value: value, place: entry.place)
    }

    /// What the pipeline will read, with its place; a number or a word where that may stand instead.
    private mutating func rule(_ text: String, _ type: KeyType, _ written: Written, _ site: Site) -> Value? {
        switch type {
        case _ where text.allSatisfy(\.isWhitespace):
            report(site, "is empty; it is \(type.form)")
            return nil
        case .condition where Bool(text) != nil: return .boolean(text == "true")
        case .rate where isNumber(text) || text.hasSuffix("%") || text.hasPrefix("${"): return scalar(text, .fraction("a rate"), site)
        default: return .rule(RuleText(text, written, site))
        }
    }

    // MARK: - Destinations

    private mutating func destination(_ entry: Written.Entry, _ types: [DestinationType], _ scope: Scope) -> Value.Named? {
        let site = scope.site(entry.name, entry.place)
        if !isDestinationName(entry.name) { report(site, "is no name for a destination; \(destinationNames)") }
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
        let section = section(written, keys, site.below, ignoresUnknown: type == nil)
        if let type, mistakes.count == before { mistakes += type.check(section) }
        return Value.Named(name: entry.name, value: .section(section), place: entry.place)
    }

    private mutating func header(_ entry: Written.Entry, _ all: [Written.Entry], _ scope: Scope) -> Value.Named? {
        let site = scope.site(entry.name, entry.place)
        let lower = entry.name.lowercased()
        guard entry.name.wholeMatch(of: /[A-Za-z0-9!#$%&'*+\-.^_`|~]+/) != nil else {
            // Not shown: a whole "name: value" may stand here by mistake.
            mistakes.append(
                scope.mistake(site.place, "the name of a header has letters, digits and -; its value comes after the colon"))
            return nil
        }
        if lower == "host" || lower == "content-length" { report(site, "is set by tracefwd; leave it out") }
        if let first = all.first(where: { $0.name.lowercased() == lower }), first.place != entry.place {
            report(site, "stands twice; the first is \(first.name) in line \(first.place.line)")
        }
        guard let value = secret(entry.value, scope.site(entry.name, place(of: entry))) else { return nil }
        guard value.reveal().utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
            report(site, "has a line break or control character in its value")
            return nil
        }
        return Value.Named(name: entry.name, value: .secret(value), place: entry.place)
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

private func joined(_ path: String, _ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

private let destinationNames = "it has letters, digits, _ and -, at most 64, and begins with a letter or digit"

private func isDestinationName(_ name: String) -> Bool { name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9_\-]{0,63}/) != nil }

private func stars(_ glob: String) -> Int { glob.utf8.count { $0 == UInt8(ascii: "*") } }

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
