import CEL
import SpanModel
import Spool
import Testing

@testable import Delivery
@testable import Pipeline

private let second: UInt64 = 1_000_000_000

/// Tail sampling with the log as the buffer: the real log and loop, a played clock.
@Suite("tail sampling")
struct TailSamplingTests {
    /// One route to `a`, which decides on whole traces.
    static func rules(
        keep: [String] = ["errors > 0"], rate: Double = 0, wait: UInt64 = 30 * second, grace: UInt64 = 2 * second,
        remember: UInt64 = 3600 * second, tracesMax: Int = 1000
    ) throws -> Rules {
        let environment = Environment.ofTraces(RuleHost())
        let tail = TailSampler(
            keep: try keep.map { try environment.compile($0, returning: .bool) }, rate: rate,
            limits: TraceLimits(wait: wait, grace: grace, remember: remember, tracesMax: tracesMax), environment: environment)
        let route = Route(
            name: "traces", selection: .always, to: ["a"], drops: false, isFinal: false,
            sampler: Sampler(rate: .number(1), keep: [], perSecondMax: nil, hashesTraceID: false, tail: tail), transformation: nil)
        return Rules(routes: [route], destinations: ["a"], prices: nil, host: RuleHost())
    }

    private func world(_ rules: Rules, seed: UInt64 = 1, options: (inout SpoolOptions) -> Void = { _ in }) throws -> World {
        try World([spec { $0.linger = .milliseconds(10) }], rules: rules, seed: seed, options: options)
    }

    private func taken(_ world: World) -> Set<Int64> { Set(world.wire.taken["a", default: [:]].keys) }

    private func ledger(_ world: World) throws -> [LedgerKey: Int64] { try world.consumer().ledger.mapValues(\.spans) }

