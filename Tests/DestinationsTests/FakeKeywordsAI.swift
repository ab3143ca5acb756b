import Delivery
import Foundation
import SpanModel

@testable import Destinations

/// Keywords AI as its contract has it: OTLP doors, which keep trees, and the bulk door, whose rows have none, over one store. It knows no span
/// again: what comes twice is there twice.
final class FakeKeywordsAI: FakePlatform {
    /// What a user sees of a span or a row. Content and metadata are JSON with sorted keys.
    struct Entry: Equatable {
        var name = "", type = "chat", trace = ""
        /// Its own id; nil for a row, which has none.
        var span: String?
        var parent: String?
        var model: String?, input: String?, output: String?
        var promptTokens: Int64?, completionTokens: Int64?
        /// Usage that was not sent, so that the platform guesses it and marks the entry with a warning.
        var isEstimated = false
        var cost: Double?
        var seconds: Double?
        var customer: String?, thread: String?, workflow: String?
        /// What finds rows that came twice.
        var customIdentifier: String?
        var metadata: [String: String] = [:]
        var isError = false, errorMessage: String?
    }

    private(set) var entries: [Entry] = []
    /// The status that a door answers with whatever comes: one that this installation does not have, or that does not read an encoding.
    var closed: (KeywordsAI.Door) -> Int? = { _ in nil }
    /// Names of spans that it refuses.
    var refused: Set<String> = []
    private let authorization: String
    /// When the requests came that the bulk door took, in seconds.
    private var bulkTimes: [Double] = []

    init(key: String) { authorization = "Bearer \(key)" }

    var records: [PlatformRecord] {
        entries.enumerated().map { index, entry in
            PlatformRecord(identity: "\(index)", name: entry.name, parent: entry.parent.map { "\(entry.trace)/\($0)" })
        }
    }

    // MARK: Doors

    func answer(_ request: Request, at seconds: Double) -> Response {
        guard let path = URL(string: request.url)?.path(percentEncoded: false) else { return refusal(404, "Not found") }
        let isJSON = request["Content-Type"] == "application/json"
        let doors: [KeywordsAI.Door] = [.v2(isJSON ? .json : .protobuf), .v1, .bulk]
        guard let door = doors.first(where: { $0.path == path }) else { return refusal(404, "Not found") }
        guard request.method == "POST" else { return refusal(405, "Method not allowed") }
        guard request["Authorization"] == authorization else { return refusal(401, "Authentication credentials were not provided.") }
        if let status = closed(door) { return refusal(status, "closed") }
        // Whether it reads a compressed body is not published.
        guard request["Content-Encoding"] == nil, reads(request["Content-Type"], at: door) else {
            return refusal(415, "Unsupported media type")
        }
        guard request.body.count <= 20_000_000 else { return refusal(413, "Request entity too large") }
        if door != .bulk { return takeSpans(request.body, isJSON: isJSON) }
        if let wait = wait(at: seconds) { return limited(wait) }
        bulkTimes.append(seconds)
        return takeRows(request)
    }

    private func reads(_ type: String?, at door: KeywordsAI.Door) -> Bool {
        switch door {
        case .v2: type == "application/x-protobuf" || type == "application/json"
        case .v1: type == "application/x-protobuf"
        case .bulk: type == "application/json"
        }
    }

    /// 30 requests a minute of the organisation; nil where there is one left, else what the answer says, in whole seconds.
    private func wait(at seconds: Double) -> Int? {
        bulkTimes.removeAll { $0 <= seconds - 60 }
        guard bulkTimes.count >= 30, let first = bulkTimes.first else { return nil }
        return Int((first + 60 - seconds).rounded(.up))
    }

