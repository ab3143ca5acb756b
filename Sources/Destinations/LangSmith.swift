import Delivery
import Foundation
import Settings
import SpanModel

// LangSmith, through its OTLP door. Contract: Docs/destinations/langsmith.md. 200 spans and 8 MiB a request; a request carries one project; a
// span whose parent never comes is never shown, so parents that a route dropped are replaced.
struct LangSmith: RegisteredDestination {
    static let type = "langsmith"
    static let http = true
    static let doc = "LangSmith: runs in the projects of a cloud workspace, or of an installation of one's own."
    static let keys = [
        Key(
            "api_key", .secret, .required, "A service key or personal key of the workspace (`lsv2_...`); it must be allowed to write runs."),
        Key("project", .string, .nothing("LangSmith's `default`"), "The project in which traces appear; it is made when it is not there."),
        Key(
            "region", .choice(Region.allCases.map(\.rawValue)), .nothing("us, or endpoint stands instead"),
            "Where the workspace is: a key works in its own region alone."),
        Key(
            "endpoint", .url, .nothing("region stands instead"),
            "The base address of an installation of one's own, with its `/api/v1`; `/otel/v1/traces` is put behind it."),
        Key(
            "workspace_id", .string, .nothing("the key's own workspace"),
            "The workspace's id; a key of an organisation, or of several workspaces, needs it."),
        Key(
            "remote_parent", .choice(["keep", "root"]), .value("keep"),
            "What becomes of a parent in another service. A span whose parent never reaches LangSmith is never shown: `root` makes it a root."
        ),
        Key(
            "attachments", .boolean, .value("false"),
            "Whether media inside of messages are sent as attachments of the run too, beside their place in the message."),
        Oversize.key,
        Key("compression", .choice(["gzip", "none"]), .value("gzip"), "How bodies are compressed."),
    ]

    /// LangSmith's clouds; they share nothing.
    enum Region: String, CaseIterable {
        case us, eu, apac, aws

        var base: String { self == .us ? "https://api.smith.langchain.com" : "https://\(rawValue).api.smith.langchain.com" }
    }

    /// Most bytes of a body before compression; the platform publishes no limit of this door.
    static let requestBytesMax = 8 << 20

    let base: String
    let key: Secret
    /// Nil: none is named, so LangSmith takes its own default.
    let project: String?
    let workspaceID: String?
    let remoteParent: SpanLink.RemoteParent
    let sendsAttachments: Bool
    /// An agent's address among the configured headers: a request that has a project too were rejected.
    let isAddressed: Bool
    var dialect: OTLPDialect
    let outlet: Outlet

    init(_ settings: DestinationSettings) {
        let section = settings.section
        var base = section.optionalString("endpoint") ?? (section.optionalString("region").flatMap(Region.init) ?? .us).base
        while base.last == "/" { base.removeLast() }
        self.base = base
        key = section.secret("api_key")
        project = section.optionalString("project")
        workspaceID = section.optionalString("workspace_id")
        remoteParent = section.string("remote_parent") == "root" ? .root : .keep
        sendsAttachments = section.boolean("attachments")
        isAddressed = settings.headers.contains { Self.addressHeaders.contains($0.name.lowercased()) }
        dialect = OTLPDialect(
            url: base + Self.path, configured: settings.headers, compression: Compression(section), bytesMax: Self.requestBytesMax,
            oversize: Oversize(section))
        dialect.fillsTimes = true
        outlet = .http(HTTPOptions(settings))
    }

    private static let path = "/otel/v1/traces"
    private static let addressHeaders = ["langsmith-agent-id", "langsmith-agent-environment"]

    static func check(_ section: Section) -> [Mistake] {
        var mistakes = reservedHeaders(section, ["Content-Type", "Content-Encoding"], because: "the destination itself")
        mistakes += reservedHeaders(section, ["x-api-key"], because: "api_key")
        mistakes += reservedHeaders(section, ["X-Tenant-Id"], because: "workspace_id")
        mistakes += reservedHeaders(section, ["Langsmith-Project"], because: "project")
        if section.has("region"), section.has("endpoint") {
            mistakes.append(section.mistake(at: "region", "stands beside endpoint; keep region for the cloud, endpoint for one's own"))
        }
        if let endpoint = section.optionalString("endpoint"), endpoint.contains("/otel") || endpoint.contains("?") {
            mistakes.append(
                section.mistake(at: "endpoint", "is more than a base; end it before \(path), which is put behind it: https://host/api/v1"))
        }
        if let project = section.optionalString("project"), project.isEmpty || !isHeaderText(project) {
            mistakes.append(section.mistake(at: "project", "is no name of a project: one line of text"))
        }
        let isAddressed = section.headers("headers").contains { addressHeaders.contains($0.name.lowercased()) }
        if isAddressed, section.has("project") {
            mistakes.append(
                section.mistake(at: "project", "stands beside an agent's address in headers, which LangSmith refuses; keep one of them"))
        }
        return mistakes
    }

    var declaration: Declaration {
        Declaration(
            limits: BatchLimits(spans: 200, bytes: 4 << 20), throttleWait: ThrottleWait(base: .seconds(5), cap: .seconds(600)),
            parents: remoteParent)
    }

    var target: String { shownURL(dialect.url) }

    // MARK: Encoding

