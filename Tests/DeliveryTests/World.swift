import Foundation
import SpanModel
import Synchronization
import Testing
import Threading

@testable import Delivery
@testable import Pipeline
@testable import Spool

/// A clock that moves when it is told to.
final class PlayedTime: Sendable {
    private struct Hands: Sendable {
        var wall: UInt64 = 1_700_000_000_000_000_000
        var monotonic: UInt64 = 1_000_000_000_000
        var boot: UInt64 = 2_000_000_000_000
    }
    private let hands = Mutex(Hands())

    var clock: Clock {
        Clock(wall: { self.wall }, monotonic: { self.monotonic }, boot: { self.hands.withLock { $0.boot } })
    }
    var wall: UInt64 { hands.withLock { $0.wall } }
    var monotonic: UInt64 { hands.withLock { $0.monotonic } }

    func advance(_ duration: Duration) {
        let by = duration.nanosecondsClamped
        hands.withLock { ($0.wall, $0.monotonic, $0.boot) = ($0.wall + by, $0.monotonic + by, $0.boot + by) }
    }

    func advance(to monotonic: UInt64) {
        let now = self.monotonic
        if monotonic > now { advance(.nanoseconds(Int64(monotonic - now))) }
    }

    /// Somebody sets the wall clock.
    func jump(_ duration: Duration) {
        let seconds = Int64(duration.components.seconds)
        hands.withLock { $0.wall = UInt64(Int64($0.wall) + seconds * 1_000_000_000) }
    }
}

/// The real log on a real file, the real loop; only clock, wire and chance are played.
final class World {
    let time = PlayedTime()
    let wire: ScriptedWire
    private(set) var log: SpanLog
    private(set) var loop: Loop
    private(set) var reader: LogReader
    private(set) var specs: [DestinationSpec]
    private(set) var rules: Rules
    private let heard = Told()
    private var options: SpoolOptions
    private let directory: URL
    private var appended: Int64 = 0
    private var spun = false
    private var random: SeededRandom
    /// Printed with every failure.
    private let seed: UInt64

    /// What delivery told, and which sinks have ended.
    private final class Told: Sendable {
        let events = Mutex<[DeliveryEvent]>([])
        let sinks = Mutex<[(UInt64, SinkError?)]>([])
        let programs = Mutex<[(program: Rules.RouteProgram, news: ExecNews)]>([])
    }

