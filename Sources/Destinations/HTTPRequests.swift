import Delivery
import Settings
import SpanModel

// What destinations over HTTP have in common when they build a request.

/// `compression:`
enum Compression: String {
    case none, gzip

    /// Level 1: about a third of the time of zlib's default for a few percent more bytes, and the processor is the application's.
    private static let level: Int32 = 1

    static let key = Key("compression", .choice(["none", "gzip"]), .value("none"), "How bodies are compressed.")

    init(_ section: Section) { self = section.string("compression") == "gzip" ? .gzip : .none }

    /// The body as it goes over the wire, and what must be said of it.
    func apply(to body: [UInt8]) -> (body: [UInt8], headers: [Header]) {
        switch self {
        case .none: (body, [])
        case .gzip: (Gzip.compress(body, level: Self.level), [Header("Content-Encoding", "gzip")])
        }
    }
}

/// The headers that tracefwd makes, then the configured ones; a configured one replaces its namesake.
func merged(_ own: [Header], _ configured: [Header]) -> [Header] {
    let names = Set(configured.map { $0.name.lowercased() })
    return own.filter { !names.contains($0.name.lowercased()) } + configured
}

/// The value of `Authorization` of HTTP Basic (RFC 7617).
func basicAuthorization(user: String, password: Secret) -> Secret {
    var value = Array("Basic ".utf8)
    Array("\(user):\(password.reveal())".utf8).withUnsafeBytes { value.appendBase64($0) }
    return Secret(String(decoding: value, as: UTF8.self))
}

/// A base address to put a path behind.
func withoutTrailingSlashes(_ url: String) -> String {
    var url = url
    while url.hasSuffix("/") { url.removeLast() }
    return url
}

/// A mistake for each of `names` that stands under `headers:`.
func reservedHeaders(_ section: Section, _ names: [String], because reason: String) -> [Mistake] {
    let reserved = Set(names.map { $0.lowercased() })
    return section.headers("headers").filter { reserved.contains($0.name.lowercased()) }.map {
        section.mistake(at: "headers", "\($0.name) is set by \(reason); leave it out of headers")
    }
}

extension HTTPOptions {
    /// The options of a destination's settings.
    init(_ settings: DestinationSettings) {
        self.init()
        guard let http = settings.http else { return }
        caFile = http.caFile
        certificateFile = http.certificateFile
        keyFile = http.keyFile
        verify = http.verify
        proxy = http.proxy?.reveal()
    }
}

extension DestinationSettings {
    /// The configured headers.
    var headers: [Header] { (http?.headers ?? []).map { Header($0.name, secret: $0.value) } }
}

/// A URL as it may be shown: without user, password, query and fragment.
func shownURL(_ url: String) -> String {
    var shown = url.prefix { $0 != "?" && $0 != "#" }
    guard let scheme = shown.firstRange(of: "://") else { return String(shown) }
    let authority = shown[scheme.upperBound...].prefix { $0 != "/" }
    if let at = authority.lastIndex(of: "@") { shown.removeSubrange(scheme.upperBound...at) }
    return String(shown)
}

extension EncodeError {
    /// The stored bytes are not sound.
    init(_ malformed: MalformedSpan) { self.init(span: malformed.index, reason: "malformed_span") }
}
