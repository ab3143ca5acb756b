import SpanModel

/// A span as a person would write it down, and how it is stored (`SpanEntry`'s layout).
struct TestSpan: Sendable {
    indirect enum Value: Sendable {
        case absent, null, string(String), bool(Bool), int(Int64), double(Double), bytes([UInt8]), array([Value]), map([Pair])
    }
    struct Pair: Sendable {
        var key: String
        var value: Value

        init(_ key: String, _ value: Value) { (self.key, self.value) = (key, value) }
    }
    struct Event: Sendable {
        var time: UInt64?
        var name = "", attributes: [Pair] = [], dropped: UInt32 = 0
    }
    struct Link: Sendable {
        var traceID: [UInt8] = [], spanID: [UInt8] = [], traceState = "", attributes: [Pair] = [], dropped: UInt32 = 0, flags: UInt32 = 0
    }

    var resource: [Pair] = [Pair("service.name", .string("shop"))]
    var resourceSchema = ""
    var scopeName = "tracefwd", scopeVersion = "", scopeAttributes: [Pair] = [], scopeSchema = ""
    var traceID = hexBytes("4bf92f3577b34da6a3ce929d0e0e4736"), spanID = hexBytes("00f067aa0ba902b7"), parent: [UInt8] = []
    var traceState = "", name = "chat gpt-4o", kind: UInt64 = 3
    var start: UInt64? = 1_700_000_000_000_000_000, end: UInt64? = 1_700_000_001_000_000_000
    var attributes: [Pair] = []
    var events: [Event] = [], links: [Link] = []
    var status: UInt64 = 0, statusMessage = "", flags: UInt32 = 0
    var dropped: (attributes: UInt32, events: UInt32, links: UInt32) = (0, 0, 0)

    /// The span of the contract's vector (`otlp`, A.5).
    static let vector: TestSpan = {
        var span = TestSpan()
        span.attributes = [
            Pair("gen_ai.operation.name", .string("chat")), Pair("gen_ai.request.model", .string("gpt-4o")),
            Pair("gen_ai.usage.input_tokens", .int(120)), Pair("gen_ai.usage.output_tokens", .int(30)),
        ]
        span.status = 1
        return span
    }()

    var spanBytes: [UInt8] {
        Protobuf.message { out in
            out.bytes(1, traceID)
            out.bytes(2, spanID)
            if !traceState.isEmpty { out.text(3, traceState) }
            if !parent.isEmpty { out.bytes(4, parent) }
            if !name.isEmpty { out.text(5, name) }
            if kind != 0 { out.varint(6, kind) }
            if let start { out.fixed64(7, start) }
            if let end { out.fixed64(8, end) }
            for pair in attributes { out.bytes(9, pair.bytes) }
            if dropped.attributes != 0 { out.varint(10, UInt64(dropped.attributes)) }
            for event in events { out.bytes(11, event.bytes) }
            if dropped.events != 0 { out.varint(12, UInt64(dropped.events)) }
            for link in links { out.bytes(13, link.bytes) }
            if dropped.links != 0 { out.varint(14, UInt64(dropped.links)) }
            if status != 0 || !statusMessage.isEmpty {
                let bytes = Protobuf.message { out in
                    if !statusMessage.isEmpty { out.text(2, statusMessage) }
                    if status != 0 { out.varint(3, status) }
                }
                out.bytes(15, bytes)
            }
            if flags != 0 { out.fixed32(16, flags) }
        }
    }

    /// The stored message and the lengths of its two heads.
    var stored: (bytes: [UInt8], resourceLength: Int, scopeLength: Int) {
        let resourceHead = Protobuf.message { out in
            if !resource.isEmpty { out.bytes(1, Protobuf.message { out in for pair in resource { out.bytes(1, pair.bytes) } }) }
            if !resourceSchema.isEmpty { out.text(3, resourceSchema) }
        }
        let scope = Protobuf.message { out in
            if !scopeName.isEmpty { out.text(1, scopeName) }
            if !scopeVersion.isEmpty { out.text(2, scopeVersion) }
            for pair in scopeAttributes { out.bytes(3, pair.bytes) }
        }
        let scopeHead = Protobuf.message { out in
            if !scope.isEmpty { out.bytes(1, scope) }
            if !scopeSchema.isEmpty { out.text(3, scopeSchema) }
        }
        let message = Protobuf.message { out in
            out.bytes = resourceHead
            out.bytes(
                2,
                Protobuf.message { out in
                    out.bytes = scopeHead
                    out.bytes(2, spanBytes)
                })
        }
        return (message, resourceHead.count, scopeHead.count)
    }
}

extension TestSpan.Pair {
    var bytes: [UInt8] {
        Protobuf.message { out in
            out.text(1, key)
            if case .absent = value { return }
            out.bytes(2, value.bytes)
        }
    }
}

extension TestSpan.Value {
    /// The `AnyValue` message.
    var bytes: [UInt8] {
        Protobuf.message { out in
            switch self {
            case .absent, .null: return
            case .string(let text): out.text(1, text)
            case .bool(let value): out.varint(2, value ? 1 : 0)
            case .int(let value): out.varint(3, UInt64(bitPattern: value))
            case .double(let value): out.fixed64(4, value.bitPattern)
            case .array(let values): out.bytes(5, Protobuf.message { out in for value in values { out.bytes(1, value.bytes) } })
            case .map(let pairs): out.bytes(6, Protobuf.message { out in for pair in pairs { out.bytes(1, pair.bytes) } })
            case .bytes(let bytes): out.bytes(7, bytes)
            }
        }
    }
}

extension TestSpan.Event {
    var bytes: [UInt8] {
        Protobuf.message { out in
            if let time { out.fixed64(1, time) }
            if !name.isEmpty { out.text(2, name) }
            for pair in attributes { out.bytes(3, pair.bytes) }
            if dropped != 0 { out.varint(4, UInt64(dropped)) }
        }
    }
}

extension TestSpan.Link {
    var bytes: [UInt8] {
        Protobuf.message { out in
            out.bytes(1, traceID)
            out.bytes(2, spanID)
            if !traceState.isEmpty { out.text(3, traceState) }
            for pair in attributes { out.bytes(4, pair.bytes) }
            if dropped != 0 { out.varint(5, UInt64(dropped)) }
            if flags != 0 { out.fixed32(6, flags) }
        }
    }
}

/// Views of spans, stored one behind the other in a segment.
func views(_ spans: [TestSpan]) -> [SpanView] {
    var batch = SpanBatch()
    for span in spans {
        let stored = span.stored
        batch.entries.append(
            entry(offset: batch.payload.count, length: stored.bytes.count, resource: stored.resourceLength, scope: stored.scopeLength))
        batch.payload += stored.bytes
    }
    let segment = Segment(firstID: 1, payload: batch.payload, entries: batch.entries)
    return spans.indices.map { SpanView(segment: segment, index: $0) }
}

func view(_ span: TestSpan) -> SpanView { views([span])[0] }

func entry(offset: Int = 0, length: Int, resource: Int, scope: Int) -> SpanEntry {
    SpanEntry(
        offset: UInt32(offset), length: UInt32(length), resourceLength: UInt32(resource), scopeLength: UInt32(scope), receivedAt: 0,
        traceHash: 0, sender: SpanEntry.unknownSender, source: SourceID.unix.rawValue)
}
