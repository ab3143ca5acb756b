import Delivery
import Foundation
import Settings
import SpanModel

// OTLP over HTTP: any OpenTelemetry collector, and every platform that speaks it. Contract: Docs/destinations/otlp.md. 500 spans and 4 MiB
// a request by default, 64 MiB at most; a partial success counts the refused spans and does not name them.
struct OTLP: RegisteredDestination {
    static let type = "otlp"
    static let http = true
    static let doc = "OpenTelemetry's own protocol over HTTP: any collector, and every platform that speaks it."
    static let keys = [
        Key("endpoint", .url, .nothing("traces_endpoint stands instead"), "The base address; `/v1/traces` is put behind its path."),
        Key("traces_endpoint", .url, .nothing("endpoint stands instead"), "The whole address, used as it is."),
        Key("encoding", .choice(["protobuf", "json"]), .value("protobuf"), "How spans are written."),
        Compression.key,
        Key(
            "idempotent", .boolean, .value("false"),
            "Whether the receiver keeps a span once however often it comes, so that a partly refused batch may be sent again in parts."
        ),
    ]
    /// What client and server take by default, before compression too (opentelemetry-proto, docs/specification.md).
    static let requestBytesMax = 64 << 20

    enum Encoding: String {
        case protobuf, json

        var contentType: String { self == .json ? "application/json" : "application/x-protobuf" }
    }

    let url: String
    let encoding: Encoding
    let compression: Compression
    let isIdempotent: Bool
    let headers: [Header]
    let outlet: Outlet
    /// Above this a request is not sent; lower in tests alone.
    var requestBytesMax = Self.requestBytesMax

    init(_ settings: DestinationSettings) {
        let section = settings.section
        url = section.optionalString("traces_endpoint") ?? tracesURL(base: section.string("endpoint"))
        encoding = section.string("encoding") == "json" ? .json : .protobuf
        compression = Compression(section)
        isIdempotent = section.boolean("idempotent")
        headers = settings.headers
        outlet = .http(HTTPOptions(settings))
    }

    static func check(_ section: Section) -> [Mistake] {
        var mistakes = reservedHeaders(section, ["Content-Type", "Content-Encoding"], because: "encoding and compression")
        switch (section.optionalString("endpoint"), section.optionalString("traces_endpoint")) {
        case (nil, nil): mistakes.append(section.mistake("needs endpoint, a base address, or traces_endpoint, a whole one"))
        case (_?, _?):
            mistakes.append(
                section.mistake(
                    at: "traces_endpoint", "stands beside endpoint; keep traces_endpoint, the whole address, or endpoint, the base"))
        case (let base?, nil) where splitURL(base).base.hasSuffix("/v1/traces"):
            mistakes.append(
                section.mistake(at: "endpoint", "ends with /v1/traces, which is put behind it; leave that out, or call it traces_endpoint"))
        default: break
        }
        return mistakes
    }

    var declaration: Declaration {
        Declaration(limits: BatchLimits(spans: 500, bytes: 4 << 20), idempotent: isIdempotent, timeout: .seconds(10))
    }

    var target: String { shownURL(url) }

    func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request] {
        try requests(batch, batch.indices)
    }

    /// One request, or, where that were too large, those of both halves.
    private func requests(_ batch: [SpanView], _ range: Range<Int>) throws(EncodeError) -> [Request] {
        let plain = try body(batch, range)
        guard plain.count <= requestBytesMax else {
            guard range.count > 1 else { throw EncodeError(span: range.lowerBound, reason: "too_large") }
            let middle = range.lowerBound + range.count / 2
            return try requests(batch, range.lowerBound..<middle) + requests(batch, middle..<range.upperBound)
        }
        let (body, encodingHeaders) = compression.apply(to: plain)
        let own = [Header("Content-Type", encoding.contentType)] + encodingHeaders + [Header("User-Agent", otlpUserAgent)]
        return [Request(url: url, headers: merged(own, headers), body: body, spans: range)]
    }

    private func body(_ batch: [SpanView], _ range: Range<Int>) throws(EncodeError) -> [UInt8] {
        var body: [UInt8] = []
        do throws(MalformedSpan) {
            try appendOTLP(range == batch.indices ? batch : Array(batch[range]), as: encoding, to: &body)
        } catch {
            throw EncodeError(span: range.lowerBound + error.index, reason: EncodeError(error).reason)
        }
        return body
    }

    func judge(_ response: Response, to request: Request) -> Verdict {
        guard 200..<300 ~= response.status else { return byStatus(response, to: request) }
        return judgeOTLPSuccess(response, to: request, sent: encoding, isIdempotent: isIdempotent)
    }
}

