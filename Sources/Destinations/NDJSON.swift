import Delivery
import SpanModel

/// Appends spans in the native form, each in a line of its own.
func appendNDJSON(_ spans: some Sequence<SpanView>, to body: inout [UInt8]) {
    JSONBytes.append(to: &body) { json in
        for span in spans {
            json.nativeSpan(span)
            json.newline()
        }
    }
}

/// The one write of a sink that takes a whole batch.
func sinkRequest(_ body: [UInt8], spans: Range<Int>) -> [Request] { [Request(url: "", body: body, spans: spans)] }
