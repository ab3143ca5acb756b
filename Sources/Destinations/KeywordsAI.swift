import Crypto
import Delivery
import Foundation
import Settings
import SpanModel

// Keywords AI, which calls itself Respan now. Contract: Docs/destinations/keywordsai.md. OTLP with names of its own (KeywordsAISpan.swift), or
// rows of its bulk door (KeywordsAILog.swift). 500 spans and 4 MiB a batch; a key gives its organisation 30 requests a minute at the bulk door.
struct KeywordsAI: RegisteredDestination {
    static let type = "keywordsai"
    static let aliases = ["respan"]
    static let http = true
    static let doc = "Keywords AI, now Respan: spans over OTLP with the names that it reads, or rows of its bulk door."
    static let keys = [
        Key("api_key", .secret, .required, "The key. It decides the organisation and the environment."),
        Key("endpoint", .url, .value("https://api.respan.ai"), "The base address; an `/api` at its end is left out."),
        Key(
            "fallback_endpoint", .url, .nothing("none"),
            "The same platform by another name: asked for five minutes where connecting to `endpoint` failed."),
        Key(
            "mode", .choice(["otlp", "logs"]), .value("otlp"),
            "The door: OTLP, where traces are trees, or the bulk door, where each span is a row without a parent."),
        Key(
            "encoding", .choice(["protobuf", "json"]), .value("protobuf"),
            "How OTLP is written; the other one is tried where it is refused."),
        Oversize.key,
    ]

    /// The ways in, each behind the one that is better.
    enum Door: Equatable {
        case v2(OTLP.Encoding)
        case v1
        case bulk

        var name: String {
            switch self {
            case .v2(let encoding): "/api/v2/traces with \(encoding.rawValue)"
            case .v1: "/api/v1/traces"
            case .bulk: "/api/request-logs/bulk/"
            }
        }

        var path: String {
            switch self {
            case .v2: "/api/v2/traces"
            case .v1: "/api/v1/traces"
            case .bulk: "/api/request-logs/bulk/"
            }
        }
    }

    /// Most bytes of a request; the limit is published for one span.
    static let requestBytesMax = 20_000_000
    /// 30 a minute.
    static let bulkRequestsPerSecond = 0.5

    /// Bases without `/api`, the configured one first.
    let hosts: [String]
    let doors: [Door]
    let declaration: Declaration
    let authorization: Header
    let oversize: Oversize
    let headers: [Header]
    let outlet: Outlet
    /// Lower in tests alone.
    var requestBytesMax = Self.requestBytesMax

    init(_ settings: DestinationSettings) {
        let section = settings.section
        hosts = [section.string("endpoint"), section.optionalString("fallback_endpoint")].compactMap { $0.map(baseURL) }
        let encoding: OTLP.Encoding = section.string("encoding") == "json" ? .json : .protobuf
        doors = section.string("mode") == "logs" ? [.bulk] : [.v2(encoding), .v2(encoding == .json ? .protobuf : .json), .v1, .bulk]
        let key = section.secret("api_key").reveal()
        declaration = Self.declaration(doors, hosts, key)
        authorization = Header("Authorization", secret: Secret("Bearer \(key)"))
        oversize = Oversize(section)
        headers = settings.headers
        outlet = .http(HTTPOptions(settings))
    }

    private static func declaration(_ doors: [Door], _ hosts: [String], _ key: String) -> Declaration {
        var declaration = Declaration(limits: BatchLimits(spans: 500, bytes: 4 << 20), timeout: .seconds(30))
        declaration.doors = doors.map(\.name)
        declaration.hosts = hosts.map(shownURL)
        let account = hexText(SHA256.hash(data: Data(key.utf8)).prefix(8))
        declaration.sharedRate = SharedRate(
            account: "keywordsai \(account)", requestsPerSecond: bulkRequestsPerSecond, firstDoor: doors.count - 1)
        // The bulk door takes a request every two seconds: each should be worth it.
        if doors == [.bulk] { declaration.lingerMin = .seconds(2) }
        return declaration
    }

