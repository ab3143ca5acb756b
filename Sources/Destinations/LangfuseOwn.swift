import SpanModel

/// What the application itself wrote for Langfuse, under names that begin with `langfuse.`, as its SDKs do. It wins: the OTLP door reads it
/// first, and the JSON door is told it in place of what the span says otherwise. Good inside the scope of its view.
struct LangfuseOwn {
    private var values: [String: RawValue] = [:]

    init(_ llm: LLMFields) {
        for (key, value) in llm.span.attributes where Self.names.contains(key) { values[String(decoding: key, as: UTF8.self)] = value }
    }

    private static let names = AttributeNames(prefixes: ["langfuse."])

    /// Whether there is one of this name.
    func contains(_ name: String) -> Bool { values[name] != nil }

    /// The value of that name, a text that is JSON of an object or an array as that; nil where it is not there, or null.
    subscript(name: String) -> ContentValue? {
        guard let value = values[name].map({ ContentValue.raw($0).parsed }), !value.isNull else { return nil }
        return value
    }

    /// The text of that name; nil where it is empty or none.
    func text(_ name: String) -> SpanText? {
        guard case .string(let text)? = values[name], !text.isEmpty else { return nil }
        return .utf8(text)
    }

    /// The integer of that name.
    func integer(_ name: String) -> Int64? { if case .int(let value)? = values[name] { value } else { nil } }

    /// The kind of observation, where it is one that the server knows; in lower case, as it reads it.
    var kind: LangfuseObservation? { text("langfuse.observation.type").flatMap { LangfuseObservation(rawValue: $0.string) } }

    /// The level, where it is one of the four; the JSON door refuses any other.
    var level: String? {
        guard let level = text("langfuse.observation.level")?.string.uppercased() else { return nil }
        return ["DEBUG", "DEFAULT", "WARNING", "ERROR"].contains(level) ? level : nil
    }

    /// When the first token came, as it was written (RFC 3339); the SDKs put it in quotes.
    var completionStart: String? {
        guard let text = text("langfuse.observation.completion_start_time")?.string else { return nil }
        let time = text.hasPrefix("\"") ? String(text.dropFirst().dropLast()) : text
        return time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/) == nil ? nil : time
    }

    /// Keys and values of metadata, of the observation or of the trace, in the order of the keys.
    func metadata(_ of: String) -> [(name: String, value: ContentValue)] {
        let prefix = "langfuse.\(of).metadata."
        return values.keys.filter { $0.hasPrefix(prefix) && $0.count > prefix.count }.sorted().compactMap { key in
            self[key].map { (String(key.dropFirst(prefix.count)), $0) }
        }
    }

    /// An object of numbers, all integers where they must be; nil where it is anything else, which the JSON door refuses.
    func numbers(_ name: String, integers: Bool) -> ContentValue? {
        guard let value = self[name], value.isObject else { return nil }
        var isSound = true
        value.forEachMember { _, member in
            let number = member.text == nil ? member.number : nil
            if number == nil || (integers && number.flatMap { Int64(exactly: $0) } == nil) { isSound = false }
        }
        return isSound ? value : nil
    }

    /// Texts of a list.
    func texts(_ name: String) -> [SpanText] {
        var texts: [SpanText] = []
        self[name]?.forEachElement { if let text = $0.text { texts.append(text) } }
        return texts
    }
}
