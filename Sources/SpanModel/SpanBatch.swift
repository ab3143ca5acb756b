// SpanModel: what a span is. Every source turns what it gets into one OTLP `ResourceSpans` message (protobuf) per span; these bytes are
// what the spool stores and what every destination reads. Start here (batches and segments), then SpanView.swift (the one reader over the
// bytes), Protobuf.swift (the wire), NativeJSON.swift and OTLPJSON.swift (the two JSON forms out).

/// Where one span lies in the payload of its batch or segment, and what is known of it without reading it.
///
/// The bytes at `offset ..< offset + length` are one `ResourceSpans` message laid out in a fixed order, which lets spans of one resource
/// and scope be merged on the way out by comparing bytes:
///
///     [0, resourceLength)                    the fields of ResourceSpans but scope_spans: resource (1), schema_url (3)
///     0x12 varint                            scope_spans (2), its tag and length
///     next scopeLength bytes                 the fields of ScopeSpans but spans: scope (1), schema_url (3)
///     0x12 varint, Span                      the one span (2), to the end
public struct SpanEntry: Sendable, Equatable {
    /// Bytes from the start of the payload.
    public var offset: UInt32
    /// Bytes of the whole `ResourceSpans` message.
    public var length: UInt32
    /// Bytes of the resource part, see above.
    public var resourceLength: UInt32
    /// Bytes of the scope part, see above.
    public var scopeLength: UInt32
    /// When tracefwd took the span, nanoseconds of the Unix epoch. Never runs backwards from span to span in a spool.
    public var receivedAt: UInt64
    /// A hash of the trace id, equal for all spans of a trace (the id's low 64 bits).
    public var traceHash: UInt64
    /// The user id of the process that wrote the span (SO_PEERCRED), or `SpanEntry.unknownSender`.
    public var sender: UInt32
    /// The source's number, see `SourceID`.
    public var source: UInt8

    /// What `sender` holds where the source cannot tell (UDP).
    public static let unknownSender = UInt32.max

    /// Of no span.
    public static let none = SpanEntry(
        offset: 0, length: 0, resourceLength: 0, scopeLength: 0, receivedAt: 0, traceHash: 0, sender: unknownSender, source: 0)

    /// An entry as the parser makes it.
    public init(
        offset: UInt32, length: UInt32, resourceLength: UInt32, scopeLength: UInt32, receivedAt: UInt64, traceHash: UInt64,
        sender: UInt32, source: UInt8
    ) {
        self.offset = offset
        self.length = length
        self.resourceLength = resourceLength
        self.scopeLength = scopeLength
        self.receivedAt = receivedAt
        self.traceHash = traceHash
        self.sender = sender
        self.source = source
    }
}

/// The doors a span can come through, as the spool's directory numbers them. Numbers are stored: they only grow.
public enum SourceID: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    case unix = 1
    case udp = 2
    case unixDatagram = 3
    case http = 4

    /// The source's name in configuration, metrics and the ledger.
    public var description: String {
        switch self {
        case .unix: "unix"
        case .udp: "udp"
        case .unixDatagram: "unix_datagram"
        case .http: "http"
        }
    }
}

/// Spans on their way from a source to the spool: their messages one behind the other, and an entry for each.
public struct SpanBatch: Sendable {
    /// The messages, back to back.
    public var payload: [UInt8] = []
    /// One entry a span, in the order of the payload.
    public var entries: [SpanEntry] = []

    /// An empty batch.
    public init() {}

    /// Number of spans.
    public var count: Int { entries.count }
    /// Whether it holds no span.
    public var isEmpty: Bool { entries.isEmpty }

    /// Empties the batch and keeps its memory for the next use.
    public mutating func removeAll() {
        payload.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
    }
}

/// A row of the log, decoded: the spans that one commit gathered, with dense ids from `firstID` on. Immutable, so it is shared by all that
/// read it.
public final class Segment: Sendable {
    /// The id of the first span; span `i` has the id `firstID + i`.
    public let firstID: Int64
    /// Stored bytes of all spans of the log before this segment.
    public let logOffset: Int64
    /// The messages, back to back.
    public let payload: [UInt8]
    /// One entry a span.
    public let entries: [SpanEntry]

    /// A segment over bytes that will not change any more.
    public init(firstID: Int64, logOffset: Int64 = 0, payload: [UInt8], entries: [SpanEntry]) {
        self.firstID = firstID
        self.logOffset = logOffset
        self.payload = payload
        self.entries = entries
    }

    /// The id of the last span (`firstID - 1` where it holds none).
    public var lastID: Int64 { firstID + Int64(entries.count) - 1 }
}
