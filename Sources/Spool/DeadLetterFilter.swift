/// Which dead letters of a destination a person means: all that stands must hold; nothing means all.
public struct DeadLetterFilter: Sendable, Equatable, Codable {
    /// These ids only.
    public var spans: [Int64]?
    /// This reason only.
    public var reason: String?
    /// This HTTP status only; 0 is none.
    public var status: Int?
    /// Failed first at or after this Unix millisecond.
    public var since: Int64?
    /// Failed first before this Unix millisecond.
    public var until: Int64?

    /// A filter; by default everything.
    public init(spans: [Int64]? = nil, reason: String? = nil, status: Int? = nil, since: Int64? = nil, until: Int64? = nil) {
        (self.spans, self.reason, self.status, self.since, self.until) = (spans, reason, status, since, until)
    }

    /// Whether it means all letters.
    public var isEmpty: Bool { self == DeadLetterFilter() }

    /// The condition on `dead_letters AS l`, with the consumer's number as its first value.
    var condition: String {
        var parts = ["l.consumer = ?"]
        if reason != nil { parts.append("l.reason = ?") }
        if status != nil { parts.append("l.status = ?") }
        if since != nil { parts.append("l.first_at >= ?") }
        if until != nil { parts.append("l.first_at < ?") }
        // Bound like the others: a connection keeps every statement that it has prepared.
        if spans != nil { parts.append("l.span IN (SELECT value FROM json_each(?))") }
        return parts.joined(separator: " AND ")
    }

    /// The values after the consumer's number.
    var values: [Value] {
        let spans = spans.map { Value.text("[\($0.map(String.init).joined(separator: ","))]") }
        let status = status.map { Value.integer(Int64($0)) }
        return [reason.map(Value.text), status, since.map(Value.integer), until.map(Value.integer), spans].compactMap(\.self)
    }
}