/// What a 2xx of an OTLP door means (contract `otlp`, A.4).
func judgeOTLPSuccess(_ response: Response, to request: Request, sent encoding: OTLP.Encoding, isIdempotent: Bool) -> Verdict {
    guard let partial = PartialSuccess(response, sent: encoding) else {
        // A login page, or somebody else's server: by the protocol it is a delivery, and a person should know.
        let isPage = response.mediaType == .other("text/html")
        return .delivered(
            note: isPage ? "answered \(response.status) with text/html, not as a collector does; check its endpoint" : nil)
    }
    guard partial.rejected > 0 else { return .delivered(note: partial.message.isEmpty ? nil : partial.message) }
    let detail = partial.message.isEmpty ? "\(partial.rejected) of \(request.spans.count) spans refused" : partial.message
    if partial.rejected >= request.spans.count {
        return .perSpan(Array(repeating: .refused(reason: "partial", detail: detail), count: request.spans.count))
    }
    return isIdempotent ? .refused(reason: "partial", detail: detail) : .partialUnknown(refused: partial.rejected, detail: detail)
}

/// A request's body in either encoding.
func appendOTLP(_ spans: [SpanView], as encoding: OTLP.Encoding, to body: inout [UInt8]) throws(MalformedSpan) {
    switch encoding {
    case .protobuf: try appendOTLPRequest(spans, to: &body)
    case .json: try appendOTLPJSON(spans, to: &body)
    }
}

/// The exporter's name and version, as the specification asks for (protocol/exporter.md, "User Agent").
let otlpUserAgent = "tracefwd/\(version) OTel-OTLP-Exporter-Swift/\(version)"

/// A base with `/v1/traces` behind its path, and one slash between.
func tracesURL(base: String) -> String {
    let (path, rest) = splitURL(base)
    return path + "/v1/traces" + rest
}

/// A URL up to its path without the slashes at the end, and its query and fragment.
private func splitURL(_ url: String) -> (base: String, rest: String) {
    var base = url.prefix { $0 != "?" && $0 != "#" }
    let rest = url[base.endIndex...]
    while base.last == "/" { base.removeLast() }
    return (String(base), String(rest))
}

/// `ExportTracePartialSuccess`: all-default where the response has none.
private struct PartialSuccess {
    var rejected = 0
    var message = ""

    /// Read by the response's own type, since servers answer in another than they were asked in; nil where nothing can be read.
    init?(_ response: Response, sent: OTLP.Encoding) {
        switch response.mediaType {
        case _ where response.body.isEmpty: return
        case .protobuf: guard read(protobuf: response.body) else { return nil }
        case .json: guard read(json: response.body) else { return nil }
        case .other(""): guard sent == .json ? read(json: response.body) : read(protobuf: response.body) else { return nil }
        case .other: return nil
        }
        message = String(message.prefix(500))
    }

    private mutating func read(protobuf body: [UInt8]) -> Bool {
        body.withUnsafeBytes { body in
            var fields = ProtobufReader(body)
            while let field = fields.next() {
                guard field.number == 1, field.type == .bytes else { continue }
                var members = ProtobufReader(field.bytes)
                while let member = members.next() {
                    switch (member.number, member.type) {
                    case (1, .varint): rejected = Int(Int64(bitPattern: member.scalar))
                    case (2, .bytes): message = String(decoding: member.bytes, as: UTF8.self)
                    default: continue
                    }
                }
                if members.failed { return false }
            }
            return !fields.failed
        }
    }

    private mutating func read(json body: [UInt8]) -> Bool {
        struct Reply: Decodable {
            struct Partial: Decodable {
                let rejectedSpans: Count?
                let errorMessage: String?
            }
            let partialSuccess: Partial?
        }
        /// An int64, which JSON may have as a string.
        struct Count: Decodable {
            let value: Int

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let number = try? container.decode(Int.self) {
                    value = number
                } else {
                    value = Int(try container.decode(String.self)) ?? 0
                }
            }
        }
        guard let reply = try? JSONDecoder().decode(Reply.self, from: Data(body)) else { return false }
        rejected = reply.partialSuccess?.rejectedSpans?.value ?? 0
        message = reply.partialSuccess?.errorMessage ?? ""
        return true
    }
}
