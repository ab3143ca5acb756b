import Delivery
import Foundation
import SpanModel

@testable import Destinations

/// Langfuse's OTLP door as the contract has it: one bad span refuses all of a request, and what it shows is read in the server's own order.
final class FakeLangfuse: FakePlatform {
    /// What a user sees of a span.
    struct Observation {
        var type: String, name: String, parent: String?
        var input: Any?, output: Any?
        var model: String?
        var usage: [String: Int] = [:]
        var cost: Double?
        var level = "DEFAULT", statusMessage: String?
        var user: String?, session: String?, environment = "default", release: String?, tags: [String] = []
        var metadata: [String: AttributeValue] = [:]
    }

    /// The tables of version 4: rows replace each other on (trace, span, start time). The last write wins.
    private(set) var observations: [String: Observation] = [:]
    private let authorization: String

    init(publicKey: String = "pk-lf-1", secretKey: String = "sk-lf-1") {
        authorization = "Basic " + Data("\(publicKey):\(secretKey)".utf8).base64EncodedString()
    }

    var records: [PlatformRecord] {
        observations.map { PlatformRecord(identity: $0.key, name: $0.value.name, parent: $0.value.parent) }
    }

    func answer(_ request: Request, at _: Double) -> Response {
        guard request.method == "POST", request.url.hasSuffix("/api/public/otel/v1/traces") else { return langfuseAnswer(404, "Not found") }
        guard request["Authorization"] == authorization else { return langfuseAnswer(401, "Invalid credentials") }
        guard request["Content-Type"]?.contains("application/x-protobuf") == true else {
            return langfuseAnswer(400, "Invalid content type")
        }
        guard [nil, "gzip"].contains(request["Content-Encoding"]), let body = request.plainBody else {
            return langfuseAnswer(400, "Failed to decompress request body")
        }
        guard let version = request["x-langfuse-ingestion-version"].flatMap({ Int($0) }), version <= 4 else {
            return langfuseAnswer(400, "Unsupported x-langfuse-ingestion-version")
        }
        guard body.count <= 5_000_000 else { return Response(status: 413) }
        guard let spans = decodeOTLP(body) else { return langfuseAnswer(400, "Failed to parse OTel Protobuf Trace") }
        guard spans.allSatisfy({ $0.traceID.count == 32 && $0.spanID.count == 16 && [0, 16].contains($0.parentSpanID.count) }) else {
            return langfuseAnswer(400, "Invalid trace or span id")
        }
        for span in spans {
            // What has no time gets the server's: another row at each resend.
            let start = span.start == 0 ? UInt64(observations.count) : span.start / 1_000_000
            observations["\(span.traceID)/\(span.spanID)/\(start)"] = observation(span)
        }
        return langfuseAnswer(200, "queued")
    }

    private static let types: Set = [
        "span", "generation", "event", "embedding", "agent", "tool", "chain", "retriever", "evaluator", "guardrail",
    ]

    private func observation(_ span: DecodedSpan) -> Observation {
        let own = span["langfuse.observation.type"]?.text ?? ""
        var seen = Observation(
            type: Self.types.contains(own) ? own : "span", name: span["gen_ai.tool.name"]?.text ?? span.name,
            parent: span.parentSpanID.isEmpty ? nil : span.parentSpanID)
        // Where either is there both come from here.
        let (input, output) = (span["langfuse.observation.input"]?.text, span["langfuse.observation.output"]?.text)
        (seen.input, seen.output) = (json(input), json(output))
        seen.model = span["langfuse.observation.model.name"]?.text
        seen.usage = json(span["langfuse.observation.usage_details"]?.text) as? [String: Int] ?? [:]
        seen.cost = (json(span["langfuse.observation.cost_details"]?.text) as? [String: Double])?["total"]
        if span["gen_ai.operation.name"]?.text == "invoke_agent" { (seen.model, seen.usage, seen.cost) = (nil, [:], nil) }
        seen.level = span["langfuse.observation.level"]?.text ?? (span.status == 2 ? "ERROR" : "DEFAULT")
        seen.statusMessage = span["langfuse.observation.status_message"]?.text
        seen.user = span["langfuse.user.id"]?.text
        seen.session = span["langfuse.session.id"]?.text
        seen.release = span["langfuse.release"]?.text
        if case .array(let tags)? = span["langfuse.trace.tags"] { seen.tags = tags.compactMap(\.text) }
        if let environment = span["langfuse.environment"]?.text, environment.wholeMatch(of: /(?!langfuse)[a-z0-9_-]{1,40}/) != nil {
            seen.environment = environment
        }
        for (key, value) in span.attributes where key.hasPrefix("langfuse.observation.metadata.") {
            seen.metadata[String(key.dropFirst("langfuse.observation.metadata.".count))] = value
        }
        return seen
    }

    private func json(_ text: String?) -> Any? {
        text.flatMap { try? JSONSerialization.jsonObject(with: Data($0.utf8), options: .fragmentsAllowed) }
    }
}

/// Langfuse's JSON door on a server before 3.22: events judged one by one, bodies that overwrite each other by their id.
final class FakeLangfuseIngestion: FakePlatform {
    private(set) var traces: [String: [String: Any]] = [:]
    private(set) var observations: [String: [String: Any]] = [:]
    /// Event ids that fail once with 500.
    var failing: Set<String> = []

    var records: [PlatformRecord] {
        observations.map { id, body in
            PlatformRecord(identity: id, name: body["name"] as? String ?? "", parent: body["parentObservationId"] as? String)
        }
    }

