import Crypto
import Delivery
import Foundation
import Settings

/// How a webhook proves who sent it (contract `webhook`, sections 1 and 2).
enum Signature: Sendable {
    /// Standard Webhooks; the newest key first.
    case standard([StandardKey])
    case github(Secret)
    case stripe([Secret])
    case hmac(HMACStyle)
    case bearer(Secret)
    case basic(user: String, password: Secret)
    case unsigned

    /// The headers for a body that is sent exactly like this.
    func headers(id: String, seconds: UInt64, event: String, body: [UInt8]) -> [Header] {
        let timestamp = String(seconds)
        switch self {
        case .standard(let keys):
            let content = Array("\(id).\(timestamp).".utf8) + body
            let signatures = keys.map { $0.sign(content) }.joined(separator: " ")
            return [Header("webhook-id", id), Header("webhook-timestamp", timestamp), Header("webhook-signature", signatures)]
        case .github(let secret):
            let digest = hexText(HMAC<SHA256>.authenticationCode(for: body, using: key(secret)))
            return [
                Header("X-Hub-Signature-256", "sha256=\(digest)"), Header("X-TraceFwd-Delivery", id), Header("X-TraceFwd-Event", event),
            ]
        case .stripe(let secrets):
            let content = Array("\(timestamp).".utf8) + body
            let signatures = secrets.map { "v1=" + hexText(HMAC<SHA256>.authenticationCode(for: content, using: key($0))) }
            return [Header("TraceFwd-Signature", (["t=\(timestamp)"] + signatures).joined(separator: ","))]
        case .hmac(let style):
            let signature = style.sign(id: id, timestamp: timestamp, body: body)
            return [Header("webhook-id", id), Header("webhook-timestamp", timestamp), Header(style.header, signature)]
        case .bearer(let token): return [Header("Authorization", "Bearer \(token.reveal())")]
        case .basic(let user, let password):
            return [Header("Authorization", secret: basicAuthorization(user: user, password: password))]
        case .unsigned: return []
        }
    }

    /// The names of those headers.
    var headerNames: [String] {
        switch self {
        case .hmac(let style): ["webhook-id", "webhook-timestamp", style.header]
        case .standard: ["webhook-id", "webhook-timestamp", "webhook-signature"]
        case .github: ["X-Hub-Signature-256", "X-TraceFwd-Delivery", "X-TraceFwd-Event"]
        case .stripe: ["TraceFwd-Signature"]
        case .bearer, .basic: ["Authorization"]
        case .unsigned: []
        }
    }
}

/// A key of Standard Webhooks.
enum StandardKey: Sendable {
    case symmetric(Secret)
    case ed25519(Secret)

    /// Reads `whsec_…` (HMAC-SHA256, also without its prefix) or `whsk_…` (ed25519); nil where it is neither.
    init?(_ secret: Secret) {
        let text = secret.reveal()
        if text.hasPrefix("whsk_") {
            guard let bytes = Self.decode(text.dropFirst(5)), bytes.count == 32 || bytes.count == 64 else { return nil }
            self = .ed25519(secret)
        } else {
            guard let bytes = Self.decode(text.hasPrefix("whsec_") ? text.dropFirst(6) : text[...]), !bytes.isEmpty else { return nil }
            self = .symmetric(secret)
        }
    }

    /// Base64, whose padding may be missing.
    private static func decode(_ text: Substring) -> Data? {
        let digits = text.prefix { $0 != "=" }
        return Data(base64Encoded: digits + String(repeating: "=", count: (4 - digits.utf8.count % 4) % 4))
    }

    private static func bytes(_ secret: Secret) -> Data {
        let text = secret.reveal()
        let digits = text.hasPrefix("whsec_") ? text.dropFirst(6) : text.hasPrefix("whsk_") ? text.dropFirst(5) : text[...]
        return decode(digits) ?? Data()
    }

    /// `version,base64`
    func sign(_ content: [UInt8]) -> String {
        switch self {
        case .symmetric(let secret):
            let code = HMAC<SHA256>.authenticationCode(for: content, using: SymmetricKey(data: Self.bytes(secret)))
            return "v1," + Data(code).base64EncodedString()
        case .ed25519(let secret):
            // 64 bytes are a seed with its public key behind it, as some libraries write it.
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: Self.bytes(secret).prefix(32))
            guard let signature = try? key?.signature(for: content) else {
                preconditionFailure("ed25519: 32 bytes were not taken as a key")
            }
            return "v1a," + signature.base64EncodedString()
        }
    }
}

/// A signature of one's own making.
struct HMACStyle: Sendable {
    enum Algorithm: String { case sha256, sha512 }
    enum Encoding: String { case hex, base64 }

    let secret: Secret
    let header: String
    let algorithm: Algorithm
    let encoding: Encoding
    let prefix: String
    /// With `{id}`, `{timestamp}` and `{body}`.
    let template: String

    func sign(id: String, timestamp: String, body: [UInt8]) -> String {
        let content = signedContent(id: id, timestamp: timestamp, body: body)
        let code: Data =
            switch algorithm {
            case .sha256: Data(HMAC<SHA256>.authenticationCode(for: content, using: key(secret)))
            case .sha512: Data(HMAC<SHA512>.authenticationCode(for: content, using: key(secret)))
            }
        return prefix + (encoding == .hex ? hexText(code) : code.base64EncodedString())
    }

    /// One pass, so that a `{id}` inside of the body stays what it is.
    private func signedContent(id: String, timestamp: String, body: [UInt8]) -> [UInt8] {
        let values: [(name: String, value: [UInt8])] = [("{id}", Array(id.utf8)), ("{timestamp}", Array(timestamp.utf8)), ("{body}", body)]
        var content: [UInt8] = []
        var rest = template[...]
        while !rest.isEmpty {
            if let (name, value) = values.first(where: { rest.hasPrefix($0.name) }) {
                content += value
                rest = rest.dropFirst(name.count)
            } else {
                content += Array(String(rest.removeFirst()).utf8)
            }
        }
        return content
    }
}

/// The secret's text itself is the key: what GitHub and Stripe do.
private func key(_ secret: Secret) -> SymmetricKey { SymmetricKey(data: Data(secret.reveal().utf8)) }

func hexText(_ bytes: some Sequence<UInt8>) -> String {
    bytes.reduce(into: "") { text, byte in
        text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
}