    func encode(_ batch: [SpanView], _ context: EncodeContext) throws(EncodeError) -> [Request] {
        var requests: [Request] = []
        for (project, range) in runs(of: batch) {
            var dialect = dialect
            dialect.headers = headers(project)
            do throws(EncodeError) {
                requests += try dialect.requests(Array(batch[range])) { edit, llm in
                    edit.writeLangSmithRun(llm, attachments: sendsAttachments)
                    edit.writeParent(llm, remoteParent, context)
                }
                .map { $0.shifted(by: range.lowerBound) }
            } catch {
                throw EncodeError(span: range.lowerBound + error.span, reason: error.reason)
            }
        }
        return requests
    }

    private func headers(_ project: String?) -> [Header] {
        var headers = [Header("x-api-key", secret: key)]
        if let workspaceID { headers.append(Header("X-Tenant-Id", workspaceID)) }
        if let project, !isAddressed { headers.append(Header("Langsmith-Project", project)) }
        return headers
    }

    /// Neighbours of one project: a request names one.
    private func runs(of batch: [SpanView]) -> [(project: String?, range: Range<Int>)] {
        var runs: [(project: String?, range: Range<Int>)] = []
        for (index, span) in batch.enumerated() {
            let project = ownProject(span) ?? project
            if let last = runs.last, last.project == project {
                runs[runs.count - 1].range = last.range.lowerBound..<index + 1
            } else {
                runs.append((project, index..<index + 1))
            }
        }
        return runs
    }

    /// The project that the span itself names.
    private func ownProject(_ span: SpanView) -> String? {
        guard !isAddressed, case .string(let name)? = span.attribute("langsmith.trace.session_name"), !name.isEmpty, isHeaderText(name)
        else {
            return nil
        }
        return name
    }

    // MARK: Answers

    func judge(_ response: Response, to request: Request) -> Verdict {
        switch response.status {
        case 409:
            // One of them was there before; which one is not said, so they are sent once more, apart.
            let detail = explanation(of: response)
            return request.spans.count > 1 ? .refused(reason: "duplicate", detail: detail) : .delivered()
        case 403: return .pause(reason: "forbidden", detail: explanation(of: response) + forbidden(response))
        case 404: return .pause(reason: "not_found", detail: explanation(of: response) + Self.wrongBase)
        default: return byStatus(response, to: request)
        }
    }

    private static let wrongBase = "; check endpoint: that of an installation of one's own ends with /api/v1"

    /// Which of its reasons a 403 has, and what helps.
    private func forbidden(_ response: Response) -> String {
        if String(decoding: response.body.prefix(4096), as: UTF8.self).contains("org_scoped_key_requires_workspace") {
            return workspaceID == nil
                ? "; the key is one of an organisation: set workspace_id" : "; the key does not belong to workspace_id \(workspaceID ?? "")"
        }
        return "; the key belongs to another region or workspace, or may not write runs"
    }

    // MARK: Probes

    /// The platform's own description, which needs no key; then a request without spans, which does.
    var probes: [Request] {
        var dialect = dialect
        dialect.headers = headers(project)
        return [
            Request(url: base + "/info", method: "GET", headers: merged(dialect.headers, dialect.configured), body: [], spans: 0..<0),
            Request(
                url: dialect.url,
                headers: merged([Header("Content-Type", dialect.encoding.contentType)] + dialect.headers, dialect.configured), body: [],
                spans: 0..<0),
        ]
    }

    func judgeProbe(_ response: Response, to probe: Request) -> ProbeVerdict {
        let said = explanation(of: response)
        switch (response.status, probe.method) {
        case (200, "GET"):
            let version = InfoReply(response.body)?.version
            return .works(version.map { "LangSmith \($0) answers" } ?? "answers")
        case (401, _): return .fails("the key is refused: \(said)", remedy: "look at api_key, and at region: each has keys of its own")
        case (403, _): return .fails("the key may not be used here: \(said)", remedy: String(forbidden(response).dropFirst(2)))
        case (404, _): return .fails(said, remedy: String(Self.wrongBase.dropFirst(2)))
        case (_, "GET"), (500..., _): return .fails(said, remedy: "try again later")
        default: return .works("the key is taken")
        }
    }
}

/// What `GET /info` says; the rest of it is for the native door.
private struct InfoReply: Decodable {
    let version: String?

    init?(_ body: [UInt8]) {
        guard let reply = try? JSONDecoder().decode(InfoReply.self, from: Data(body)) else { return nil }
        self = reply
    }
}

/// Whether a text may stand in a header: one line of it, and no edge that a reader cuts off.
private func isHeaderText(_ text: String) -> Bool {
    text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f } && text.first != " " && text.last != " "
}

extension Request {
    /// The same for the spans of a batch whose first is the span at `offset` of a larger one.
    fileprivate func shifted(by offset: Int) -> Request {
        var request = self
        request.spans = spans.lowerBound + offset..<spans.upperBound + offset
        return request
    }
}

extension SpanEdit {
    /// Hangs the span where the destination has got a parent for it, or will.
    fileprivate mutating func writeParent(_ llm: LLMFields, _ remoteParent: SpanLink.RemoteParent, _ context: EncodeContext) {
        guard let link = SpanLink(llm.span, remoteParent: remoteParent) else { return }
        let parent = (context.parents?.resolve(link) ?? link).parent
        if parent != SpanID(llm.span.parentSpanID) { setParent(parent) }
    }
}