    static func check(_ section: Section) -> [Mistake] {
        var mistakes = reservedHeaders(section, ["Authorization"], because: "api_key")
        mistakes += reservedHeaders(section, ["Content-Type", "Content-Encoding"], because: "mode and encoding")
        let (first, second) = (section.string("endpoint"), section.optionalString("fallback_endpoint"))
        if let second, baseURL(second) == baseURL(first) {
            mistakes.append(section.mistake(at: "fallback_endpoint", "is endpoint once more; leave it out, or name another host"))
        }
        return mistakes
    }

    var target: String { shownURL((hosts.first ?? "") + doors[0].path) }

    // MARK: Encoding

    func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request] {
        let door = doors[context.door]
        let url = hosts[context.host] + door.path
        var requests =
            switch door {
            case .v2(let encoding): try otlp(url, encoding).requests(batch) { KeywordsAISpan($1).write(to: &$0) }
            case .v1: try otlp(url, .protobuf).requests(batch) { KeywordsAISpan($1).write(to: &$0) }
            case .bulk: try logs(batch, batch.indices, url)
            }
        for index in requests.indices { requests[index].door = context.door }
        return requests
    }

    private func otlp(_ url: String, _ encoding: OTLP.Encoding) -> OTLPDialect {
        OTLPDialect(
            url: url, headers: [authorization], configured: headers, encoding: encoding, compression: .none, bytesMax: requestBytesMax,
            oversize: oversize)
    }

    /// One request, or, where that were too large, those of both halves.
    private func logs(_ batch: [SpanView], _ range: Range<Int>, _ url: String) throws(EncodeError) -> [Request] {
        if let damaged = range.first(where: { batch[$0].withParts { $0 == nil } }) {
            throw EncodeError(span: damaged, reason: "malformed_span")
        }
        var body = logsBody(batch[range])
        var isCut = false
        if body.count > requestBytesMax {
            guard range.count == 1 else {
                let middle = range.lowerBound + range.count / 2
                return try logs(batch, range.lowerBound..<middle, url) + logs(batch, middle..<range.upperBound, url)
            }
            let fitted = try oversize.fit(batch[range.lowerBound], at: range.lowerBound, bytesMax: requestBytesMax) { logsBody([$0]) }
            (body, isCut) = (fitted.body, fitted.isCut)
        }
        let own = [Header("Content-Type", "application/json"), Header("User-Agent", "tracefwd/\(version)"), authorization]
        var request = Request(url: url, headers: merged(own, headers), body: body, spans: range)
        request.cutSpans = isCut ? 1 : 0
        return [request]
    }

    private func logsBody(_ spans: ArraySlice<SpanView>) -> [UInt8] {
        var body: [UInt8] = []
        body.reserve(forJSON: spans)
        JSONBytes.append(to: &body) { json in
            json.object { json in
                json.key("logs")
                json.array(of: spans) { json, span in span.withLLM { json.keywordsAILog($0) } }
            }
        }
        return body
    }

    // MARK: Answers

    func judge(_ response: Response, to request: Request) -> Verdict {
        let door = doors[request.door]
        let detail = explanation(of: response)
        switch response.status {
        case 200..<300:
            switch door {
            case .v2(let encoding): return judgeOTLPSuccess(response, to: request, sent: encoding, isIdempotent: false)
            case .v1: return judgeOTLPSuccess(response, to: request, sent: .protobuf, isIdempotent: false)
            case .bulk: return judgeRows(response, to: request)
            }
        // By its own reckoning the body was sound, so it may be the encoding that is not taken.
        case 400 where request.door == 0 && door == .v2(.protobuf): return .otherDoor(1, detail: detail)
        case 402: return .pause(reason: "payment_required", detail: detail)
        case 404, 405: return otherDoor(behind: request.door, where: { $0 == .v1 || $0 == .bulk }, response, detail)
        case 415: return otherDoor(behind: request.door, where: { _ in true }, response, detail)
        case 409: return .retry(after: retryAfter(response), detail: detail)
        case 429: return .retry(after: wait(response), detail: detail, throttle: true)
        default: return byStatus(response, to: request)
        }
    }

    /// The next door that may do better; behind the last one a person is asked.
    private func otherDoor(behind door: Int, where mayHelp: (Door) -> Bool, _ response: Response, _ detail: String) -> Verdict {
        guard let next = doors.indices.first(where: { $0 > door && mayHelp(doors[$0]) }) else {
            return .pause(reason: response.status == 415 ? "wrong_encoding" : "not_found", detail: detail)
        }
        return .otherDoor(next, detail: detail)
    }

    /// What a 429 asks for: `Retry-After`, else `X-RateLimit-Reset`, a time in Unix seconds that is compared with the answer's own `Date`,
    /// else `retry_after` of the body, seconds.
    private func wait(_ response: Response) -> Duration? {
        if let wait = retryAfter(response) { return wait }
        if let reset = response.headers["x-ratelimit-reset"].flatMap({ Double($0) }), let now = response.headers["date"].flatMap(httpDate) {
            return duration(reset - Double(now))
        }
        struct Limited: Decodable { let retry_after: Double? }
        return (try? JSONDecoder().decode(Limited.self, from: Data(response.body)))?.retry_after.flatMap(duration)
    }

    /// Nil for what is no wait; more than a year is a year.
    private func duration(_ seconds: Double) -> Duration? {
        seconds.isFinite ? .seconds(min(max(0, seconds), 366 * 86_400)) : nil
    }

    /// The bulk door's answer names the rows that it refused. Read leniently: what is refused and not named must be counted all the same.
    private func judgeRows(_ response: Response, to request: Request) -> Verdict {
        guard let reply = try? JSONSerialization.jsonObject(with: Data(response.body)) as? [String: Any] else { return .delivered() }
        let errors = reply["errors"] as? [[String: Any]] ?? []
        var verdicts = [SpanVerdict](repeating: .delivered, count: request.spans.count)
        for error in errors {
            guard let index = error["index"] as? Int, verdicts.indices.contains(index) else { continue }
            verdicts[index] = .refused(reason: "refused", detail: String((error["error"] as? String ?? "").prefix(200)))
        }
        let named = verdicts.count { $0 != .delivered }
        let refused = max(reply["error_count"] as? Int ?? 0, errors.count)
        if refused >= verdicts.count {
            let unnamed = SpanVerdict.refused(reason: "refused", detail: explanation(of: response))
            return .perSpan(verdicts.map { $0 == .delivered ? unnamed : $0 })
        }
        if refused > named {
            return .partialUnknown(refused: refused, detail: "\(refused) of \(verdicts.count) rows refused, \(named) of them named")
        }
        return named == 0 ? .delivered() : .perSpan(verdicts)
    }
}

