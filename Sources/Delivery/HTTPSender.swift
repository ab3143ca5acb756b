import CCurl
import CShim
import Settings
import SpanModel
import Threading

/// Why a request brought no response. Always retried.
struct TransportError: Error, Equatable, CustomStringConvertible {
    /// libcurl's sentence, and its detail where it gave one: host, port, what TLS said; never a header or a body.
    var description: String
    /// Whether it took too long, which lowers the concurrency.
    var timedOut = false
    /// Whether no connection came to be (name, port or TLS), so that nothing can have been stored.
    var unreachable = false
}

/// What delivery needs of HTTP; libcurl in the daemon, a script in tests.
protocol HTTPTransport: AnyObject {
    /// Begins a request; its end comes out of `finished` with this token.
    func start(_ request: Request, options: HTTPOptions, timeouts: RequestTimeouts, token: UInt64)
    /// What has ended since the last call.
    func finished() -> [(token: UInt64, result: Result<Response, TransportError>)]
    /// Sleeps until something may have ended, somebody wakes it, or the time is over (nil: no limit).
    func wait(_ time: Duration?)
    /// Ends one request without an answer: nothing of it comes out of `finished`.
    func cancel(token: UInt64)
    /// Ends every request without an answer.
    func abort()
}

/// How long a request may take.
struct RequestTimeouts: Sendable, Equatable {
    var connect: Duration
    var total: Duration
}

/// All HTTP that leaves, over one libcurl multi handle: connections are kept and shared, HTTP/2 is used where it is offered, TLS is checked.
/// It belongs to delivery's thread; `wake` alone may be called from others.
final class HTTPSender: HTTPTransport {
    private let multi: UnsafeMutableRawPointer
    private let folder: String
    /// By easy handle.
    private var transfers: [UnsafeMutableRawPointer: Transfer] = [:]
    private var idle: [UnsafeMutableRawPointer] = []
    private static let idleMax = 16
    /// Bytes of a response's body that are kept.
    fileprivate static let bodyMax = 1 << 20

