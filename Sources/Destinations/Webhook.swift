import Crypto
import Delivery
import Foundation
import Settings
import SpanModel

// Signed posts to any URL, by Standard Webhooks or in the styles of GitHub and Stripe. Contract: Docs/destinations/webhook.md. 100 spans
// and 1 MiB a request; 410 disables the destination for good.
struct Webhook: RegisteredDestination {
    static let type = "webhook"
    static let http = true
    static let doc = "Signed posts to any URL, by Standard Webhooks, or as GitHub or Stripe sign theirs."
    static let keys = [
        Key("url", .url, .required, "Where to post."),
        Key(
            "format", .choice(["batch", "single", "ndjson", "otlp", "thin"]), .value("batch"),
            "The body: native spans in an envelope, one span a request, one a line, OTLP, or an envelope with little more than ids."
        ),
        Key("encoding", .choice(["json", "protobuf"]), .value("json"), "How `format: otlp` is written."),
        Compression.key,
        Key(
            "sign", .choice(["standard", "github", "stripe", "hmac", "bearer", "basic", "none"]), .value("standard"),
            "How the receiver knows who sends: a signature in one of four styles, a token, a password, or not at all."),
        Key(
            "secrets", .list(.secret), .nothing("none"),
            "The keys of a signature, the current one first. `standard` and `stripe` sign with each, so that a key can be replaced."
        ),
        Key("token", .secret, .nothing("none"), "The token of `sign: bearer`."),
        Key("user", .string, .nothing("none"), "The user of `sign: basic`."),
        Key("password", .secret, .nothing("none"), "The password of `sign: basic`."),
        Key("hmac", .section(hmacKeys), .nothing("none"), "The signature of `sign: hmac`."),
    ]

    private static let hmacKeys = [
        Key("header", .string, .required, "The header that carries the signature."),
        Key("algorithm", .choice(["sha256", "sha512"]), .value("sha256"), "The hash function."),
        Key("encoding", .choice(["hex", "base64"]), .value("hex"), "How the signature is written."),
        Key("prefix", .string, .value(""), "What stands before it, such as `sha256=`."),
        Key("template", .string, .value("{body}"), "What is signed, made of `{id}`, `{timestamp}` and `{body}`."),
    ]

    enum Format: String { case batch, single, ndjson, otlp, thin }

    let name: String
    let url: String
    let format: Format
    let encoding: OTLP.Encoding
    let compression: Compression
    let signature: Signature
    let headers: [Header]
    let outlet: Outlet

    init(_ settings: DestinationSettings) {
        let section = settings.section
        guard let format = Format(rawValue: section.string("format")), let signature = Self.signature(section) else {
            preconditionFailure("\(settings.name): the check let settings pass that make no webhook")
        }
        name = settings.name
        url = section.string("url")
        self.format = format
        encoding = section.string("encoding") == "json" ? .json : .protobuf
        compression = Compression(section)
        self.signature = signature
        headers = settings.headers
        outlet = .http(HTTPOptions(settings))
    }

    static func check(_ section: Section) -> [Mistake] {
        let sign = section.string("sign")
        guard let signature = signature(section) else { return [section.mistake(at: "sign", missing(sign, section))] }
        var mistakes = reservedHeaders(section, signature.headerNames, because: "sign: \(sign)")
        if ["github", "hmac"].contains(sign), section.secrets("secrets").count > 1 {
            mistakes.append(section.mistake(at: "secrets", "has several, but sign: \(sign) sends one signature; keep the current one"))
        }
        if case .hmac(let style) = signature {
            if !isHeaderName(style.header) {
                mistakes.append(section.section("hmac").mistake(at: "header", "is no name of a header: letters, digits and -"))
            }
            if !style.template.contains("{body}") {
                mistakes.append(section.section("hmac").mistake(at: "template", "does not sign the {body}"))
            }
        }
        return mistakes
    }

    /// What `sign:` needs and does not have.
    private static func missing(_ sign: String, _ section: Section) -> String {
        switch sign {
        case "bearer": "is bearer, which needs token"
        case "basic": "is basic, which needs user and password"
        case "hmac" where !section.has("hmac"): "is hmac, which needs a section hmac with its header"
        case "standard" where !section.secrets("secrets").isEmpty:
            "is standard, whose secrets are \"whsec_\" or \"whsk_\" and base64; one of them is not"
        default: "is \(sign), which needs secrets; sign: none sends without a signature"
        }
    }

    /// Nil where something is missing.
    private static func signature(_ section: Section) -> Signature? {
        let secrets = section.secrets("secrets")
        switch section.string("sign") {
        case "standard":
            let keys = secrets.compactMap(StandardKey.init)
            return keys.isEmpty || keys.count < secrets.count ? nil : .standard(keys)
        case "github": return secrets.first.map(Signature.github)
        case "stripe": return secrets.isEmpty ? nil : .stripe(secrets)
        case "hmac":
            guard let secret = secrets.first, let style = section.optionalSection("hmac") else { return nil }
            return .hmac(
                HMACStyle(
                    secret: secret, header: style.string("header"), algorithm: style.string("algorithm") == "sha512" ? .sha512 : .sha256,
                    encoding: style.string("encoding") == "base64" ? .base64 : .hex, prefix: style.string("prefix"),
                    template: style.string("template")))
        case "bearer": return section.optionalSecret("token").map(Signature.bearer)
        case "basic":
            guard let user = section.optionalString("user"), let password = section.optionalSecret("password") else { return nil }
            return .basic(user: user, password: password)
        default: return .unsigned
        }
    }

