// The sections of the rules as `RuleSettings`. Reads what is right of a configuration with mistakes too, and leaves out the rest: then those
// in its expressions are told in the same run.

extension RuleSettings {
    init(_ root: Section) {
        let groups = Dictionary(root.pairs("groups").map { ($0.name, $0.value.texts) }, uniquingKeysWith: { first, _ in first })
        let destinations = root.namedSections("destinations").map(\.name)
        definitions = root.pairs("define").compactMap { pair in
            pair.value.rule.map { DefinitionSettings(name: pair.name, expression: $0) }
        }
        let intake = root["intake"]?.section
        self.intake = IntakeRuleSettings(redact: redactions(intake), dropContent: condition(intake?["drop_content"]))
        self.destinations = destinations
        routes = root["routes"].map { list in
            let routes = list.items.enumerated().compactMap { index, item in
                item.section.map { RouteSettings($0, index, groups, destinations) }
            }
            return inReadingOrder(routes)
        }
        prices = root["prices"]?.section.flatMap { SettingsValue(prices: $0) }
        tests = (root["tests"]?.items ?? []).enumerated().compactMap { index, item in item.section.flatMap { RuleTest($0, index) } }
    }
}

/// From high to low priority, equal ones as they stand.
private func inReadingOrder(_ routes: [RouteSettings]) -> [RouteSettings] {
    routes.enumerated().sorted { (-$0.element.priority, $0.offset) < (-$1.element.priority, $1.offset) }.map(\.element)
}

extension RouteSettings {
    fileprivate init(_ section: Section, _ index: Int, _ groups: [String: [String]], _ destinations: [String]) {
        name = section["name"]?.text ?? "\(index)"
        selection = section["otherwise"] == .boolean(true) ? .otherwise : section["when"]?.rule.map { .when($0) } ?? .always
        priority = section["priority"]?.integer ?? 0
        drops = section["drop"] == .boolean(true)
        isFinal = drops || section["final"] == .boolean(true)
        let named = (section["to"]?.texts ?? []).flatMap { groups[$0] ?? [$0] }
        to = drops ? [] : named.enumerated().filter { destinations.contains($1) && !named[..<$0].contains($1) }.map(\.element)
        sample = section["sample"].map { SampleSettings($0) }
        transform = (section["transform"]?.items ?? []).compactMap { $0.section.flatMap { TransformSettings($0) } }
        redact = redactions(section)
        place = section.place
    }
}

extension SampleSettings {
    fileprivate init(_ value: Value) {
        let section = value.section
        rate =
            switch section?["rate"] ?? value {
            case .number(let number): .number(number)
            case .rule(let rule): .expression(rule)
            default: .number(1)
            }
        keep = section?["keep"]?.rules ?? []
        perSecondMax = section?["limit"]?.number
        hashesTraceID = section?["method"]?.text == "hash"
        tail = section?["tail"]?.section.map { TailSettings($0) }
    }
}

extension TailSettings {
    fileprivate init(_ section: Section) {
        wait = section["wait"]?.duration ?? .zero
        grace = section["grace"]?.duration ?? .zero
        keep = section["keep"]?.rules ?? []
        rate = section["rate"]?.number ?? 0
        remember = section["remember"]?.duration ?? .zero
        tracesMax = section["max_traces"]?.integer ?? 1
    }
}

