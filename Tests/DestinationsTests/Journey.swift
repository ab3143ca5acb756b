import Foundation
import Pipeline
import SpanModel
import Synchronization
import Testing
import Threading

@testable import Delivery
@testable import Destinations
@testable import Spool

/// Spans on their way to a platform: the real log on a real file and the real engine; clock, wire and platform are played.
final class Journey {
    /// What happens to a request on its way.
    enum Fault {
        case answer(Response)
        /// The platform takes it, and nobody hears of it.
        case lostAnswer
        case refusedConnection
        /// Nothing comes until the request's time is over: an answer that never ends looks just so.
        case noEnd
    }

    let platform: any FakePlatform
    /// Asked for each request, with the names of the spans in it; nil lets the platform answer.
    var fault: (Request, [String]) -> Fault? = { _, _ in nil }
    private(set) var requests: [Request] = []
    /// Seconds on the played clock at which they were sent.
    private(set) var times: [Double] = []

    private let time = PlayedClock()
    private let wire = Wire()
    private let log: SpanLog
    private let loop: Loop
    private let directory: URL
    private let heard = Heard()
    private final class Heard: Sendable { let events = Mutex<[DeliveryEvent]>([]) }

    init(_ yaml: String, to platform: any FakePlatform, workers: Int = 1) throws {
        self.platform = platform
        directory = FileManager.default.temporaryDirectory.appending(path: "tracefwd-journey-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        var options = SpoolOptions(path: directory.appending(path: "spool.db").path)
        (options.durability, options.reserveBytes) = (.none, 4096)
        log = try SpanLog(options, clock: time.clock)
        loop = try Loop(
            log: log, http: wire, clock: time.clock, random: SystemRandomNumberGenerator(), budget: MemoryBudget(bytes: 64 << 20),
            sinkDone: { _, _ in }, tell: { [heard] event in heard.events.withLock { $0.append(event) } })
        let described = try settings(yaml)
        let destination = makeDestination(described)
        var how = DeliverySettings(limits: destination.declaration.limits, backlog: BacklogLimit(bytes: 1 << 30, expires: true))
        how.workers = workers
        wire.time = time
        try loop.apply(
            [DestinationSpec(name: "test", type: described.type, destination: destination, settings: how)],
            rules: Rules(everythingTo: ["test"]))
        wire.take = { [unowned self] in take($0) }
    }

    deinit {
        loop.abort()
        log.close()
        try? FileManager.default.removeItem(at: directory)
    }

    private func take(_ request: Request) -> Result<Response, TransportError>? {
        requests.append(request)
        let seconds = Double(time.monotonic - PlayedClock.start) / 1e9
        times.append(seconds)
        switch fault(request, testSpanNames(in: request)) {
        case nil: return .success(platform.answer(request, at: seconds))
        case .answer(let response): return .success(response)
        case .lostAnswer:
            _ = platform.answer(request, at: seconds)
            return .failure(TransportError(description: "connection reset"))
        case .refusedConnection: return .failure(TransportError(description: "connection refused", unreachable: true))
        case .noEnd: return nil
        }
    }

    /// Accepts spans, and lets the world go on until all is settled or so much time is over.
    func send(_ spans: [TestSpan], for duration: Duration = .seconds(3600)) throws {
        var batch = spanBatch(spans)
        for index in batch.entries.indices { batch.entries[index].receivedAt = time.wall }
        guard case .taken = log.append(&batch, wantsAck: true) else {
            Issue.record("the spool took nothing")
            return
        }
        try run(duration)
    }

    /// Lets the world go on until all is settled or so much time is over.
    func run(_ duration: Duration) throws { try run(duration, untilSettled: true) }

    /// Lets so much time go by, whether there is something to do or not.
    func wait(_ duration: Duration) throws { try run(duration, untilSettled: false) }

    private func run(_ duration: Duration, untilSettled: Bool) throws {
        #expect(log.flush())
        let end = time.monotonic + duration.nanosecondsClamped
        for _ in 0..<100_000 {
            let deadline = loop.step()
            guard time.monotonic < end else { return }
            if untilSettled, try settled == accepted { return }
            let next = min(deadline ?? .max, wire.nextAnswerAt ?? .max)
            time.advance(to: min(end, max(next, time.monotonic + 1)))
        }
        Issue.record("the engine found no rest")
    }

    // MARK: What came of it

    private var accepted: Int64 { log.status.accepted }
    private var settled: Int64 { get throws { try outcomes.values.reduce(0, +) } }

    /// Spans by outcome.
    var outcomes: [Outcome: Int64] {
        get throws {
            _ = log.flush()
            let consumer = try #require(log.status.consumers.values.first)
            return consumer.ledger.reduce(into: [:]) { $0[$1.key.outcome, default: 0] += $1.value.spans }
        }
    }

    /// Reason of each dead letter.
    var deadReasons: [String] {
        get throws {
            let consumer = try #require(log.status.consumers.values.first)
            return try log.reader().deadLetters(consumer: consumer.id, limit: 1000).map(\.reason)
        }
    }

    /// Why the platform has paused the destination, in words.
    var pauses: [String] {
        heard.events.withLock { $0.compactMap { if case .paused(_, _, _, let detail, _) = $0 { detail } else { nil } } }
    }

    /// Names that a user sees, each as often as it is there.
    var names: [String] { platform.records.map(\.name).sorted() }
}

/// A network on which each request takes 10 ms, or all of its time.
private final class Wire: HTTPTransport {
    var take: (Request) -> Result<Response, TransportError>? = { _ in nil }
    var time = PlayedClock()
    private var underWay: [(token: UInt64, at: UInt64, result: Result<Response, TransportError>)] = []

    var nextAnswerAt: UInt64? { underWay.map(\.at).min() }

    func start(_ request: Request, options: HTTPOptions, timeouts: RequestTimeouts, token: UInt64) {
        let result = take(request)
        let wait = result == nil ? timeouts.total.nanosecondsClamped : 10_000_000
        underWay.append((token, time.monotonic + wait, result ?? .failure(TransportError(description: "timed out", timedOut: true))))
    }

    func finished() -> [(token: UInt64, result: Result<Response, TransportError>)] {
        let ended = underWay.filter { $0.at <= time.monotonic }
        underWay.removeAll { $0.at <= time.monotonic }
        return ended.map { ($0.token, $0.result) }
    }

    func wait(_ time: Duration?) {}
    func cancel(token: UInt64) { underWay.removeAll { $0.token == token } }
    func abort() { underWay = [] }
}

/// A clock that moves when it is told to.
private final class PlayedClock: Sendable {
    static let start: UInt64 = 1_000_000_000_000
    private let passed = Mutex<UInt64>(0)

    var monotonic: UInt64 { Self.start + passed.withLock { $0 } }
    var wall: UInt64 { 1_700_000_000_000_000_000 + passed.withLock { $0 } }
    var clock: Clock { Clock(wall: { self.wall }, monotonic: { self.monotonic }, boot: { self.monotonic }) }

    func advance(to monotonic: UInt64) { passed.withLock { $0 = max($0, monotonic - Self.start) } }
}