    var declaration: Declaration { Declaration(limits: BatchLimits(spans: 100, bytes: 1 << 20), timeout: .seconds(15)) }

    var target: String { shownURL(url) }

    func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request] {
        guard format == .single else { return [try request(batch, batch.indices, context)] }
        var requests: [Request] = []
        for index in batch.indices { requests.append(try request(batch, index..<index + 1, context)) }
        return requests
    }

    private func request(_ batch: [SpanView], _ range: Range<Int>, _ context: EncodeContext) throws(EncodeError) -> Request {
        var plain: [UInt8] = []
        do throws(MalformedSpan) { try write(batch[range], context, to: &plain) } catch { throw EncodeError(error) }
        let (body, encodingHeaders) = compression.apply(to: plain)
        let own = [Header("Content-Type", contentType)] + encodingHeaders + [Header("User-Agent", "tracefwd/\(version)")]
        let signed = signature.headers(
            id: webhookID(batch[range], destination: context.destination), seconds: context.now / 1_000_000_000, event: event, body: body)
        return Request(url: url, headers: merged(own, headers) + signed, body: body, spans: range)
    }

    private var event: String { format == .single ? "llm.span" : "llm.spans" }

    private var contentType: String {
        switch format {
        case .batch, .single, .thin: "application/json"
        case .ndjson: "application/x-ndjson"
        case .otlp: encoding.contentType
        }
    }

    private func write(_ spans: ArraySlice<SpanView>, _ context: EncodeContext, to body: inout [UInt8]) throws(MalformedSpan) {
        switch format {
        case .batch:
            body.reserve(forJSON: spans)
            writeEnvelope(spans, context, to: &body) { $0.nativeSpan($1) }
        case .thin: writeEnvelope(spans, context, to: &body) { $0.thinSpan($1) }
        case .otlp: try appendOTLP(Array(spans), as: encoding, to: &body)
        case .ndjson: appendNDJSON(spans, to: &body)
        case .single:
            JSONBytes.append(to: &body) { json in
                for span in spans {
                    json.object { json in
                        json.member("type", event)
                        json.member("timestamp", secondsText(span.endTime ?? context.now))
                        json.key("data")
                        json.nativeSpan(span)
                    }
                }
            }
        }
    }

    private func writeEnvelope(
        _ spans: ArraySlice<SpanView>, _ context: EncodeContext, to body: inout [UInt8], _ write: (inout JSONBytes, SpanView) -> Void
    ) {
        JSONBytes.append(to: &body) { json in
            json.object { json in
                json.member("type", event)
                json.member("timestamp", secondsText(context.now))
                json.key("data")
                json.object { json in
                    json.key("spans")
                    json.array(of: spans, write)
                    json.key("count")
                    json.integer(spans.count)
                }
            }
        }
    }

    func judge(_ response: Response, to request: Request) -> Verdict {
        if response.status == 410 { return .disable(reason: "gone", detail: explanation(of: response)) }
        return byStatus(response, to: request)
    }
}

extension JSONBytes {
    /// What tells a span from others, and no content.
    fileprivate mutating func thinSpan(_ span: SpanView) {
        object { json in
            if let id = span.traceID { json.member("trace_id", id.description) }
            if let id = span.spanID { json.member("span_id", id.description) }
            json.member("name", span.name)
            if let model = span.model { json.member("model", model) }
            json.key("status")
            json.string(span.status.name)
        }
    }
}

/// Equal for the same spans to the same destination, whatever happened in between: the receiver's key against duplicates.
func webhookID(_ spans: ArraySlice<SpanView>, destination: String) -> String {
    var hash = SHA256()
    hash.update(data: Data(destination.utf8))
    for id in [spans.first?.id ?? 0, spans.last?.id ?? 0] { withUnsafeBytes(of: id.bigEndian) { hash.update(bufferPointer: $0) } }
    for span in spans { span.withFields { hash.update(bufferPointer: $0.spanID) } }
    return "tfw_" + hexText(hash.finalize().prefix(16))
}

/// RFC 3339 to the second.
private func secondsText(_ nanoseconds: UInt64) -> String {
    var text: [UInt8] = []
    text.appendRFC3339(nanoseconds: nanoseconds, fraction: 0)
    return String(decoding: text, as: UTF8.self)
}

private func isHeaderName(_ text: String) -> Bool { text.wholeMatch(of: /[A-Za-z0-9!#$%&'*+\-.^_`|~]+/) != nil }