extension KeywordsAI {
    /// An OTLP request without spans: what reads nothing and stores nothing, and yet asks for the key.
    var probes: [Request] {
        hosts.map { host in
            let own = [Header("Content-Type", "application/json"), Header("User-Agent", otlpUserAgent), authorization]
            let body = Array(#"{"resourceSpans":[]}"#.utf8)
            return Request(url: host + Door.v2(.json).path, headers: merged(own, headers), body: body, spans: 0..<0)
        }
    }

    func judgeProbe(_ response: Response, to probe: Request) -> ProbeVerdict {
        let (words, host) = (explanation(of: response), shownURL(probe.url))
        switch response.status {
        // A platform that finds nothing in it has looked at the key before.
        case 200..<300, 400, 422: return .works("\(host) takes the key (\(words))")
        case 401, 403: return .fails("\(host) refuses the key (\(words))", remedy: "see api_key; the key must be one of this organisation")
        case 402: return .fails("\(host) wants to be paid (\(words))", remedy: "see the plan of the organisation")
        case 404, 405: return .fails("\(host) is no door (\(words))", remedy: "see endpoint, the base address")
        case 429: return .works("\(host) is there and asks to wait (\(words))")
        default: return .fails("\(host) \(words)", remedy: "try again; the platform may be down")
        }
    }
}

/// The base of a host: without query, slashes at the end, and one `/api` there, which the vendor's own variable has.
private func baseURL(_ url: String) -> String {
    var base = url.prefix { $0 != "?" && $0 != "#" }
    while base.last == "/" { base.removeLast() }
    if base.hasSuffix("/api") { base.removeLast(4) }
    return String(base)
}
