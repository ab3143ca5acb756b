// Intake: bytes of one line in, one OTLP `ResourceSpans` message out, or a reason why not (ingest contract, section 1).
// Promises: one pass over the line, no memory allocated once the buffers have grown; RFC 8259 exactly; equal lines make equal bytes, but
// for generated ids and times; a rejected line leaves the batch as it was; whatever is sent, time grows about as the line's length does, and
// memory stays within some times the limit of a line. Does not know: sockets, lines, the spool.
// Start here, then SpanParser.swift (the members), ValueEncoder.swift (any JSON to AnyValue), SpanAssembly.swift (the message). Pointers are
// handled in JSONScanner.swift and Buffer.swift.
import SpanModel

/// What became of a line.
public enum ParsedLine: Equatable, Sendable {
    /// It was appended to the batch.
    case span
    /// It is a control line that asks for an answer; the range of the line's bytes that hold the value of `ack`, a JSON string or number.
    case ack(Range<Int>)
    /// It is no span, and left no trace.
    case rejected(Rejection)
}

/// Makes spans of lines. One for each thread that reads: it keeps buffers from line to line.
public final class LineParser {
    // Unchecked: `parse` is the only one that changes it, and calls nobody who could call it; the check costs 230 instructions a line.
    @exclusivity(unchecked)
    private var parser: SpanParser

    /// A parser with these limits. `ids` gives the ids of spans that come without.
    public init(limits: IntakeLimits = IntakeLimits(), ids: IDGenerator = IDGenerator()) {
        parser = SpanParser(limits: limits, ids: ids)
    }

    /// Spans so far that ended before they began. They are kept as they are.
    public var endBeforeStart: UInt64 { parser.endBeforeStart }

    /// Reads one line, its newline left out, and appends the span to `batch`. A control line is one only where `acceptsAck` is set: on
    /// sources that can answer.
    public func parse(
        _ line: UnsafeRawBufferPointer, stamp: Stamp, acceptsAck: Bool = false, into batch: inout SpanBatch
    ) -> ParsedLine {
        guard let base = line.baseAddress else { return .rejected(.invalidJSON) }
        let text = Text(base.assumingMemoryBound(to: UInt8.self), line.count)
        do throws(Rejection) {
            if let ack = try parser.read(text, acceptsAck: acceptsAck) {
                let start = ack.base - text.base
                return .ack(start..<start + ack.count)
            }
            try parser.assemble(stamp, into: &batch)
            return .span
        } catch {
            return .rejected(error)
        }
    }
}
