import Delivery
import Testing

@testable import Destinations

/// A destination as the conformance suite takes it. A new type has at least one here; what its contract has beyond `byStatus` stands in
/// `exceptions` and, row for row, in `answers`.
struct Subject: Sendable, CustomTestStringConvertible {
    var yaml: String
    /// Statuses that the type's contract judges otherwise than `byStatus`.
    var exceptions: Set<Int> = []
    /// The contract's own table: an answer, and what becomes of the spans.
    var answers: [ContractAnswer] = []
    /// The platform, as strict as its contract; any receiver where there is no contract.
    var platform: @Sendable () -> any FakePlatform = { AnyPlatform() }
    /// Whether it sends over HTTP, so that an answer can be played.
    var isHTTP = true
    /// What tells the destination's wish to wait, and how long: `Retry-After` at least.
    var waits: [ContractWait] = [ContractWait(headers: ["retry-after": "120"], wait: .seconds(120))]
    /// The answer to one bad span among good ones; nil where the contract knows none.
    var refusal: Int? = 400

    var testDescription: String { yaml }

    static let all = local + webhooks + otlp + langfuse + keywordsAI + langSmith
    static let http = all.filter(\.isHTTP)

    private static let local = [
        Subject(yaml: "type: console", isHTTP: false), Subject(yaml: "type: console, format: json", isHTTP: false),
        Subject(yaml: "type: file, path: /tmp/spans.ndjson", isHTTP: false),
    ]
    private static let partial = #"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"bad id"}}"#
    private static let otlpAnswers = [
        ContractAnswer(200, .delivered), ContractAnswer(204, .delivered), ContractAnswer(200, json: "{}", .delivered),
        ContractAnswer(200, json: #"{"partialSuccess":{}}"#, .delivered),
        ContractAnswer(200, json: #"{"partialSuccess":{"rejectedSpans":0,"errorMessage":"old names"}}"#, .delivered),
        ContractAnswer(200, json: partial, spans: 1, .perSpan([.refused])),
    ]
    private static let otlp = [
        Subject(
            yaml: "type: otlp, endpoint: 'http://127.0.0.1:4318'",
            answers: otlpAnswers + [ContractAnswer(200, json: partial, .partialUnknown)]),
        Subject(
            yaml: "type: otlp, endpoint: 'http://127.0.0.1:4318', encoding: json, compression: gzip, idempotent: true",
            answers: otlpAnswers + [ContractAnswer(200, json: partial, .refused)]),
    ]
    private static let webhooks = ["batch", "single", "ndjson", "otlp", "thin"].map { format in
        Subject(
            yaml: "type: webhook, url: 'https://example.com/', secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw], format: \(format)",
            exceptions: [410], answers: [ContractAnswer(410, .disable), ContractAnswer(422, .refused), ContractAnswer(409, .refused)])
    }
}

/// One row of a contract's table of statuses.
struct ContractAnswer: Sendable, CustomTestStringConvertible {
    var response: Response
    var spans = 2
    var verdict: Kind

    /// A verdict without its words.
    enum Kind: Sendable, Equatable {
        case delivered, perSpan([SpanFate]), partialUnknown, retry, refused, tooLarge, pause, disable, otherDoor
    }
    enum SpanFate: Sendable, Equatable { case delivered, refused, retry }

    init(_ status: Int, json: String? = nil, headers: [String: String] = [:], spans: Int = 2, _ verdict: Kind) {
        response = Response(
            status: status, headers: headers.merging(json == nil ? [:] : ["content-type": "application/json"]) { $1 },
            body: Array((json ?? "").utf8))
        self.spans = spans
        self.verdict = verdict
    }

    var testDescription: String { "\(response.status) \(String(decoding: response.body, as: UTF8.self)) for \(spans): \(verdict)" }
}

extension Verdict {
    var kind: ContractAnswer.Kind {
        switch self {
        case .delivered: .delivered
        case .perSpan(let verdicts):
            .perSpan(
                verdicts.map { verdict in
                    switch verdict {
                    case .delivered: .delivered
                    case .refused: .refused
                    case .retry: .retry
                    }
                })
        case .partialUnknown: .partialUnknown
        case .retry: .retry
        case .refused: .refused
        case .tooLarge: .tooLarge
        case .pause: .pause
        case .disable: .disable
        case .otherDoor: .otherDoor
        }
    }
}

/// One way in which a 429 tells how long to wait.
struct ContractWait: Sendable {
    var headers: [String: String] = [:]
    var body = ""
    var wait: Duration
}
