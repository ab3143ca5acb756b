import Delivery
import SpanModel

/// Appends spans in the native form, each in a line of its own.
func appendNDJSON(_ spans: some Collection<SpanView>, to body: inout [UInt8]) {
    body.reserve(forJSON: spans)
    JSONBytes.append(to: &body) { json in
        for span in spans {
            json.nativeSpan(span)
            json.newline()
        }
    }
}

/// The one write of a sink that takes a whole batch.
func sinkRequest(_ body: [UInt8], spans: Range<Int>) -> [Request] { [Request(url: "", body: body, spans: spans)] }

extension [UInt8] {
    /// Room for what spans mostly take as JSON: growing by doubling would touch twice the memory.
    mutating func reserve(forJSON spans: some Collection<SpanView>) {
        reserveCapacity(count + spans.reduce(0) { $0 + Int($1.entry.length) } * 3 / 2)
    }
}
