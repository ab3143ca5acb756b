import CCurl
import CShim
import Glibc
import Threading

/// What opening a connection to a destination came to: as a request of the daemon does it, with nothing sent over it.
public struct ConnectionProbe: Sendable, Equatable {
    /// What a connection is made of, in this order.
    public enum Stage: String, Sendable { case name, connection, tls }

    /// Where it failed; nil where it stands.
    public var failedAt: Stage?
    /// libcurl's sentence, where it failed.
    public var detail = ""
    /// The address that was reached, of the proxy where one stands between; empty where none was.
    public var address = ""
    /// Until when the server's certificate is valid, as the certificate writes it; nil without TLS.
    public var certificateExpires: String?

    /// Opens a connection and closes it. Waits `patience` at most.
    public init(to url: String, options: HTTPOptions, patience: Duration) {
        // Once per process; libcurl counts the calls.
        curl_global_init(Int(CURL_GLOBAL_DEFAULT))
        guard let easy = curl_easy_init() else { fatalError("libcurl gives no handle: out of memory") }
        let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.pointee = 0
        defer {
            curl_easy_cleanup(easy)
            errorText.deallocate()
        }
        tracefwd_curl_set_text(easy, CURLOPT_URL, url)
        tracefwd_curl_set_text(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        tracefwd_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        tracefwd_curl_set_long(easy, CURLOPT_CONNECT_ONLY, 1)
        tracefwd_curl_set_long(easy, CURLOPT_CERTINFO, 1)
        tracefwd_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, max(1, Int(patience.nanosecondsClamped / 1_000_000)))
        tracefwd_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText)
        options.apply(to: easy)
        let code = curl_easy_perform(easy)
        address = Self.text(easy, CURLINFO_PRIMARY_IP)
        certificateExpires = Self.expiry(easy)
        guard code != CURLE_OK else { return }
        detail = String(cString: errorText)
        if detail.isEmpty { detail = String(cString: curl_easy_strerror(code)) }
        failedAt =
            switch code {
            case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: .name
            case CURLE_OPERATION_TIMEDOUT where detail.hasPrefix("Resolving"): .name
            case CURLE_COULDNT_CONNECT: .connection
            default: address.isEmpty || !url.hasPrefix("https:") ? .connection : .tls
            }
    }

    private static func text(_ easy: UnsafeMutableRawPointer, _ info: CURLINFO) -> String {
        var text: UnsafeMutableRawPointer?
        guard tracefwd_curl_get_pointer(easy, info, &text) == CURLE_OK, let text else { return "" }
        return String(cString: text.assumingMemoryBound(to: CChar.self))
    }

    /// "Expire date" of the first certificate: the server's own.
    private static func expiry(_ easy: UnsafeMutableRawPointer) -> String? {
        var pointer: UnsafeMutableRawPointer?
        guard tracefwd_curl_get_pointer(easy, CURLINFO_CERTINFO, &pointer) == CURLE_OK, let pointer else { return nil }
        let chain = pointer.assumingMemoryBound(to: curl_certinfo.self).pointee
        guard chain.num_of_certs > 0, let list = chain.certinfo else { return nil }
        var node = list[0]
        while let entry = node?.pointee {
            let line = entry.data.map { String(cString: $0) } ?? ""
            if line.hasPrefix("Expire date:") { return String(line.dropFirst("Expire date:".count)) }
            node = entry.next
        }
        return nil
    }
}

extension HTTPOptions {
    /// Whether the bundle of authorities that libcurl was built to read is there.
    private static let hasBundle: Bool = {
        guard let bundle = curl_version_info(CURLVERSION_SEVENTH)?.pointee.cainfo else { return false }
        return access(bundle, R_OK) == 0
    }()

    /// TLS and proxy of a transfer.
    func apply(to easy: UnsafeMutableRawPointer) {
        tracefwd_curl_set_long(easy, CURLOPT_SSL_VERIFYPEER, verify ? 1 : 0)
        tracefwd_curl_set_long(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2 : 0)
        if let file = caFile { tracefwd_curl_set_text(easy, CURLOPT_CAINFO, file) }
        // libcurl keeps the authorities that it has read only where no directory is named too: else each TLS connection reads the bundle
        // anew, some 35 ms in which no destination is served.
        if caFile != nil || Self.hasBundle { tracefwd_curl_set_text(easy, CURLOPT_CAPATH, nil) }
        if let file = certificateFile { tracefwd_curl_set_text(easy, CURLOPT_SSLCERT, file) }
        if let file = keyFile { tracefwd_curl_set_text(easy, CURLOPT_SSLKEY, file) }
        if let proxy { tracefwd_curl_set_text(easy, CURLOPT_PROXY, proxy) }
    }
}