    func answer(_ request: Request, at _: Double) -> Response {
        guard request.method == "POST", request.url.hasSuffix("/api/public/ingestion") else { return langfuseAnswer(404, "Not found") }
        guard request["Authorization"]?.hasPrefix("Basic ") == true else { return langfuseAnswer(401, "Invalid credentials") }
        guard request["Content-Encoding"] == nil, request.body.count <= 3_500_000 else { return Response(status: 413) }
        guard let object = request.json as? [String: Any], let batch = object["batch"] as? [[String: Any]] else {
            return langfuseAnswer(400, "Invalid request data")
        }
        var successes: [[String: Any]] = []
        var errors: [[String: Any]] = []
        for event in batch {
            let id = event["id"] as? String ?? ""
            if failing.remove(id) != nil {
                errors.append(["id": id, "status": 500, "message": "Internal server error", "error": "Internal server error"])
            } else if let mistake = take(event) {
                errors.append(["id": id, "status": 400, "message": "Invalid request data", "error": mistake])
            } else {
                successes.append(["id": id, "status": 201])
            }
        }
        let body = (try? JSONSerialization.data(withJSONObject: ["successes": successes, "errors": errors])) ?? Data()
        return Response(status: 207, headers: ["content-type": "application/json"], body: [UInt8](body))
    }

    /// What is wrong with an event; nil where it was taken.
    private func take(_ event: [String: Any]) -> String? {
        guard let id = event["id"] as? String, 1...800 ~= id.count, isTime(event["timestamp"]), let type = event["type"] as? String,
            let body = event["body"] as? [String: Any], let own = body["id"] as? String, !own.isEmpty
        else { return "id, timestamp, type and body" }
        switch type {
        case "trace-create":
            traces[own, default: [:]].merge(body) { $1 }
        case "span-create", "generation-create", "event-create":
            guard body["traceId"] is String, isTime(body["startTime"]), isTime(body["endTime"]) == (type != "event-create"),
                ["DEBUG", "DEFAULT", "WARNING", "ERROR"].contains(body["level"] as? String ?? "DEFAULT"),
                body["usageDetails"] == nil || body["usageDetails"] is [String: Int],
                (body["promptName"] == nil) == (body["promptVersion"] == nil)
            else { return "body of \(type)" }
            if type != "generation-create", body["model"] != nil || body["usageDetails"] != nil { return "only generations have a model" }
            observations[own, default: [:]].merge(body) { $1 }
        default: return "type \(type)"
        }
        return nil
    }

    private func isTime(_ value: Any?) -> Bool {
        (value as? String)?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/) != nil
    }
}

private func langfuseAnswer(_ status: Int, _ message: String) -> Response {
    Response(status: status, headers: ["content-type": "application/json"], body: Array(#"{"message":"\#(message)"}"#.utf8))
}

extension Subject {
    private static let langfuseAnswers = [
        ContractAnswer(200, json: "{}", .delivered),
        ContractAnswer(200, json: #"{"id":"job-1","name":"otel-ingestion-job"}"#, .delivered),
        ContractAnswer(400, json: #"{"error":"Failed to parse OTel Protobuf Trace"}"#, .refused),
        ContractAnswer(400, json: #"{"message":"Invalid trace or span id"}"#, spans: 1, .refused),
        ContractAnswer(400, json: #"{"error":"Invalid content type"}"#, .pause),
        ContractAnswer(400, json: #"{"error":"Unsupported x-langfuse-ingestion-version: \"5\"."}"#, .pause),
        ContractAnswer(401, json: #"{"message":"Invalid credentials"}"#, .pause),
        ContractAnswer(403, json: #"{"message":"Ingestion suspended: Usage threshold exceeded. Please upgrade your plan."}"#, .pause),
        ContractAnswer(404, .pause), ContractAnswer(413, .tooLarge), ContractAnswer(413, spans: 1, .refused),
        ContractAnswer(429, headers: ["retry-after": "12"], .retry), ContractAnswer(500, .retry), ContractAnswer(503, .retry),
    ]
    private static let langfuseWaits = [
        ContractWait(headers: ["retry-after": "90"], wait: .seconds(90)),
        ContractWait(
            headers: [
                "date": "Tue, 14 Nov 2023 22:13:20 GMT",
                "x-ratelimit-reset": "Tue Nov 14 2023 22:15:20 GMT+0000 (Coordinated Universal Time)",
            ], wait: .seconds(120)),
    ]

    static let langfuse = [
        Subject(
            yaml: "type: langfuse, public_key: pk-lf-1, secret_key: sk-lf-1", exceptions: [404], answers: langfuseAnswers,
            platform: { FakeLangfuse() }, waits: langfuseWaits),
        Subject(
            yaml: "type: langfuse, public_key: pk-lf-1, secret_key: sk-lf-1, endpoint: 'http://127.0.0.1:3000/', mode: ingestion",
            exceptions: [207, 404],
            answers: langfuseAnswers.filter { $0.response.status != 200 } + [
                ContractAnswer(207, json: "{}", .retry), ContractAnswer(207, json: "<html>", .retry),
                ContractAnswer(207, json: #"{"successes":[],"errors":[{"id":"x","status":401,"message":"Access denied"}]}"#, .pause),
                ContractAnswer(
                    207,
                    json: #"{"successes":[],"errors":[{"id":"x","status":400,"message":"not accepted in events_only mode"}]}"#, .pause),
                // None of the events that were sent is named: they are sent again.
                ContractAnswer(207, json: #"{"successes":[],"errors":[]}"#, .perSpan([.retry, .retry])),
            ], platform: { FakeLangfuseIngestion() }, waits: langfuseWaits),
    ]
}
