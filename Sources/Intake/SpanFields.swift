/// Members of the span that stand once in the message, as they were read. Nil or empty is absent.
struct SpanFields {
    var traceID: TraceID?
    var spanID: UInt64?
    var parentSpanID: UInt64?
    var traceState = Text("")
    var name = Text("")
    var kind: UInt32 = 1  // internal
    var startTime: UInt64?
    var endTime: UInt64?
    var startTimeUnixNano: UInt64?
    var endTimeUnixNano: UInt64?
    var duration: SpanDuration?
    var status: SpanStatus?
    /// What `error` says of the status, where `status` is absent.
    var errorStatus: SpanStatus?
    var flags: UInt32 = 0
    var droppedAttributes: UInt32 = 0
    var droppedEvents: UInt32 = 0
    var droppedLinks: UInt32 = 0
    var schemaURL = Text("")
    /// Whether the short form `model` stands there.
    var hasModel = false
    /// Short forms of resource attributes, and whether the resource has its own.
    var service: Text?
    var environment: Text?
    var resourceHasService = false
    var resourceHasEnvironment = false
}

struct TraceID {
    var high: UInt64
    var low: UInt64
}

struct SpanStatus {
    var code: UInt32 = 0
    var message = Text("")
}

enum SpanDuration {
    case nanoseconds(UInt64)
    /// More than 64 bits of them: an error only where it is used.
    case beyond
    /// Less than none: an error only where it is used. Native out writes it beside an end that is before its start.
    case negative
}

/// Tags of `Span` and the messages around it (otlp contract, A.1): field number and wire type.
enum SpanTag {
    static let traceID: UInt8 = 0x0a
    static let spanID: UInt8 = 0x12
    static let traceState: UInt8 = 0x1a
    static let parentSpanID: UInt8 = 0x22
    static let name: UInt8 = 0x2a
    static let kind: UInt8 = 0x30
    static let startTime: UInt8 = 0x39
    static let endTime: UInt8 = 0x41
    static let attributes: UInt8 = 0x4a
    static let droppedAttributes: UInt8 = 0x50
    static let events: UInt8 = 0x5a
    static let droppedEvents: UInt8 = 0x60
    static let links: UInt8 = 0x6a
    static let droppedLinks: UInt8 = 0x70
    static let status: UInt8 = 0x7a
    /// Field 16: the first whose tag takes two bytes.
    static let flags: (UInt8, UInt8) = (0x85, 0x01)

    static let eventTime: UInt8 = 0x09
    static let eventName: UInt8 = 0x12
    static let eventAttributes: UInt8 = 0x1a
    static let eventDroppedAttributes: UInt8 = 0x20

    static let linkTraceID: UInt8 = 0x0a
    static let linkSpanID: UInt8 = 0x12
    static let linkTraceState: UInt8 = 0x1a
    static let linkAttributes: UInt8 = 0x22
    static let linkDroppedAttributes: UInt8 = 0x28
    static let linkFlags: UInt8 = 0x35

    static let statusMessage: UInt8 = 0x12
    static let statusCode: UInt8 = 0x18

    static let resourceAttributes: UInt8 = 0x0a
    static let scopeName: UInt8 = 0x0a
    static let scopeVersion: UInt8 = 0x12
    static let scopeAttributes: UInt8 = 0x1a
    static let scopeDroppedAttributes: UInt8 = 0x20

    static let resource: UInt8 = 0x0a
    static let scopeSpans: UInt8 = 0x12
    static let scope: UInt8 = 0x0a
    static let spans: UInt8 = 0x12
    static let scopeSchemaURL: UInt8 = 0x1a
}
