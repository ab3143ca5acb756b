import Delivery
import SpanModel

/// What destinations have in common that speak OTLP with attribute names of their own: each span is rewritten (attributes dropped and added,
/// nothing decoded), neighbours of equal resource and scope are merged, and a body that were too large is halved until single spans are cut
/// as `oversize` says.
///
///     let dialect = OTLPDialect(url: url, headers: [Header("x-api-key", secret: key)], compression: .gzip, bytesMax: 4 << 20, ...)
///     return try dialect.requests(batch) { edit, llm in
///         edit.drop(competingNames)
///         edit.attributes.set("platform.user", text: llm.user)
///     }
struct OTLPDialect: Sendable {
    var url: String
    /// The platform's own headers: its key, its version. Those of the body are put before them.
    var headers: [Header] = []
    /// What the user configured under `headers:`.
    var configured: [Header] = []
    var encoding: OTLP.Encoding = .protobuf
    var compression: Compression
    /// Most bytes of a body, before compression.
    var bytesMax: Int
    var oversize: Oversize
    /// Whether spans without times get some: for platforms that take their own clock's, another one at each resend.
    var fillsTimes = false

    /// The requests for a batch, each span as `change` has it.
    func requests(
        _ batch: [SpanView], _ change: (inout SpanEdit, LLMFields) -> Void
    ) throws(EncodeError) -> [Request] {
        let spans = try rewritten(batch, from: 0, change)
        return try requests(batch, spans, batch.indices, change)
    }

    private func requests(
        _ batch: [SpanView], _ spans: [SpanView], _ range: Range<Int>, _ change: (inout SpanEdit, LLMFields) -> Void
    ) throws(EncodeError) -> [Request] {
        let plain = try body(range == spans.indices ? spans : Array(spans[range]), from: range.lowerBound)
        guard plain.count > bytesMax else { return [request(plain, range, isCut: false)] }
        guard range.count == 1 else {
            let middle = range.lowerBound + range.count / 2
            return try requests(batch, spans, range.lowerBound..<middle, change)
                + requests(batch, spans, middle..<range.upperBound, change)
        }
        let index = range.lowerBound
        let fitted = try oversize.fit(batch[index], at: index, bytesMax: bytesMax) { span throws(EncodeError) in
            try body(rewritten([span], from: index, change), from: index)
        }
        return [request(fitted.body, range, isCut: fitted.isCut)]
    }

    /// `first`: the place in the batch of the first of `spans`.
    private func rewritten(
        _ spans: [SpanView], from first: Int, _ change: (inout SpanEdit, LLMFields) -> Void
    ) throws(EncodeError) -> [SpanView] {
        var rewriter = SpanRewriter()
        for (index, span) in spans.enumerated() {
            // All that the rewriter throws is that the stored bytes are no message.
            do {
                try rewriter.rewriteLLM(span) { edit, llm in
                    if fillsTimes { edit.fillTimes(llm, receivedAt: span.entry.receivedAt) }
                    change(&edit, llm)
                }
            } catch { throw EncodeError(span: first + index, reason: "malformed_span") }
        }
        return rewriter.finish()
    }

    private func body(_ spans: [SpanView], from first: Int) throws(EncodeError) -> [UInt8] {
        var body: [UInt8] = []
        do throws(MalformedSpan) {
            try appendOTLP(spans, as: encoding, to: &body)
        } catch {
            throw EncodeError(span: first + error.index, reason: EncodeError(error).reason)
        }
        return body
    }

    private func request(_ plain: [UInt8], _ range: Range<Int>, isCut: Bool) -> Request {
        let (body, encodingHeaders) = compression.apply(to: plain)
        let own = [Header("Content-Type", encoding.contentType)] + encodingHeaders + [Header("User-Agent", otlpUserAgent)] + headers
        var request = Request(url: url, headers: merged(own, configured), body: body, spans: range)
        request.cutSpans = isCut ? 1 : 0
        return request
    }
}

extension SpanEdit {
    /// A start or an end that is not known is the other one; where neither is, both are the time of receipt.
    fileprivate mutating func fillTimes(_ llm: LLMFields, receivedAt: UInt64) {
        let (start, end) = (llm.span.startTime ?? 0, llm.span.endTime ?? 0)
        guard start == 0 || end == 0 else { return }
        let known = max(start, end) == 0 ? receivedAt : max(start, end)
        setTimes(start: start == 0 ? known : start, end: end == 0 ? known : end)
    }
}
