import Delivery
import SpanModel

/// A destination of one request a batch, in OTLP, whose sink takes all of it at once.
struct Nowhere: Destination {
    static let type = "nowhere"
    let declaration = Declaration(limits: BatchLimits(spans: 500, bytes: 4 << 20))
    let outlet = Outlet.sink { () throws(SinkError) in Hole() }
    let target = "nowhere"

    func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request] {
        var body: [UInt8] = []
        do throws(MalformedSpan) { try appendOTLPRequest(batch, to: &body) } catch {
            throw EncodeError(span: error.index, reason: "malformed")
        }
        return [Request(url: "", body: body, spans: batch.indices)]
    }

    func judge(_ response: Response, to request: Request) -> Verdict { .delivered() }

    private final class Hole: Sink {
        func write(_ request: Request) throws(SinkError) {}
        func close() {}
    }
}
