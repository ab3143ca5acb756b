import SpanModel

@testable import Delivery

/// A request as the wire saw it.
struct Sent {
    var token: UInt64
    var destination: String
    var spans: [Int64]
    /// Monotonic nanoseconds.
    var at: UInt64
    var request: Request
}

/// What a script lets the platform do with a request.
enum Answer {
    case status(Int, headers: [String: String] = [:], body: String = "", after: Duration = .milliseconds(10))
    case networkError(after: Duration = .milliseconds(10))
    /// No connection comes to be.
    case unreachable
    /// The platform takes what it was sent, and the connection ends before anybody hears of it.
    case lostAnswer(after: Duration = .milliseconds(10))
    /// No answer until the request's own time is over.
    case hang
}

/// The network, played: every request is answered by `script`, in its own time, on the played clock.
final class ScriptedWire: HTTPTransport {
    var script: (Sent) -> Answer = { _ in .status(200) }
    private(set) var sent: [Sent] = []
    /// Whether `sent` is kept: a long run would fill the memory with it.
    var keepsSent = true
    private(set) var sentCount = 0
    /// How often the platform took each span, by destination.
    private(set) var taken: [String: [Int64: Int]] = [:]
    private(set) var mostAtOnce: [String: Int] = [:]
    private var underWay: [(sent: Sent, answerAt: UInt64, answer: Answer)] = []
    /// Told of what a platform took, and whether delivery hears of it.
    var took: (_ destination: String, _ spans: [Int64], _ heard: Bool) -> Void = { _, _, _ in }
    private let time: PlayedTime

    init(_ time: PlayedTime) { self.time = time }

    /// When the next answer comes, monotonic nanoseconds.
    var nextAnswerAt: UInt64? { underWay.map(\.answerAt).min() }
    var inFlight: [Sent] { underWay.map(\.sent) }

    func start(_ request: Request, options: HTTPOptions, timeouts: RequestTimeouts, token: UInt64) {
        let spans = String(decoding: request.body, as: UTF8.self).split(separator: " ").compactMap { Int64($0) }
        let now = time.monotonic
        let one = Sent(token: token, destination: request.url, spans: spans, at: now, request: request)
        sentCount += 1
        if keepsSent { sent.append(one) }
        let answer = script(one)
        let wait: Duration
        switch answer {
        case .status(_, _, _, let after), .networkError(let after), .lostAnswer(let after): wait = min(after, timeouts.total)
        case .unreachable: wait = .milliseconds(10)
        case .hang: wait = timeouts.total
        }
        underWay.append((one, now + wait.nanosecondsClamped, answer))
        mostAtOnce[request.url] = max(mostAtOnce[request.url] ?? 0, underWay.count { $0.sent.destination == request.url })
    }

    func finished() -> [(token: UInt64, result: Result<Response, TransportError>)] {
        let now = time.monotonic
        let ended = underWay.filter { $0.answerAt <= now }
        underWay.removeAll { $0.answerAt <= now }
        return ended.map { sent, _, answer in
            switch answer {
            case .status(let status, let headers, let body, _):
                let response = Response(status: status, headers: headers, body: Array(body.utf8))
                take(sent, response)
                return (sent.token, .success(response))
            case .lostAnswer:
                take(sent, Response(status: 200), heard: false)
                return (sent.token, .failure(TransportError(description: "connection reset")))
            case .networkError: return (sent.token, .failure(TransportError(description: "connection reset")))
            case .unreachable: return (sent.token, .failure(TransportError(description: "connection refused", unreachable: true)))
            case .hang: return (sent.token, .failure(TransportError(description: "timed out", timedOut: true)))
            }
        }
    }

    private func take(_ sent: Sent, _ response: Response, heard: Bool = true) {
        let count: [Int64] =
            switch TestDestination().judge(response, to: sent.request) {
            case .delivered: sent.spans
            case .perSpan(let verdicts) where verdicts.count == sent.spans.count:
                zip(sent.spans, verdicts).filter { $1 == .delivered }.map(\.0)
            case .partialUnknown(let refused, _): Array(sent.spans.dropFirst(max(refused, 0)))
            default: []
            }
        for span in count { taken[sent.destination, default: [:]][span, default: 0] += 1 }
        took(sent.destination, count, heard)
    }

    func wait(_ time: Duration?) {}

    func cancel(token: UInt64) { underWay.removeAll { $0.sent.token == token } }

    func abort() { underWay = [] }
}
