/// A top-level member of the native span that tracefwd knows (ingest contract, section 1), by its name on the wire.
public enum Member: String, CaseIterable, Hashable, Sendable, BitwiseCopyable {
    case traceID = "trace_id"
    case traceState = "trace_state"
    case flags
    case spanID = "span_id"
    case parentSpanID = "parent_span_id"
    case name
    case kind
    case startTime = "start_time"
    case endTime = "end_time"
    case startTimeUnixNano = "start_time_unix_nano"
    case endTimeUnixNano = "end_time_unix_nano"
    case durationMS = "duration_ms"
    case status
    case attributes
    case events
    case links
    case resource
    case scope
    case schemaURL = "schema_url"
    case droppedAttributesCount = "dropped_attributes_count"
    case droppedEventsCount = "dropped_events_count"
    case droppedLinksCount = "dropped_links_count"
    case model
    case responseModel = "response_model"
    case provider
    case operation
    case input
    case output
    case usage
    case costUSD = "cost_usd"
    case sessionID = "session_id"
    case userID = "user_id"
    case environment
    case service
    case tags
    case metadata
    case error
    /// The only member of a control line; in a span it is a member like any unknown one.
    case ack
}

/// Why a line is no span. The set of codes is bounded, whatever is sent, so each may have a counter.
public enum Rejection: Error, Hashable, Sendable {
    case invalidJSON
    case invalidUTF8
    case notAnObject
    case tooLarge
    case tooDeep
    case missingName
    case badTraceID
    case badSpanID
    case badTimestamp
    case badType(Member)
    case truncated
    case ioError
    case rateLimited
    case quotaExceeded
    case unauthorized
    case spoolFull

    /// The reason as acks, counters and the ledger show it.
    public var code: String {
        switch self {
        case .invalidJSON: "invalid_json"
        case .invalidUTF8: "invalid_utf8"
        case .notAnObject: "not_an_object"
        case .tooLarge: "too_large"
        case .tooDeep: "too_deep"
        case .missingName: "missing_name"
        case .badTraceID: "bad_trace_id"
        case .badSpanID: "bad_span_id"
        case .badTimestamp: "bad_timestamp"
        case .badType(let member): Self.typeCodes[member, default: "bad_type"]
        case .truncated: "truncated"
        case .ioError: "io_error"
        case .rateLimited: "rate_limited"
        case .quotaExceeded: "quota_exceeded"
        case .unauthorized: "unauthorized"
        case .spoolFull: "spool_full"
        }
    }

    private static let typeCodes = Dictionary(uniqueKeysWithValues: Member.allCases.map { ($0, "bad_type:\($0.rawValue)") })
}

extension Rejection: CaseIterable {
    /// Every reason there is.
    public static let allCases: [Rejection] =
        [
            .invalidJSON, .invalidUTF8, .notAnObject, .tooLarge, .tooDeep, .missingName, .badTraceID, .badSpanID, .badTimestamp, .truncated,
            .ioError, .rateLimited, .quotaExceeded, .unauthorized, .spoolFull,
        ] + Member.allCases.map { .badType($0) }
}

/// How reading a line ends early, inside the parser.
enum Fault: Error {
    /// Nothing behind this place is worth reading: the line is no JSON, or nested beyond the limit. Wins over all else.
    case malformed(Rejection)
    /// The JSON may be sound, its meaning is not. Stands only if the rest of the line is JSON, and no later duplicate replaces the member.
    case refused(Rejection)
    /// A member stands twice in an object whose members are read as they come: see Duplicates.swift.
    case duplicate
}