    /// A transfer under way: what libcurl reads from and writes to, at one address until it ends.
    fileprivate final class Transfer {
        let token: UInt64
        let body: RequestBody
        var headerList: UnsafeMutablePointer<curl_slist>?
        var responseBody: [UInt8] = []
        var bodyCut = false
        var responseHeaders: [String: String] = [:]
        let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))

        init(token: UInt64, body: RequestBody) {
            self.token = token
            self.body = body
            errorText.pointee = 0
        }

        deinit {
            errorText.deallocate()
            curl_slist_free_all(headerList)
        }
    }

    /// `folder`: where large bodies lie in files without a name while they are under way.
    init(folder: String = "/tmp") {
        self.folder = folder
        // Once per process; libcurl counts the calls.
        curl_global_init(Int(CURL_GLOBAL_DEFAULT))
        guard let multi = curl_multi_init() else { fatalError("libcurl cannot be started: out of memory") }
        self.multi = multi
    }

    deinit {
        for easy in transfers.keys {
            curl_multi_remove_handle(multi, easy)
            curl_easy_cleanup(easy)
        }
        for easy in idle { curl_easy_cleanup(easy) }
        curl_multi_cleanup(multi)
    }

    /// Requests under way.
    var count: Int { transfers.count }

    /// Begins a request; its end comes out of `finished` with this token.
    func start(_ request: Request, options: HTTPOptions, timeouts: RequestTimeouts, token: UInt64) {
        guard let easy = idle.popLast() ?? curl_easy_init() else { fatalError("libcurl gives no handle: out of memory") }
        let transfer = Transfer(token: token, body: RequestBody(request.body, folder: folder))
        tracefwd_curl_set_text(easy, CURLOPT_URL, request.url)
        tracefwd_curl_set_text(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        tracefwd_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        // A name server that does not answer is waited for by libcurl's thread alone. Without this, a request that gives up on it, or is
        // cancelled, waits for that thread to end, and with it all of delivery.
        tracefwd_curl_set_long(easy, CURLOPT_QUICK_EXIT, 1)
        tracefwd_curl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0)
        if request.method == "GET" {
            tracefwd_curl_set_long(easy, CURLOPT_HTTPGET, 1)
        } else {
            tracefwd_curl_set_long(easy, CURLOPT_POST, 1)
            tracefwd_curl_set_pointer(easy, CURLOPT_POSTFIELDS, transfer.body.address)
            tracefwd_curl_set_size(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(transfer.body.count))
            if request.method != "POST" { tracefwd_curl_set_text(easy, CURLOPT_CUSTOMREQUEST, request.method) }
        }
        tracefwd_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(timeouts.connect))
        tracefwd_curl_set_long(easy, CURLOPT_TIMEOUT_MS, milliseconds(timeouts.total))
        tracefwd_curl_set_long(easy, CURLOPT_UPLOAD_BUFFERSIZE, 256 << 10)
        tracefwd_curl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
        tracefwd_curl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1)
        tracefwd_curl_set_text(easy, CURLOPT_USERAGENT, "tracefwd/\(version)")
        options.apply(to: easy)

        // An empty Expect: keeps libcurl from waiting a second for "100 Continue" before a large body.
        transfer.headerList = curl_slist_append(transfer.headerList, "Expect:")
        for header in request.headers {
            transfer.headerList = curl_slist_append(transfer.headerList, "\(header.name): \(header.value.reveal())")
        }
        tracefwd_curl_set_pointer(easy, CURLOPT_HTTPHEADER, transfer.headerList)
        tracefwd_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, transfer.errorText)
        let context = Unmanaged.passUnretained(transfer).toOpaque()
        tracefwd_curl_set_sink(easy, CURLOPT_WRITEFUNCTION, takeBody)
        tracefwd_curl_set_pointer(easy, CURLOPT_WRITEDATA, context)
        tracefwd_curl_set_sink(easy, CURLOPT_HEADERFUNCTION, takeHeader)
        tracefwd_curl_set_pointer(easy, CURLOPT_HEADERDATA, context)

        transfers[easy] = transfer
        curl_multi_add_handle(multi, easy)
    }

    private func milliseconds(_ duration: Duration) -> Int { max(1, Int(duration.nanosecondsClamped / 1_000_000)) }

    /// Lets libcurl work, and gives back what has ended.
    func finished() -> [(token: UInt64, result: Result<Response, TransportError>)] {
        var running: Int32 = 0
        curl_multi_perform(multi, &running)
        var ended: [(token: UInt64, result: Result<Response, TransportError>)] = []
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle, let transfer = transfers[easy] else {
                continue
            }
            let code = tracefwd_curl_result(message)
            ended.append((transfer.token, result(code, easy, transfer)))
            release(easy)
        }
        return ended
    }

    private func result(_ code: CURLcode, _ easy: UnsafeMutableRawPointer, _ transfer: Transfer) -> Result<Response, TransportError> {
        guard code == CURLE_OK else {
            let detail = String(cString: transfer.errorText)
            let sentence = String(cString: curl_easy_strerror(code))
            // Of a request that was not even begun nothing can have been stored: its name, its port or TLS was in the way.
            var sent = 0
            tracefwd_curl_get_long(easy, CURLINFO_REQUEST_SIZE, &sent)
            return .failure(
                TransportError(
                    description: detail.isEmpty ? sentence : detail, timedOut: code == CURLE_OPERATION_TIMEDOUT, unreachable: sent == 0))
        }
        var status = 0
        tracefwd_curl_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
        return .success(
            Response(status: status, headers: transfer.responseHeaders, body: transfer.responseBody, bodyCut: transfer.bodyCut))
    }

    /// Ends one request without an answer, and its connection with it.
    func cancel(token: UInt64) {
        guard let easy = transfers.first(where: { $0.value.token == token })?.key else { return }
        release(easy)
    }

    /// Ends every request without an answer: what was in flight is left for the next start.
    func abort() {
        for easy in Array(transfers.keys) { release(easy) }
    }

    private func release(_ easy: UnsafeMutableRawPointer) {
        curl_multi_remove_handle(multi, easy)
        // It forgets the transfer's memory before that goes.
        curl_easy_reset(easy)
        transfers[easy] = nil
        if idle.count < Self.idleMax { idle.append(easy) } else { curl_easy_cleanup(easy) }
    }

    /// Sleeps until a socket moves, `wake` is called, or the time is over (nil: as long as nothing happens).
    func wait(_ time: Duration?) {
        var moved: Int32 = 0
        let milliseconds = time.map { Int32(clamping: ($0.nanosecondsClamped + 999_999) / 1_000_000) } ?? .max
        curl_multi_poll(multi, nil, 0, milliseconds, &moved)
    }

    /// What other threads may call to end a `wait`.
    var waker: Waker { Waker(multi: multi) }

    /// Ends a `wait` from any thread. It must not outlive the sender, which lives as long as delivery's thread.
    struct Waker: @unchecked Sendable {
        // Unchecked: curl_multi_wakeup is the one function of libcurl that is documented to be safe from any thread.
        fileprivate let multi: UnsafeMutableRawPointer
        func wake() { curl_multi_wakeup(multi) }
    }
}

private func takeBody(_ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?) -> Int {
    guard let bytes, let context else { return 0 }
    let transfer = Unmanaged<HTTPSender.Transfer>.fromOpaque(context).takeUnretainedValue()
    let length = size * count
    let room = HTTPSender.bodyMax - transfer.responseBody.count
    transfer.responseBody.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: min(room, length)))
    if length > room { transfer.bodyCut = true }
    // An answer without end is read, not kept, until the request's own time is over.
    return length
}

private func takeHeader(_ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?) -> Int {
    guard let bytes, let context else { return 0 }
    let transfer = Unmanaged<HTTPSender.Transfer>.fromOpaque(context).takeUnretainedValue()
    let line = String(decoding: UnsafeRawBufferPointer(start: bytes, count: size * count), as: UTF8.self)
    if line.hasPrefix("HTTP/") {
        // A new header block: of a proxy's "200 Connection established" or a 100 nothing is kept.
        transfer.responseHeaders.removeAll()
    } else if let colon = line.firstIndex(of: ":"), transfer.responseHeaders.count < 64 {
        // Spaces around a value are not part of it (RFC 9110, 5.5).
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0.isNewline }
        var value = line[line.index(after: colon)...].drop(while: isSpace)
        while let last = value.last, isSpace(last) { value.removeLast() }
        transfer.responseHeaders[line[..<colon].lowercased()] = String(value.prefix(4096))
    }
    return size * count
}