    private func takeSpans(_ body: [UInt8], isJSON: Bool) -> Response {
        guard let spans = isJSON ? decodeOTLPJSON(body) : decodeOTLP(body) else { return refusal(400, "Invalid OTLP payload") }
        let taken = spans.filter { span in
            span.traceID.count == 32 && span.spanID.count == 16 && [0, 16].contains(span.parentSpanID.count) && !refused.contains(span.name)
                && (span["respan.customer_params.customer_identifier"]?.text?.unicodeScalars.count ?? 0) <= 254
        }
        entries += taken.map(Entry.init)
        let words = taken.count == spans.count ? "" : "spans refused"
        return reply(200, #"{"partialSuccess":{"rejectedSpans":\#(spans.count - taken.count),"errorMessage":"\#(words)"}}"#)
    }

    private func takeRows(_ request: Request) -> Response {
        guard let rows = (request.json as? [String: Any])?["logs"] as? [[String: Any]], 1...500 ~= rows.count else {
            return refusal(400, "logs: a list of 1 to 500 rows")
        }
        var (taken, errors): ([Entry], [(index: Int, error: String)]) = ([], [])
        for (index, row) in rows.enumerated() {
            if let mistake = mistake(in: row) { errors.append((index, mistake)) } else { taken.append(Entry(row: row)) }
        }
        guard !taken.isEmpty else { return refusal(400, "No valid logs") }
        entries += taken
        let list = errors.map { #"{"index":\#($0.index),"error":"\#($0.error)"}"# }.joined(separator: ",")
        return reply(201, #"{"success_count":\#(taken.count),"error_count":\#(errors.count),"errors":[\#(list)]}"#)
    }

    /// What is wrong with a row; nil where it is taken.
    private func mistake(in row: [String: Any]) -> String? {
        guard row["model"] is String else { return "model is required" }
        if let name = row["span_name"] {
            guard let name = name as? String, name.unicodeScalars.count <= 255 else { return "span_name" }
            if refused.contains(name) { return "refused" }
        }
        let isTime = { (value: Any) in (value as? String)?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z/) != nil }
        for name in ["start_time", "timestamp"] where !(row[name].map(isTime) ?? true) { return name }
        for name in ["cost", "latency", "time_to_first_token"] {
            guard let value = row[name] else { continue }
            guard let number = value as? Double, number >= 0 else { return name }
        }
        for name in ["trace_unique_id", "span_workflow_name", "thread_identifier", "custom_identifier", "error_message"] {
            guard row[name] == nil || row[name] is String else { return name }
        }
        guard (row["customer_identifier"] as? String)?.unicodeScalars.count ?? 0 <= 254 else { return "customer_identifier" }
        guard row["usage"] == nil || row["usage"] is [String: Int] else { return "usage" }
        guard row["metadata"] == nil || row["metadata"] is [String: String] else { return "metadata" }
        guard ["success", "error"].contains(row["status"] as? String ?? "success") else { return "status" }
        guard row["status_code"] == nil || row["status_code"] is Int else { return "status_code" }
        // They steer the platform, which no sender of spans may.
        return row["respan_params"] ?? row["keywordsai_params"] == nil ? nil : "params"
    }

    // MARK: Answers

    private func reply(_ status: Int, _ json: String) -> Response {
        Response(status: status, headers: ["content-type": "application/json"], body: Array(json.utf8))
    }

    private func refusal(_ status: Int, _ detail: String) -> Response { reply(status, #"{"detail":"\#(detail)"}"#) }

    /// The wait stands in the body alone.
    private func limited(_ wait: Int) -> Response { reply(429, #"{"detail":"Rate limit exceeded","retry_after":\#(wait)}"#) }
}

// MARK: What becomes of what was sent

extension FakeKeywordsAI.Entry {
    /// A span of OTLP: a fixed list of attributes becomes columns, and those of a call of a model only where `llm.request.type` says that it
    /// is one.
    init(_ span: DecodedSpan) {
        (name, trace, self.span) = (span.name, span.traceID, span.spanID)
        parent = span.parentSpanID.isEmpty ? nil : span.parentSpanID
        type = span["respan.entity.log_type"]?.text ?? span["traceloop.span.kind"]?.text ?? "chat"
        input = sorted(span["traceloop.entity.input"]?.text)
        output = sorted(span["traceloop.entity.output"]?.text)
        if span["llm.request.type"] != nil {
            model = span["gen_ai.response.model"]?.text ?? span["gen_ai.request.model"]?.text
            // Another row is said to own the usage.
            if span["respan.gateway.log_id"] == nil {
                promptTokens = span["gen_ai.usage.prompt_tokens"]?.count
                completionTokens = span["gen_ai.usage.completion_tokens"]?.count
            }
            isEstimated = promptTokens == nil || completionTokens == nil
        }
        if case .double(let usd)? = span["cost"] { cost = usd }
        if span.end >= span.start { seconds = Double(span.end - span.start) / 1e9 }
        customer = span["respan.customer_params.customer_identifier"]?.text
        thread = span["respan.threads.thread_identifier"]?.text
        workflow = span["traceloop.workflow.name"]?.text
        let object = span["respan.metadata"]?.text.flatMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) }
        metadata = shownMetadata(object)
        isError = span.status == 2
        errorMessage = isError ? span["error.message"]?.text : nil
    }

    /// A row of the bulk door. It has no id that another could name as its parent.
    init(row: [String: Any]) {
        name = row["span_name"] as? String ?? ""
        type = row["log_type"] as? String ?? "chat"
        trace = row["trace_unique_id"] as? String ?? ""
        (input, output) = (sorted(row["input"]), sorted(row["output"]))
        if ["chat", "completion", "embedding"].contains(type) {
            model = row["model"] as? String
            let usage = row["usage"] as? [String: Int]
            promptTokens = usage?["prompt_tokens"].map(Int64.init)
            completionTokens = usage?["completion_tokens"].map(Int64.init)
            isEstimated = promptTokens == nil || completionTokens == nil
        }
        (cost, seconds) = (row["cost"] as? Double, row["latency"] as? Double)
        customer = row["customer_identifier"] as? String
        thread = row["thread_identifier"] as? String
        workflow = row["span_workflow_name"] as? String
        customIdentifier = row["custom_identifier"] as? String
        metadata = shownMetadata(row["metadata"])
        isError = row["status"] as? String == "error"
        errorMessage = row["error_message"] as? String
    }
}

/// Keys with `_` before them are hidden.
private func shownMetadata(_ object: Any?) -> [String: String] {
    (object as? [String: String] ?? [:]).filter { !$0.key.hasPrefix("_") }
}

/// JSON, or a text that holds JSON, with the keys of its objects in order.
private func sorted(_ value: Any?) -> String? {
    guard let value else { return nil }
    guard let text = value as? String else {
        let data = try? JSONSerialization.data(withJSONObject: value, options: [.sortedKeys, .fragmentsAllowed])
        return data.map { String(decoding: $0, as: UTF8.self) }
    }
    let object = try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
    guard let object else { return text }
    let data = try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys, .fragmentsAllowed])
    return data.map { String(decoding: $0, as: UTF8.self) }
}

extension AttributeValue {
    fileprivate var count: Int64? { if case .int(let value) = self { value } else { nil } }
}

extension Subject {
    private static let keywordsAIKey = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    static let keywordsAI = [
        Subject(
            yaml: "type: keywordsai, api_key: \(keywordsAIKey)", exceptions: [400, 402, 404, 405, 409, 415],
            answers: [
                ContractAnswer(200, json: #"{"partialSuccess":{"rejectedSpans":0,"errorMessage":""}}"#, .delivered),
                ContractAnswer(200, json: #"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"bad id"}}"#, .partialUnknown),
                ContractAnswer(400, .otherDoor), ContractAnswer(422, .refused), ContractAnswer(402, .pause),
                ContractAnswer(404, .otherDoor),
                ContractAnswer(405, .otherDoor), ContractAnswer(415, .otherDoor), ContractAnswer(409, .retry),
            ],
            platform: { FakeKeywordsAI(key: keywordsAIKey) }, waits: keywordsAIWaits),
        Subject(
            yaml: "type: respan, api_key: \(keywordsAIKey), mode: logs", exceptions: [402, 405, 409, 415],
            answers: [
                ContractAnswer(201, json: #"{"success_count":2,"error_count":0,"errors":[]}"#, .delivered),
                ContractAnswer(
                    201, json: #"{"success_count":1,"error_count":1,"errors":[{"index":1,"error":"x"}]}"#, .perSpan([.delivered, .refused])),
                ContractAnswer(400, .refused), ContractAnswer(402, .pause), ContractAnswer(404, .pause), ContractAnswer(405, .pause),
                ContractAnswer(415, .pause), ContractAnswer(409, .retry),
            ],
            platform: { FakeKeywordsAI(key: keywordsAIKey) }, waits: keywordsAIWaits),
    ]

    private static let keywordsAIWaits = [
        ContractWait(headers: ["retry-after": "120"], wait: .seconds(120)),
        ContractWait(headers: ["x-ratelimit-reset": "1700000120", "date": "Tue, 14 Nov 2023 22:13:20 GMT"], wait: .seconds(120)),
        ContractWait(body: #"{"detail":"Rate limit exceeded","retry_after":120}"#, wait: .seconds(120)),
    ]
}