    @Test("a trace is decided `grace` after its root was seen: with an error all of it goes on, without none")
    func grace() throws {
        let world = try world(Self.rules())
        world.append([.init(trace: 1), .init(trace: 2), .init(trace: 1, isError: true), .init(trace: 2, isRoot: true)])
        world.append([.init(trace: 1, isRoot: true)])
        world.run(.milliseconds(1900))
        #expect(world.wire.sent.isEmpty, "nothing goes before it is decided")
        world.run(.seconds(1))
        #expect(taken(world) == [1, 3, 5])
        try world.checkSettled()
        #expect(
            try ledger(world) == [
                LedgerKey(.delivered, route: "traces"): 3, LedgerKey(.sampled, reason: "tail", route: "traces"): 2,
            ])
    }

    @Test("a trace without a root is decided `wait` after its first span")
    func wait() throws {
        let world = try world(Self.rules())
        world.append([.init(trace: 1, isError: true)])
        world.run(.seconds(20))
        world.append([.init(trace: 1)])
        world.run(.seconds(9))
        #expect(world.wire.sent.isEmpty)
        world.run(.seconds(2))
        #expect(taken(world) == [1, 2])
        try world.checkSettled()
    }

    @Test("a late span of a kept trace is kept; of one that was left out it is judged by itself, reason late")
    func late() throws {
        let world = try world(Self.rules())
        world.append([.init(trace: 1, isRoot: true, isError: true), .init(trace: 2, isRoot: true)])
        world.run(.seconds(3))
        world.append([.init(trace: 1), .init(trace: 2), .init(trace: 2, isError: true)])
        world.run(.seconds(1))
        #expect(taken(world) == [1, 3, 5])
        #expect(try ledger(world)[LedgerKey(.sampled, reason: "late", route: "traces")] == 1)
        try world.checkSettled()
    }

    @Test("of the traces that no condition keeps the rate keeps the same share as head sampling would, and says so")
    func rate() throws {
        let world = try world(Self.rules(rate: 0.25))
        let numbers: [UInt64] = [0, 1 << 54, 1 << 55, 3 << 54, (3 << 54) - 1, (1 << 56) - 1]
        world.append(numbers.map { TracedSpan(trace: $0 | 1 << 60, isRoot: true) })
        world.run(.seconds(3))
        #expect(taken(world) == [4, 6])
        try world.checkSettled()
    }

    @Test("past `max_traces` the oldest open trace is decided early, and counted")
    func tracesMax() throws {
        let world = try world(Self.rules(tracesMax: 2))
        world.append([.init(trace: 1, isError: true), .init(trace: 2), .init(trace: 3), .init(trace: 1)])
        world.run(.seconds(1))
        #expect(taken(world) == [1], "its second span goes when those before it are decided")
        #expect(world.loop.status()[0].tracesDecidedEarly == 1)
        world.run(.seconds(31))
        #expect(taken(world) == [1, 4])
        try world.checkSettled()
    }

    @Test("no span goes before the decision over its trace is on disk")
    func committedFirst() throws {
        let world = try world(Self.rules())
        var unknown: Set<Int64> = []
        world.wire.script = { [unowned world] sent in
            let known = (try? world.reader.traceDecisions(consumer: 1, limit: 100)) ?? []
            for span in sent.spans where !known.contains(where: { $0.trace.bits & 0xff == UInt128(span) }) { unknown.insert(span) }
            return .status(200)
        }
        world.append((1...20).map { TracedSpan(trace: $0, isRoot: true, isError: true) })
        world.run(.seconds(4))
        #expect(world.wire.sent.flatMap(\.spans).count == 20)
        #expect(unknown.isEmpty)
    }

    @Test("what was kept goes on to be kept after a kill, and what was left out stays out, though its spans come later")
    func crash() throws {
        let world = try world(Self.rules())
        world.append([.init(trace: 1, isRoot: true, isError: true), .init(trace: 2, isRoot: true)])
        world.run(.seconds(3))
        try world.checkSettled()
        try world.crash()
        world.append([.init(trace: 1), .init(trace: 2)])
        world.run(.seconds(60))
        #expect(taken(world) == [1, 3])
        try world.checkSettled()
    }

    @Test("decisions are forgotten after `remember`, in memory and on disk")
    func remember() throws {
        let world = try world(Self.rules(remember: 60 * second))
        world.append([.init(trace: 1, isRoot: true, isError: true)])
        world.run(.seconds(100))
        world.append([.init(trace: 2, isRoot: true)])
        world.run(.seconds(3))
        _ = world.log.flush()
        #expect(try world.reader.traceDecisions(consumer: 1, limit: 10).map(\.trace.bits) == [TracedSpan(trace: 2).id])
        #expect(try world.lane().ahead.tails[0].assembler.decisionCount == 1)
    }

    @Test("with a reload that begins to decide on whole traces what waits is decided anew")
    func reload() throws {
        let world = try world(.everything(to: [spec()]))
        world.wire.script = { _ in .status(503) }
        world.append([.init(trace: 1), .init(trace: 2), .init(trace: 1, isError: true)])
        world.run(.seconds(2))
        try world.reload(world.specs, rules: Self.rules())
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(300))
        #expect(taken(world) == [1, 3])
        try world.checkSettled()
    }

    @Test("a set-back wall clock holds no trace up")
    func clock() throws {
        let world = try world(Self.rules())
        world.append([.init(trace: 1, isError: true)])
        world.run(.seconds(5))
        world.time.jump(.seconds(-86_400))
        world.append([.init(trace: 2, isError: true)])
        world.run(.seconds(60))
        #expect(taken(world) == [1, 2])
        world.append([.init(trace: 3), .init(trace: 3, isRoot: true)])
        world.run(.milliseconds(500))
        world.append([.init(trace: 3, isError: true)])
        world.run(.seconds(10))
        #expect(taken(world) == [1, 2, 3, 4, 5])
        try world.checkSettled()
    }

    // MARK: Whatever happens

    /// What the contract says of a log, worked out the plain way.
    private struct Model {
        let wait: UInt64
        let grace: UInt64
        let tracesMax: Int
        let threshold: UInt64
        private var open: [(trace: UInt64, due: UInt64, hasError: Bool)] = []
        private var kept: [UInt64: Bool] = [:]

        init(wait: UInt64, grace: UInt64, tracesMax: Int, threshold: UInt64) {
            (self.wait, self.grace, self.tracesMax, self.threshold) = (wait, grace, tracesMax, threshold)
        }

        private mutating func decide(_ place: Int) {
            let one = open.remove(at: place)
            kept[one.trace] = one.hasError || one.trace & (1 << 56 - 1) >= threshold
        }

        /// The numbers of the spans that go on.
        mutating func deliveries(_ spans: [(span: TracedSpan, at: UInt64)]) -> Set<Int64> {
            var onTime: [(number: Int64, trace: UInt64)] = []
            var going: Set<Int64> = []
            for (index, (span, at)) in spans.enumerated() {
                let number = Int64(index + 1)
                while let due = open.map(\.due).min(), due <= at { decide(open.firstIndex { $0.due == due } ?? 0) }
                if let isKept = kept[span.trace] {
                    if isKept || span.isError { going.insert(number) }
                    continue
                }
                if !open.contains(where: { $0.trace == span.trace }) {
                    while open.count >= tracesMax { decide(0) }
                    open.append((span.trace, at + wait, false))
                }
                let place = open.firstIndex { $0.trace == span.trace } ?? 0
                if span.isRoot { open[place].due = min(open[place].due, at + grace) }
                if span.isError { open[place].hasError = true }
                onTime.append((number, span.trace))
            }
            while !open.isEmpty { decide(0) }
            for (number, trace) in onTime where kept[trace] == true { going.insert(number) }
            return going
        }
    }

    @Test("live, over restarts, kills and backlogs the same spans arrive: those that the log says", arguments: Seeds.upTo(150))
    func worlds(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let rate = ([0, 0.3, 1] as [Double]).randomElement(using: &random) ?? 0
        let (wait, grace) = (UInt64.random(in: 1...40, using: &random) * second, UInt64.random(in: 0...5, using: &random) * second)
        let tracesMax = random.chance(3) ? Int.random(in: 1...4, using: &random) : 1000
        let rules = try Self.rules(rate: rate, wait: wait, grace: grace, tracesMax: tracesMax)
        var destination = TestDestination()
        destination.declaration.order = random.chance(4) ? .log : .none
        destination.declaration.limits = BatchLimits(spans: .random(in: 1...8, using: &random), bytes: 10_000)
        let specs = [
            spec("a", destination) {
                $0.workers = Int.random(in: 1...5, using: &random)
                $0.linger = .milliseconds(Int.random(in: 0...300, using: &random))
                $0.maxAge = .seconds(10_000_000)
                if random.chance(4) { $0.catchUp = .liveFirst }
            }
        ]
        let world = try World(specs, rules: rules, seed: seed)
        var chance = SeededRandom(seed: seed &+ 1)
        var isDown = false
        world.wire.script = { _ in isDown ? .status(503) : .status(200, after: .milliseconds(Int.random(in: 0...300, using: &chance))) }
        let traces = (0..<12).map { _ in random.next() | 1 }
        var spans: [(span: TracedSpan, at: UInt64)] = []
        for _ in 0..<25 {
            let batch = (0..<Int.random(in: 0...5, using: &random)).map { _ in
                TracedSpan(trace: traces.randomElement(using: &random) ?? 1, isRoot: random.chance(5), isError: random.chance(12))
            }
            if !batch.isEmpty {
                // Each at a time of its own: two that come in one instant are on time together.
                spans += batch.map { ($0, world.time.wall) }
                world.append(batch)
            }
            if random.chance(4) { isDown.toggle() }
            if random.chance(5) { if random.chance(2) { try world.crash() } else { try world.restart() } }
            if random.chance(8) { try world.reload(specs, rules: rules) }
            world.run(.milliseconds(random.chance(3) ? 0 : Int.random(in: 1...8000, using: &random)))
            try world.checkBooks()
        }
        isDown = false
        try world.loop.resume(world.lane())
        world.run(.seconds(3600))
        try world.checkSettled()
        var model = Model(wait: wait, grace: grace, tracesMax: tracesMax, threshold: Sampler.threshold(of: rate))
        #expect(taken(world) == model.deliveries(spans), "(seed \(seed))")
    }
}

extension TracedSpan {
    /// The trace id as a number.
    var id: UInt128 { 0x0101_0101_0101_0101 << 64 | UInt128(trace) }
}
