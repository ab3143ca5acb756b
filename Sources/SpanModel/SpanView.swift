/// One span as everything behind the spool reads it: its stored OTLP bytes, and members read from them on demand.
///
/// Nothing is decoded before it is asked for. The bytes come from a disk, so they may be anything: where they are malformed, members are
/// absent. Several members are read in one pass by `withFields`; the properties here are for those who want one or two.
public struct SpanView: Sendable {
    /// The segment that holds the bytes.
    public let segment: Segment
    /// The span's place in the segment.
    public let index: Int

    /// A view of span `index` of a segment.
    public init(segment: Segment, index: Int) {
        self.segment = segment
        self.index = index
    }

    /// The span's id in the spool's log.
    public var id: Int64 { segment.firstID + Int64(index) }
    /// Its row in the segment's directory.
    public var entry: SpanEntry { segment.entries[index] }

    /// The stored `ResourceSpans` message; empty where the directory points outside of the payload.
    @inlinable
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let entry = segment.entries[index]
        return try segment.payload.withUnsafeBytes { try body($0.message(of: entry)) }
    }

    /// The message in its three parts, or nil where it is not laid out as `SpanEntry` says. They are valid inside `body` only.
    public func withParts<Result>(_ body: (SpanParts?) throws -> Result) rethrows -> Result {
        try withBytes { try body(SpanParts($0, entry)) }
    }

    /// The members of the span, read in one pass; all absent where the message is malformed. They are valid inside `body` only.
    public func withFields<Result>(_ body: (SpanFields) throws -> Result) rethrows -> Result {
        try withParts { try body(SpanFields($0?.span ?? .empty)) }
    }

    /// The trace that the span belongs to.
    public var traceID: TraceID? { withFields { TraceID($0.traceID) } }
    /// The span's own id.
    public var spanID: SpanID? { withFields { SpanID($0.spanID) } }
    /// The span that this one was started in; nil for a root.
    public var parentSpanID: SpanID? { withFields { SpanID($0.parentSpanID) } }
    /// The span's name.
    public var name: String { withFields { String(decoding: $0.name, as: UTF8.self) } }
    /// Its kind.
    public var kind: SpanKind { withFields { $0.kind } }
    /// When it began, nanoseconds of the Unix epoch.
    public var startTime: UInt64? { withFields { $0.startTime } }
    /// When it ended, nanoseconds of the Unix epoch; may lie before `startTime`.
    public var endTime: UInt64? { withFields { $0.endTime } }
    /// How it ended.
    public var status: StatusCode { withFields { $0.status } }
    /// What was said of its end; empty mostly.
    public var statusMessage: String { withFields { String(decoding: $0.statusMessage, as: UTF8.self) } }

    /// The attribute of that key; of a repeated one the last, as for a JSON object. Nil where there is none.
    public func attribute(_ key: String) -> AttributeValue? {
        withFields { AttributeValue(of: key, in: $0.attributes) }
    }

    /// The resource's attribute of that key.
    public func resourceAttribute(_ key: String) -> AttributeValue? {
        withParts { parts in
            guard let parts else { return nil }
            return AttributeValue(of: key, in: parts.resourceAttributes)
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The message of this row, of a segment's payload; empty where the row points outside of it.
    @inlinable @inline(__always)
    func message(of entry: SpanEntry) -> UnsafeRawBufferPointer {
        let end = Int(entry.offset) + Int(entry.length)
        return end <= count ? UnsafeRawBufferPointer(rebasing: self[Int(entry.offset)..<end]) : .empty
    }
}

/// The kinds of a span, with the numbers of OTLP.
public enum SpanKind: UInt8, Sendable, CaseIterable {
    case unspecified, `internal`, server, client, producer, consumer

    /// The kind's name in the native form; empty where it is unspecified.
    public var name: StaticString {
        switch self {
        case .unspecified: ""
        case .internal: "internal"
        case .server: "server"
        case .client: "client"
        case .producer: "producer"
        case .consumer: "consumer"
        }
    }
}

/// How a span ended, with the numbers of OTLP.
public enum StatusCode: UInt8, Sendable, CaseIterable {
    case unset, ok, error

    /// The code's name in the native form.
    public var name: StaticString {
        switch self {
        case .unset: "unset"
        case .ok: "ok"
        case .error: "error"
        }
    }
}