    /// Without rules everything goes to every destination.
    init(_ specs: [DestinationSpec], rules: Rules? = nil, seed: UInt64 = 1, options change: (inout SpoolOptions) -> Void = { _ in }) throws
    {
        self.specs = specs
        self.rules = rules ?? .everything(to: specs)
        self.seed = seed
        random = SeededRandom(seed: seed)
        wire = ScriptedWire(time)
        directory = FileManager.default.temporaryDirectory.appending(path: "tracefwd-delivery-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        var options = SpoolOptions(path: directory.appending(path: "spool.db").path)
        options.durability = .none
        options.reserveBytes = 4096
        change(&options)
        self.options = options
        log = try SpanLog(options, clock: time.clock)
        reader = try log.reader()
        loop = try Self.loop(log, wire, time, heard, seed)
        try loop.apply(specs, rules: self.rules)
    }

    deinit {
        loop.abort()
        log.close()
        try? FileManager.default.removeItem(at: directory)
    }

    private static func loop(_ log: SpanLog, _ wire: ScriptedWire, _ time: PlayedTime, _ heard: Told, _ seed: UInt64) throws -> Loop {
        try Loop(
            log: log, http: wire, clock: time.clock, random: SeededRandom(seed: seed), budget: MemoryBudget(bytes: 64 << 20),
            sinkDone: { token, error in heard.sinks.withLock { $0.append((token, error)) } },
            programNews: { program, news in heard.programs.withLock { $0.append((program, news)) } },
            tell: { event in heard.events.withLock { $0.append(event) } })
    }

    var events: [DeliveryEvent] { heard.events.withLock { $0 } }
    func lane(_ name: String = "a") throws -> Lane { try #require(loop.lane(name)) }

    /// Spans with the next numbers, each its id in the log.
    func append(_ count: Int, bytes: Int = 100) {
        var batch = SpanBatch()
        for _ in 0..<count {
            appended += 1
            batch.append(number: appended, bytes: bytes, receivedAt: time.wall)
        }
        guard case .taken = log.append(&batch, wantsAck: true) else {
            Issue.record("the spool took nothing (seed \(seed))")
            return
        }
        #expect(log.flush())
    }

    /// As `append`, spans of traces.
    func append(_ spans: [TracedSpan]) {
        var batch = SpanBatch()
        for span in spans {
            appended += 1
            batch.append(number: appended, span, receivedAt: time.wall)
        }
        guard case .taken = log.append(&batch, wantsAck: true) else {
            Issue.record("the spool took nothing (seed \(seed))")
            return
        }
        #expect(log.flush())
    }

    // MARK: Time

    /// One turn of the loop, and its promise: where it says "now" there is something to do now.
    @discardableResult
    func step() -> UInt64? {
        for (token, error) in heard.sinks.withLock({ ended in
            defer { ended = [] }
            return ended
        }) { loop.sinkEnded(token, error) }
        let news = heard.programs.withLock { programs in
            defer { programs = [] }
            return programs
        }
        for one in news { loop.heard(one.news, from: one.program) }
        let deadline = loop.step()
        // The writer's clock does not run while this one does: what waits for a commit is not to wait for long.
        if loop.lanes.contains(where: \.ahead.isSaving) { _ = log.flush() }
        return deadline
    }

    /// Lets the world go on for a time: the loop turns whenever it asked to, and whenever an answer comes.
    func run(_ duration: Duration = .seconds(2), after: () -> Void = {}) {
        let end = time.monotonic + duration.nanosecondsClamped
        var idle = 0
        while true {
            let before = progress
            let deadline = step()
            after()
            let now = time.monotonic
            idle = before == progress ? idle + 1 : 0
            let next = min(deadline ?? .max, wire.nextAnswerAt ?? .max)
            if next <= now {
                // Once more is allowed: the first turn may have found work for the second.
                if idle > 1 {
                    if !spun {
                        Issue.record(
                            "the loop spins: it wants to turn at once and has nothing to do (seed \(seed)): \(loop.lanes.map(\.debugText))")
                    }
                    spun = true
                    time.advance(.milliseconds(100))
                }
                if now >= end { return }
                continue
            }
            if next > end || now >= end {
                time.advance(to: end)
                step()
                after()
                return
            }
            time.advance(to: next)
        }
    }

    /// As `run`, and waits (by the real clock) while real programs have spans to answer.
    func runWithPrograms(_ duration: Duration = .seconds(2)) async throws {
        run(duration)
        for _ in 0..<2000 where loop.lanes.contains(where: { $0.inFlight.values.contains { $0.preparation != nil } }) {
            try await Task.sleep(for: .milliseconds(5))
            run(duration)
        }
    }

    /// Anything that moves when the loop does something.
    private var progress: [Int] {
        [wire.sent.count, wire.inFlight.count, heard.events.withLock { $0.count }]
            + loop.lanes.map { Int($0.nextID) + Int($0.ahead.read) + Int($0.cursor.position) + $0.waiting.count + $0.cursor.settled.count }
    }

    // MARK: What a person does

    func reload(_ specs: [DestinationSpec], rules: Rules? = nil) throws {
        self.specs = specs
        self.rules = rules ?? .everything(to: specs)
        try loop.apply(specs, rules: self.rules)
    }

    /// The daemon ends (what is in flight has no answer) and starts again over the same spool.
    func restart(_ specs: [DestinationSpec]? = nil, damage: [String] = []) throws {
        loop.abort()
        log.close()
        if !damage.isEmpty { try self.damage(damage) }
        log = try SpanLog(options, clock: time.clock)
        reader = try log.reader()
        loop = try Self.loop(log, wire, time, heard, random.next())
        if let specs { (self.specs, rules) = (specs, .everything(to: specs)) }
        try loop.apply(self.specs, rules: rules)
    }

    /// Somebody, or a disk, changes the file behind the daemon's back.
    func damage(_ statements: [String]) throws {
        let database = try Database(path: options.path, readOnly: false)
        for statement in statements { try database.execute(statement) }
    }

    /// The daemon is killed: what it had not committed is gone. The file goes on as it is at this moment.
    func crash() throws {
        loop.abort()
        let copy = directory.appending(path: "spool-\(UUID().uuidString).db").path
        for end in ["", "-wal"] { try? FileManager.default.copyItem(atPath: options.path + end, toPath: copy + end) }
        log.close()
        options.path = copy
        log = try SpanLog(options, clock: time.clock)
        reader = try log.reader()
        loop = try Self.loop(log, wire, time, heard, random.next())
        try loop.apply(specs, rules: rules)
    }

    // MARK: Books

    func consumer(_ name: String = "a") throws -> Consumer {
        _ = log.flush()
        return try #require(log.status.consumers.values.first { $0.name == name })
    }

    /// Spans by outcome, all reasons together.
    func outcomes(_ name: String = "a") throws -> [Outcome: Int64] {
        try consumer(name).ledger.reduce(into: [:]) { sum, line in sum[line.key.outcome, default: 0] += line.value.spans }
    }

    func letters(_ name: String = "a") throws -> [DeadLetter] {
        let id = try consumer(name).id
        return try reader.deadLetters(consumer: id, limit: 10_000)
    }

    /// The identities of DESIGN.md section 4, and that memory and disk say the same.
    func checkBooks(_ place: SourceLocation = #_sourceLocation) throws {
        #expect(log.flush(), sourceLocation: place)
        let status = log.status
        #expect(status.accepted == appended, "accepted (seed \(seed))", sourceLocation: place)
        let letters = try reader.deadLetterCounts()
        for consumer in status.consumers.values {
            let name = "\(consumer.name) (seed \(seed))"
            #expect(consumer.balances, "books of \(name): \(consumer)", sourceLocation: place)
            #expect(consumer.cursor.settled.count <= 64, "ranges of \(name): \(consumer.cursor.settled.count)", sourceLocation: place)
            if let lane = loop.lane(consumer: consumer.id) {
                #expect(lane.cursor == consumer.cursor, "cursor of \(name)", sourceLocation: place)
            }
            var sum: [Outcome: Int64] = [:]
            for (key, tally) in consumer.ledger { sum[key.outcome, default: 0] += tally.spans }
            let here = letters[consumer.id, default: [:]].values.reduce(0, +)
            let ever = sum[.dead] ?? 0
            let gone = (sum[.replayed] ?? 0) + (sum[.purged] ?? 0) + (sum[.agedOut] ?? 0)
            #expect(ever == here + gone, "dead letters of \(name): ever \(ever), here \(here), gone \(gone)", sourceLocation: place)
        }
    }

    /// What every test ends with: nothing is left, and the books say so.
    func checkSettled(_ names: [String] = ["a"], _ place: SourceLocation = #_sourceLocation) throws {
        try checkBooks(place)
        for name in names {
            let consumer = try consumer(name)
            let lane = loop.lane(name)
            #expect(
                consumer.cursor == Cursor(position: appended),
                "not through (seed \(seed)): \(lane?.debugText ?? name)", sourceLocation: place)
        }
    }
}

/// A destination of the tests with short waits.
func spec(
    _ name: String = "a", _ destination: TestDestination = TestDestination(),
    _ change: (inout DeliverySettings) -> Void = { _ in }
) -> DestinationSpec {
    var settings = DeliverySettings(limits: destination.declaration.limits, backlog: BacklogLimit(bytes: 1 << 30, expires: true))
    change(&settings)
    return DestinationSpec(name: name, type: TestDestination.type, destination: destination, settings: settings)
}

extension Rules {
    /// Everything goes to each of them.
    static func everything(to specs: [DestinationSpec]) -> Rules { Rules(everythingTo: specs.map(\.name)) }

    /// Everything goes to some of these destinations, by a route of this name.
    static func one(_ route: String, to some: [String], of destinations: [String]) -> Rules {
        let route = Route(
            name: route, selection: .always, to: Set(some), drops: false, isFinal: false, sampler: nil, transformation: nil)
        return Rules(routes: [route], destinations: destinations, prices: nil, host: RuleHost())
    }
}

extension Lane {
    /// What a failure prints.
    fileprivate var debugText: String {
        """
        \(name): \(cursor), next \(nextID), open \(String(describing: open)), hold \(String(describing: hold)), \(breaker), not before \(notBefore), \
        letter at \(String(describing: letterAt)), withheld \(withheld.map(\.ids)), waiting \(waiting), in flight \(inFlight.values.map(\.batch)), \
        limit \(limit), removed \(removed), seek \(String(describing: seekTarget))
        """
    }
}
