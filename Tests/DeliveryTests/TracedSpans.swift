import SpanModel
import Spool

@testable import Delivery

/// A span of a trace, as the tests of tail sampling want it: stored OTLP whose name is its number.
struct TracedSpan {
    /// The low 64 bits of the trace id, whose low 56 are its number for sampling.
    var trace: UInt64
    var isRoot = false
    var isError = false

    /// The stored `ResourceSpans` message.
    func bytes(number: Int64) -> [UInt8] {
        var span: [UInt8] = []
        span.message(1, [UInt8](repeating: 1, count: 8) + withUnsafeBytes(of: trace.bigEndian, Array.init))
        span.message(2, withUnsafeBytes(of: number.bigEndian, Array.init))
        if !isRoot { span.message(4, [UInt8](repeating: 2, count: 8)) }
        span.message(5, Array("\(number)".utf8))
        if isError { span.message(15, [3 << 3, 2]) }
        var scopeSpans: [UInt8] = []
        scopeSpans.message(2, span)
        var resourceSpans: [UInt8] = []
        resourceSpans.message(2, scopeSpans)
        return resourceSpans
    }
}

extension [UInt8] {
    fileprivate mutating func message(_ number: UInt8, _ content: [UInt8]) {
        appendField(number, size: content.count)
        self += content
    }
}

extension SpanBatch {
    /// A span of a trace, whose name is its number.
    mutating func append(number: Int64, _ span: TracedSpan, receivedAt: UInt64) {
        let bytes = span.bytes(number: number)
        entries.append(
            SpanEntry(
                offset: UInt32(payload.count), length: UInt32(bytes.count), resourceLength: 0, scopeLength: 0, receivedAt: receivedAt,
                traceHash: span.trace, sender: 0, source: SourceID.unix.rawValue))
        payload += bytes
    }
}
