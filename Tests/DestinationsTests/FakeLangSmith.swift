import Delivery
import SpanModel

@testable import Destinations

/// LangSmith's OTLP door as the contract has it: strict in what it takes, silent about spans whose parent never comes.
final class FakeLangSmith: FakePlatform {
    /// Each run once, by project, trace and span: a second create of the same is not stored.
    private var runs: [String: DecodedSpan] = [:]
    private let key: String
    /// What an organisation's key must name; nil: the key is a workspace's own.
    private let workspace: String?

    init(key: String = "lsv2_sk_sesame", workspace: String? = nil) { (self.key, self.workspace) = (key, workspace) }

    func answer(_ request: Request, at _: Double) -> Response {
        guard request.method == "POST", request.url.hasSuffix("/otel/v1/traces") else { return Response(status: 404) }
        guard request["x-api-key"] == key else { return refusal(401, "Invalid token") }
        if let workspace, request["X-Tenant-Id"] != workspace { return refusal(403, "org_scoped_key_requires_workspace") }
        let project = request["Langsmith-Project"]
        let isAddressed = request["Langsmith-Agent-Id"] != nil
        guard !isAddressed || project == nil else { return refusal(400, "project beside an agent's address") }
        guard request["Content-Type"] == "application/x-protobuf", let body = request.plainBody, let spans = decodeOTLP(body),
            spans.allSatisfy({ $0.traceID.count == 32 && $0.spanID.count == 16 && $0.start > 0 && [0, 16].contains($0.parentSpanID.count) })
        else { return refusal(400, "undecodable") }
        for span in spans {
            let name = identity(project, span.traceID, span.spanID)
            if runs[name] == nil { runs[name] = span }
        }
        return Response(status: 200)
    }

    private func refusal(_ status: Int, _ error: String) -> Response {
        Response(status: status, headers: ["content-type": "application/json"], body: Array(#"{"error":"\#(error)"}"#.utf8))
    }

    private func identity(_ project: String?, _ trace: String, _ span: String) -> String { "\(project ?? "default")/\(trace)/\(span)" }

    /// The runs that a user sees: one whose chain of parents has a gap is not there.
    var records: [PlatformRecord] {
        runs.compactMap { identity, run in
            guard path(to: run, at: identity) != nil else { return nil }
            let parent = run.parentSpanID.isEmpty ? nil : identity.dropLast(16) + run.parentSpanID
            return PlatformRecord(identity: identity, name: run.name, parent: parent.map(String.init))
        }
    }

    /// The same as names with those of their ancestors before them, the root's first.
    var visible: Set<String> { Set(runs.compactMap { path(to: $1, at: $0)?.joined(separator: " > ") }) }

    private func path(to run: DecodedSpan, at identity: String) -> [String]? {
        var (path, at) = ([run.name], run)
        while !at.parentSpanID.isEmpty {
            guard path.count <= runs.count, let parent = runs[identity.dropLast(16) + at.parentSpanID] else { return nil }
            path.insert(parent.name, at: 0)
            at = parent
        }
        return path
    }
}

extension Subject {
    static let langSmith = [
        Subject(
            yaml: "type: langsmith, api_key: lsv2_sk_sesame, project: shop", exceptions: [403, 404, 409],
            answers: [
                ContractAnswer(200, .delivered), ContractAnswer(202, .delivered),
                ContractAnswer(400, json: #"{"error":"invalid 'dotted_order'"}"#, .refused), ContractAnswer(401, .pause),
                ContractAnswer(403, json: #"{"error":"org_scoped_key_requires_workspace"}"#, .pause), ContractAnswer(404, .pause),
                ContractAnswer(409, json: #"{"detail":"payloads already received"}"#, spans: 1, .delivered), ContractAnswer(409, .refused),
                ContractAnswer(413, .tooLarge), ContractAnswer(413, spans: 1, .refused),
                ContractAnswer(422, json: #"{"detail":"int too big to convert"}"#, .refused), ContractAnswer(429, .retry),
                ContractAnswer(408, .retry), ContractAnswer(425, .retry), ContractAnswer(500, .retry), ContractAnswer(503, .retry),
            ], platform: { FakeLangSmith() })
    ]
}
