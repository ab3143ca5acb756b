import Delivery
import SpanModel
import Spool
import Testing

@testable import Destinations

/// What becomes of spans on their way to a platform, whatever goes wrong: each destination of the registry over the real log and the real
/// engine, before a fake platform that is as strict as its contract.
@Suite("Every destination over HTTP")
struct ConformanceJourneyTests {
    private static let count = 20
    private static let names = (0..<count).map { "span \($0)" }.sorted()

    private func journey(_ subject: Subject) throws -> Journey { try Journey(subject.yaml, to: subject.platform()) }
    private func send(_ journey: Journey, for duration: Duration = .seconds(7200)) throws {
        try journey.send(TestSpan.many(Self.count), for: duration)
    }
    private static let all: [Outcome: Int64] = [.delivered: Int64(count)]

    @Test("a user sees each span once", arguments: Subject.http)
    func plain(subject: Subject) throws {
        let journey = try journey(subject)
        try send(journey)
        #expect(try journey.outcomes == Self.all)
        #expect(journey.names == Self.names)
    }

    @Test(
        "what fails for a time arrives when it is over: 5xx, HTML, no connection, an answer that never ends",
        arguments: Subject.http, [Failure.serverError, .html, .tooMany, .refusedConnection, .noEnd])
    func passing(subject: Subject, failure: Failure) throws {
        let journey = try journey(subject)
        var left = 3
        journey.fault = { _, _ in
            left -= 1
            return left >= 0 ? failure.fault : nil
        }
        try send(journey)
        #expect(try journey.outcomes == Self.all)
        #expect(journey.names == Self.names)
        #expect(journey.pauses.isEmpty)
    }

    enum Failure: Sendable {
        case serverError, html, tooMany, refusedConnection, noEnd

        var fault: Journey.Fault {
            switch self {
            case .serverError: .answer(Response(status: 500))
            case .html:
                .answer(Response(status: 502, headers: ["content-type": "text/html"], body: Array("<html>Bad Gateway</html>".utf8)))
            case .tooMany: .answer(Response(status: 429))
            case .refusedConnection: .refusedConnection
            case .noEnd: .noEnd
            }
        }
    }

    @Test("an answer that is lost costs no span, and nothing that the platform's identity does not hide", arguments: Subject.http)
    func lostAnswer(subject: Subject) throws {
        let journey = try journey(subject)
        var lost = false
        journey.fault = { _, _ in
            defer { lost = true }
            return lost ? nil : .lostAnswer
        }
        try send(journey)
        #expect(try journey.outcomes == Self.all)
        let isIdempotent = makeDestination(try settings(subject.yaml)).declaration.idempotent
        if isIdempotent, !(journey.platform is AnyPlatform) {
            #expect(journey.names == Self.names)
        } else {
            #expect(Set(journey.names) == Set(Self.names))
        }
    }

    @Test(
        "a wrong key or path pauses, costs no span, and all goes on when it is put right", arguments: Subject.http, [401, 403])
    func pauses(subject: Subject, status: Int) throws {
        let journey = try journey(subject)
        var isRight = false
        journey.fault = { _, _ in isRight ? nil : .answer(Response(status: status)) }
        try send(journey, for: .seconds(600))
        #expect(try journey.outcomes.isEmpty)
        #expect(!journey.pauses.isEmpty)
        #expect(journey.requests.count <= 5, "probes after 1, 5, 15, 60 min")
        isRight = true
        try journey.run(.seconds(7200))
        #expect(try journey.outcomes == Self.all)
        #expect(journey.names == Self.names)
    }

    @Test("a 413 halves until it fits; what is too large alone is a dead letter", arguments: Subject.http)
    func halves(subject: Subject) throws {
        let journey = try journey(subject)
        journey.fault = { _, names in names.count > 3 || names.contains("span 7") ? .answer(Response(status: 413)) : nil }
        try send(journey)
        #expect(try journey.outcomes == [.delivered: Int64(Self.count - 1), .dead: 1])
        #expect(try journey.deadReasons == ["too_large"])
        #expect(journey.names == Self.names.filter { $0 != "span 7" })
    }

    @Test("one span that the platform refuses is found among the others, which go through", arguments: Subject.http)
    func bisects(subject: Subject) throws {
        guard let refusal = subject.refusal else { return }
        let journey = try journey(subject)
        journey.fault = { _, names in names.contains("span 11") ? .answer(Response(status: refusal)) : nil }
        try send(journey)
        #expect(try journey.outcomes == [.delivered: Int64(Self.count - 1), .dead: 1])
        #expect(try journey.deadReasons == ["http_\(refusal)"])
        #expect(journey.names == Self.names.filter { $0 != "span 11" })
    }

    private static let everyWait = Subject.http.flatMap { subject in subject.waits.map { (subject, $0) } }

    @Test("a 429 is obeyed in each way in which the contract tells the wait", arguments: everyWait)
    func waits(subject: Subject, wait: ContractWait) throws {
        let journey = try journey(subject)
        var first = true
        journey.fault = { _, _ in
            defer { first = false }
            let headers = ["content-type": "application/json"].merging(wait.headers) { $1 }
            return first ? .answer(Response(status: 429, headers: headers, body: Array(wait.body.utf8))) : nil
        }
        try send(journey)
        #expect(try journey.outcomes == Self.all)
        let gap = journey.times[1] - journey.times[0]
        #expect(gap >= Double(wait.wait.components.seconds))
    }
}