extension TransformSettings {
    /// The one step that stands there.
    fileprivate init?(_ section: Section) {
        guard let key = section.keys.first(where: { section.has($0.name) }), let value = section[key.name] else { return nil }
        switch (key.name, value) {
        case ("set", .map(let pairs)):
            self = .set(pairs.compactMap { pair in pair.value.rule.map { Assignment(name: pair.name, value: $0) } })
        case ("rename", .map(let pairs)):
            self = .rename(pairs.compactMap { pair in pair.value.text.map { Renaming(from: pair.name, to: $0) } })
        case ("remove", _): self = .remove(value.texts)
        case ("only", _): self = .only(value.texts)
        case ("truncate", .section(let step)):
            guard let most = step["max"]?.integer else { return nil }
            self = .truncate(bytesMax: most, at: step["at"]?.texts ?? [])
        case ("normalize", _):
            guard let dialect = value.text.flatMap({ Dialect(rawValue: $0) }) else { return nil }
            self = .normalize(dialect)
        case ("drop_content", _): self = .dropContent(condition(value))
        case ("enrich", .section(let step)):
            let pairs = step.pairs("static").compactMap { pair in pair.value.text.map { (pair.name, $0) } }
            self = .enrich(
                host: step["host"] == .boolean(true), attributes: Dictionary(pairs, uniquingKeysWith: { first, _ in first }),
                estimatesTokens: step["tokens"]?.text == "estimate")
        case ("exec", .section(let step)):
            guard let command = step["command"]?.texts, let timeout = step["timeout"]?.duration else { return nil }
            self = .exec(command: command, timeout: timeout, deadOnError: step["on_error"]?.text != "keep")
        default: return nil
        }
    }
}

extension RedactionSettings {
    fileprivate init?(_ value: Value) {
        if let entity = value.rule {
            (target, replacement, hash, attributes) = (.entity(entity), nil, false, [])
            return
        }
        guard let section = value.section else { return nil }
        if let entity = section["entity"]?.rule {
            target = .entity(entity)
        } else if let pattern = section["pattern"]?.rule {
            target = .pattern(pattern)
        } else {
            return nil
        }
        replacement = section["as"]?.text
        hash = section["hash"] == .boolean(true)
        attributes = section["in"]?.texts ?? []
    }
}

private func redactions(_ section: Section?) -> [RedactionSettings] {
    (section?["redact"]?.items ?? []).compactMap { RedactionSettings($0) }
}

private func condition(_ value: Value?) -> ConditionSettings {
    switch value {
    case .boolean(true): .always
    case .rule(let rule): .when(rule)
    default: .never
    }
}

extension RuleTest {
    /// What may be expected, in a word.
    static let words = ["delivered", "filtered", "sampled", "dropped"]

    fileprivate init?(_ section: Section, _ index: Int) {
        guard case .raw(let span) = section["span"] else { return nil }
        name = section["name"]?.text ?? "tests[\(index)]"
        self.span = span
        random = section["random"]?.number
        expect = section.pairs("expect").compactMap { pair in Expectation(pair.value).map { (pair.name, $0) } }
        place = section.place
    }
}

extension RuleTest.Expectation {
    fileprivate init?(_ value: Value) {
        if case .raw(let members) = value.section?["delivered"] {
            self = .with(members)
            return
        }
        switch value.text {
        case "delivered": self = .delivered
        case "filtered": self = .filtered
        case "sampled": self = .sampled
        case "dropped": self = .dropped
        default: return nil
        }
    }
}

extension SettingsValue {
    fileprivate init?(prices section: Section) {
        var entries: [(name: String, value: SettingsValue)] = []
        if let file = section["file"]?.text {
            entries.append(("file", SettingsValue(.text(file, isPlain: false), at: section.entries["file"]?.place ?? section.place)))
        }
        if case .raw(let models) = section["models"] { entries.append(("models", models)) }
        guard !entries.isEmpty else { return nil }
        self.init(.map(entries), at: section.place)
    }
}

extension Value {
    var text: String? { if case .text(let text) = self { text.text } else { nil } }
    var integer: Int? { if case .integer(let number) = self { number } else { nil } }
    var number: Double? { if case .number(let number) = self { number } else { nil } }
    var duration: Duration? { if case .duration(let time) = self { time } else { nil } }
    var rule: RuleText? { if case .rule(let rule) = self { rule } else { nil } }
    var section: Section? { if case .section(let section) = self { section } else { nil } }
    var items: [Value] { if case .list(let items) = self { items } else { [] } }
    var rules: [RuleText] { items.compactMap(\.rule) }
    /// Of a list, or of one text that stands for it.
    var texts: [String] { text.map { [$0] } ?? items.compactMap(\.text) }
}
