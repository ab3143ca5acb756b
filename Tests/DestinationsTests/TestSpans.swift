import Delivery
import Settings
import SpanModel
import Testing

@testable import Destinations

/// Spans as they are stored, built by hand.
struct TestSpan {
    var name = "chat gpt-4o"
    var traceID: [UInt8] = [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36]
    var id: UInt8 = 0xb7
    /// The last byte of the parent's id; nil for a root.
    var parent: UInt8?
    var flags: UInt32 = 0
    var kind: UInt8 = 3
    var service = "shop"
    var start: UInt64 = 1_700_000_000_000_000_000
    var end: UInt64? = 1_700_000_001_000_000_000
    var texts: [(key: String, value: String)] = [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o")]
    var counts: [(key: String, value: UInt64)] = [("gen_ai.usage.input_tokens", 120), ("gen_ai.usage.output_tokens", 30)]
    var status: UInt8 = 1
    var statusMessage = ""

    /// `count` spans with ids and names of their own.
    static func many(_ count: Int) -> [TestSpan] {
        (0..<count).map { TestSpan(name: "span \($0)", id: UInt8(truncatingIfNeeded: $0 + 1)) }
    }

    var stored: (bytes: [UInt8], resource: Int, scope: Int) {
        let resource = field(1, field(1, pair("service.name", field(1, Array(service.utf8)))))
        let scope = field(1, field(1, Array("tracefwd".utf8)))
        var span = field(1, traceID)
        span += field(2, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, id])
        if let parent { span += field(4, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, parent]) }
        span += field(5, Array(name.utf8)) + [0x30, kind]
        span += [0x39] + littleEndian(start) + (end.map { [0x41] + littleEndian($0) } ?? [])
        for (key, value) in texts { span += field(9, pair(key, field(1, Array(value.utf8)))) }
        for (key, value) in counts { span += field(9, pair(key, varint(3, value))) }
        span += field(15, (statusMessage.isEmpty ? [] : field(2, Array(statusMessage.utf8))) + (status == 0 ? [] : [0x18, status]))
        if flags != 0 { span += [0x85, 0x01] + withUnsafeBytes(of: flags.littleEndian) { Array($0) } }
        return (resource + field(2, scope + field(2, span)), resource.count, scope.count)
    }

    private func field(_ number: UInt8, _ value: [UInt8]) -> [UInt8] {
        var bytes = [number << 3 | 2]
        bytes.appendVarint(UInt64(value.count))
        return bytes + value
    }

    private func varint(_ number: UInt8, _ value: UInt64) -> [UInt8] {
        var bytes = [number << 3]
        bytes.appendVarint(value)
        return bytes
    }

    private func pair(_ key: String, _ value: [UInt8]) -> [UInt8] { field(1, Array(key.utf8)) + field(2, value) }

    private func littleEndian(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
}

/// Spans as a source hands them to the spool.
func spanBatch(_ spans: [TestSpan]) -> SpanBatch {
    var batch = SpanBatch()
    for span in spans {
        let (bytes, resource, scope) = span.stored
        batch.entries.append(
            SpanEntry(
                offset: UInt32(batch.payload.count), length: UInt32(bytes.count), resourceLength: UInt32(resource),
                scopeLength: UInt32(scope),
                receivedAt: 0, traceHash: 0, sender: SpanEntry.unknownSender, source: SourceID.unix.rawValue))
        batch.payload += bytes
    }
    return batch
}

/// Views of spans in one segment of the log.
func views(_ spans: [TestSpan], firstID: Int64 = 1) -> [SpanView] {
    let batch = spanBatch(spans)
    let segment = Segment(firstID: firstID, payload: batch.payload, entries: batch.entries)
    return spans.indices.map { SpanView(segment: segment, index: $0) }
}

/// A span whose stored bytes are damaged.
func damagedView() -> SpanView {
    let entry = SpanEntry(
        offset: 0, length: 4, resourceLength: 1, scopeLength: 1, receivedAt: 0, traceHash: 0, sender: 0, source: SourceID.unix.rawValue)
    return SpanView(segment: Segment(firstID: 1, payload: [1, 2, 3, 4], entries: [entry]), index: 0)
}

let context = EncodeContext(destination: "test", now: 1_700_000_002_500_000_000)

/// What the real configuration makes of `destinations: {test: {…}}`.
func settings(_ yaml: String) throws -> DestinationSettings {
    let surroundings = Surroundings(environment: [:], read: { _ in Array("destinations:\n  test: {\(yaml)}\n".utf8) })
    let loaded = try load(file: "test.yaml", destinationTypes: destinationTypes, surroundings: surroundings)
    return try #require(loaded.destinations.first)
}

/// The mistakes in `destinations: {test: {…}}`, as a person reads them.
func mistakes(_ yaml: String) -> String {
    do {
        _ = try settings(yaml)
        return ""
    } catch {
        return "\(error)"
    }
}

extension Request {
    subscript(header: String) -> String? { headers.last { $0.name.lowercased() == header.lowercased() }?.value.reveal() }
    var text: String { String(decoding: body, as: UTF8.self) }
}

extension [UInt8] {
    init(hex: String) {
        let digits = hex.compactMap { $0.hexDigitValue }
        self = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
    }
}

/// A request for so many spans, to be judged.
func request(spans: Int = 10) -> Request { Request(url: "http://127.0.0.1/", body: [], spans: 0..<spans) }
