import CEL
import SpanModel

/// What the spans of one trace add up to, as far as they have been seen: a few hundred bytes, however many they are.
public struct TraceSums: Sendable {
    /// Different texts of the trace, the first few.
    private struct Texts: Sendable {
        private static let countMax = 32
        private(set) var list: [String] = []

        mutating func add(_ text: SpanText?) {
            guard let text, list.count < Self.countMax else { return }
            let string = TraceSums.brief(text.string)
            if !list.contains(string) { list.append(string) }
        }
    }

    /// What conditions see of the trace's root.
    private struct Root: Sendable {
        var name = ""
        var environment = ""
        var user = ""
        var session = ""
    }

    private var spans: Int64 = 0
    private var errors: Int64 = 0
    /// Millionths of a millionth of a dollar: sums of decimals do not drift.
    private var cost: Int128 = 0
    private var totalTokens: Int64 = 0
    private var start: UInt64?
    private var end: UInt64?
    private var (models, services, tags) = (Texts(), Texts(), Texts())
    private var root: Root?
    /// The trace's number for sampling, 56 bits, as its first span says it.
    private(set) var randomness: UInt64 = 0

    /// Of a trace without a span.
    public init() {}

    /// Whether its root was among the spans.
    public var hasRoot: Bool { root != nil }

    mutating func add(_ llm: LLMFields, randomness: UInt64) {
        let span = llm.span
        if spans == 0 { self.randomness = randomness }
        spans += 1
        if span.status == .error { errors += 1 }
        if let usd = llm.cost?.usd, usd < 1e12 { cost += Int128((usd * 1e12).rounded()) }
        totalTokens = totalTokens.addingReportingOverflow(llm.totalTokens ?? 0).partialValue
        if let time = span.startTime { start = min(start ?? time, time) }
        if let time = span.endTime { end = max(end ?? time, time) }
        models.add(llm.model)
        services.add(llm.service)
        for tag in llm.tags { tags.add(tag) }
        if root == nil, span.parentSpanID.isEmpty {
            root = Root(
                name: Self.brief(String(decoding: span.name, as: UTF8.self)), environment: Self.brief(llm.environment?.string ?? ""),
                user: Self.brief(llm.user?.string ?? ""), session: Self.brief(llm.session?.string ?? ""))
        }
    }

    /// At most 256 bytes, so that an open trace costs no more, whatever its senders write.
    private static func brief(_ text: String) -> String {
        text.utf8.count <= 256 ? text : String(decoding: text.utf8.prefix(256), as: UTF8.self)
    }

    /// As conditions see it.
    var values: [String: OwnedValue] {
        func list(_ texts: Texts) -> OwnedValue { .list(texts.list.map { .string($0) }) }
        let root = root ?? Root()
        let (from, to) = (start ?? 0, max(end ?? 0, start ?? 0))
        return [
            "errors": .int(errors), "spans": .int(spans), "cost_usd": .double(Double(cost) / 1e12), "total_tokens": .int(totalTokens),
            "duration": .duration(nanoseconds: Int64(clamping: to - from)), "models": list(models), "services": list(services),
            "tags": list(tags), "name": .string(root.name), "environment": .string(root.environment), "user_id": .string(root.user),
            "session_id": .string(root.session),
        ]
    }
}

extension Environment {
    /// What the conditions of tail sampling see (contract `rules`, section 2), and our functions beside CEL's own.
    static func ofTraces(_ host: RuleHost) -> Environment {
        var environment = Environment()
        environment.declare("errors", .int)
        environment.declare("spans", .int)
        environment.declare("cost_usd", .double)
        environment.declare("total_tokens", .int)
        environment.declare("duration", .duration)
        for name in ["models", "services", "tags"] { environment.declare(name, .list(.string)) }
        for name in ["name", "environment", "user_id", "session_id"] { environment.declare(name, .string) }
        environment.addFunctions(host)
        return environment
    }
}
