import Delivery
import Foundation
import Settings
import SpanModel

// Langfuse: OTLP with `langfuse.*` attributes, or, for old servers of one's own, its JSON events (LangfuseEvents.swift). Contract:
// Docs/destinations/langfuse.md. 200 spans and 4 MB a request; one span with bad ids refuses all of a request.
struct Langfuse: RegisteredDestination {
    static let type = "langfuse"
    static let http = true
    static let doc = "Langfuse, in one of its cloud's regions or on a server of one's own."
    static let keys = [
        Key("public_key", .string, .required, "The project's public key, `pk-lf-...`."),
        Key("secret_key", .secret, .required, "Its secret key, `sk-lf-...`. The two choose the project."),
        Key("region", .choice(["eu", "us", "jp", "hipaa"]), .nothing("eu"), "Where the project lies. A key of another region is refused."),
        Key("endpoint", .url, .nothing("the region's"), "The base address of a server of one's own, in place of a region."),
        Key(
            "mode", .choice(["otlp", "ingestion"]), .value("otlp"),
            "OTLP, or the old JSON door, which only servers before 3.22 need: newer ones and the cloud refuse it."),
        Key("media", .choice(["inline", "strip"]), .value("inline"), "Whether base64 images, sounds and files are sent or taken out."),
        Key("link_prompts", .boolean, .value("false"), "Whether generations are linked to the managed prompt that they name."),
        Key("release", .string, .nothing("none"), "The release that every span is marked with."),
        Key("trace_name", .string, .nothing("the name of the root span"), "The name that every trace is given."),
        Key("public", .boolean, .value("false"), "Whether traces can be seen by everybody who has their address."),
        Oversize.key,
    ]

    enum Mode: String { case otlp, ingestion }

    let base: String
    let authorization: Secret
    let mode: Mode
    let stripsMedia: Bool
    let oversize: Oversize
    let marks: LangfuseMarks
    let headers: [Header]
    let outlet: Outlet
    /// Above this a body is not sent (before compression): the cloud takes 5 MB, and 3.5 MB as JSON; lower in tests alone.
    var requestBytesMax: Int

    init(_ settings: DestinationSettings) {
        let section = settings.section
        base = Self.base(section)
        authorization = basicAuthorization(user: section.string("public_key"), password: section.secret("secret_key"))
        mode = section.string("mode") == "ingestion" ? .ingestion : .otlp
        stripsMedia = section.string("media") == "strip"
        oversize = Oversize(section)
        marks = LangfuseMarks(
            release: section.optionalString("release"), traceName: section.optionalString("trace_name"),
            isPublic: section.boolean("public"), linksPrompts: section.boolean("link_prompts"))
        headers = settings.headers
        outlet = .http(HTTPOptions(settings))
        requestBytesMax = mode == .otlp ? 4 << 20 : 3_300_000
    }

    private static func base(_ section: Section) -> String {
        if let endpoint = section.optionalString("endpoint") { return withoutTrailingSlashes(endpoint) }
        return switch section.optionalString("region") {
        case "us": "https://us.cloud.langfuse.com"
        case "jp": "https://jp.cloud.langfuse.com"
        case "hipaa": "https://hipaa.cloud.langfuse.com"
        default: "https://cloud.langfuse.com"
        }
    }

    static func check(_ section: Section) -> [Mistake] {
        var mistakes = reservedHeaders(
            section, ["Authorization", "Content-Type", "Content-Encoding", versionHeader.name], because: "type: langfuse")
        if section.string("public_key").hasPrefix("sk-") {
            mistakes.append(section.mistake(at: "public_key", "begins like a secret key; the two keys are exchanged"))
        }
        if section.has("region"), section.has("endpoint") {
            mistakes.append(section.mistake(at: "region", "stands beside endpoint; keep endpoint for a server of your own, else region"))
        }
        if section.string("mode") == "ingestion", !section.has("endpoint") {
            mistakes.append(
                section.mistake(
                    at: "mode", "is ingestion, which the cloud takes no more; leave it out, or give the endpoint of your server"))
        }
        if let endpoint = section.optionalString("endpoint"), endpoint.contains("/api/public") {
            mistakes.append(section.mistake(at: "endpoint", "holds /api/public, which is put behind it; leave that out"))
        }
        return mistakes
    }

    /// Direct writing into the tables of version 4; without it data may be minutes late. Older servers ignore it.
    private static let versionHeader = Header("x-langfuse-ingestion-version", "4")

    // An equal resend replaces the first one, by (project, trace, span, start time).
    var declaration: Declaration { Declaration(limits: BatchLimits(spans: 200, bytes: 2 << 20), idempotent: true) }

    var target: String { shownURL(base) }

