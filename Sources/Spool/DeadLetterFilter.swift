/// Which dead letters of a destination a person means: all that stands must hold; nothing means all.
public struct DeadLetterFilter: Sendable, Equatable, Codable {
    /// These ids only.
    public var spans: [Int64]?
    /// This reason only.
    public var reason: String?
    /// Failed first at or after this Unix millisecond.
    public var since: Int64?

    /// A filter; by default everything.
    public init(spans: [Int64]? = nil, reason: String? = nil, since: Int64? = nil) {
        self.spans = spans
        self.reason = reason
        self.since = since
    }

    /// The condition on `dead_letters AS l`, with the consumer's number as its first value.
    var condition: String {
        var parts = ["l.consumer = ?"]
        if reason != nil { parts.append("l.reason = ?") }
        if since != nil { parts.append("l.first_at >= ?") }
        // Bound like the others: a connection keeps every statement that it has prepared.
        if spans != nil { parts.append("l.span IN (SELECT value FROM json_each(?))") }
        return parts.joined(separator: " AND ")
    }

    /// The values after the consumer's number.
    var values: [Value] {
        let spans = spans.map { Value.text("[\($0.map(String.init).joined(separator: ","))]") }
        return [reason.map(Value.text), since.map(Value.integer), spans].compactMap(\.self)
    }
}