    func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request] {
        let batch = stripsMedia ? batch.map { $0.withoutMedia() ?? $0 } : batch
        switch mode {
        case .ingestion:
            let events = LangfuseEvents(marks: marks, bytesMax: requestBytesMax, oversize: oversize)
            return try events.bodies(batch).map { body in
                let own = [Header("Content-Type", "application/json"), Header("User-Agent", otlpUserAgent)]
                var request = Request(
                    url: base + "/api/public/ingestion", headers: merged(own + [Header("Authorization", secret: authorization)], headers),
                    body: body.bytes, spans: body.spans)
                (request.spanOfItem, request.cutSpans) = (body.spanOfEvent, body.cutSpans)
                return request
            }
        case .otlp:
            let dialect = OTLPDialect(
                url: base + "/api/public/otel/v1/traces",
                headers: [Header("Authorization", secret: authorization), Self.versionHeader], configured: headers,
                compression: .gzip, bytesMax: requestBytesMax, oversize: oversize, fillsTimes: true)
            return try dialect.requests(batch) { edit, llm in
                edit.drop(Self.dropped(llm))
                edit.langfuse(llm, marks)
            }
        }
    }

    /// The server names any span that has it after the tool.
    private static func dropped(_ llm: LLMFields) -> AttributeNames {
        llm.isToolSpan ? AttributeNames() : AttributeNames(["gen_ai.tool.name"])
    }

    // MARK: Answers

    func judge(_ response: Response, to request: Request) -> Verdict {
        let detail = explanation(of: response)
        switch response.status {
        case 207 where mode == .ingestion: return LangfuseEvents.judge(response, to: request)
        case 400 where detail.contains("content type") || detail.contains(Self.versionHeader.name):
            return .pause(reason: "bad_request", detail: detail)
        case 403 where detail.contains("suspended"): return .pause(reason: "suspended", detail: detail)
        case 404: return .pause(reason: "not_found", detail: "\(detail); is the server 3.22 or newer, and its base address right?")
        case 429 where retryAfter(response) == nil: return .retry(after: resetWait(response), detail: detail, throttle: true)
        default: return byStatus(response, to: request)
        }
    }

    // MARK: Probes

    var probes: [Request] {
        let agent = Header("User-Agent", otlpUserAgent)
        return [
            Request(url: base + "/api/public/health", method: "GET", headers: merged([agent], headers), body: [], spans: 0..<0),
            Request(
                url: base + "/api/public/projects", method: "GET",
                headers: merged([agent, Header("Authorization", secret: authorization)], headers), body: [], spans: 0..<0),
        ]
    }

    func judgeProbe(_ response: Response, to probe: Request) -> ProbeVerdict {
        probe.url.hasSuffix("/health") ? health(response) : projects(response)
    }

    private func health(_ response: Response) -> ProbeVerdict {
        struct Health: Decodable { let version: String? }
        let words = explanation(of: response)
        guard response.status == 200 else {
            return .fails(
                "its health \(words)", remedy: response.status == 404 ? "see its base address" : "see the server's own log and its database"
            )
        }
        guard let version = (try? JSONDecoder().decode(Health.self, from: Data(response.body)))?.version else {
            return .fails("answered, but not as Langfuse does", remedy: "see its base address")
        }
        let parts = version.split(separator: ".").prefix(2).map { Int($0.drop { $0 == "v" }) ?? 0 }
        if mode == .otlp, parts.count == 2, (parts[0], parts[1]) < (3, 22) {
            return .fails("Langfuse \(version) has no OTLP door", remedy: "update it to 3.22 or newer, or set mode: ingestion")
        }
        if mode == .ingestion, parts.first ?? 0 >= 4 {
            return .fails("Langfuse \(version) refuses mode: ingestion", remedy: "leave mode out")
        }
        return .works("Langfuse \(version) is up")
    }

    private func projects(_ response: Response) -> ProbeVerdict {
        struct Projects: Decodable {
            struct Project: Decodable { let name: String }
            let data: [Project]
        }
        let words = explanation(of: response)
        switch response.status {
        case 200:
            guard let project = (try? JSONDecoder().decode(Projects.self, from: Data(response.body)))?.data.first else {
                return .fails(
                    "the key belongs to no project", remedy: "make a key in the project's settings; one of an organisation does not do")
            }
            return .works("the key is of the project \"\(project.name)\"")
        case 401: return .fails("the key is refused (\(words))", remedy: "see both keys; a key of another region is refused too")
        case 403: return .fails("the key may not do that (\(words))", remedy: "use the public and the secret key of a project")
        default: return .fails("the list of projects \(words)", remedy: "try again, or see the server's own log")
        }
    }
}

/// What the configuration adds to every span.
struct LangfuseMarks: Sendable {
    var release: String?
    var traceName: String?
    var isPublic: Bool
    var linksPrompts: Bool
}

/// The wait of `X-RateLimit-Reset`, which is a date as JavaScript writes one: `Tue Nov 14 2023 22:13:20 GMT+0000 (...)`.
private func resetWait(_ response: Response) -> Duration? {
    let words = (response.headers["x-ratelimit-reset"] ?? "").split(separator: " ")
    guard words.count >= 6, words[5] == "GMT+0000", let now = response.headers["date"].flatMap(httpDate),
        let then = httpDate("\(words[0]), \(words[2]) \(words[1]) \(words[3]) \(words[4]) GMT")
    else { return nil }
    return .seconds(max(0, then - now))
}
