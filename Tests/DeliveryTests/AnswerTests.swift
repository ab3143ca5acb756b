import SpanModel
import Spool
import Testing

@testable import Delivery

/// DESIGN.md section 5, "Delivery": a test a row.
@Suite("what an answer does")
struct AnswerTests {
    @Test("success settles all of a batch, and a note is told once")
    func success() throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(200, headers: ["note": "deprecated"]) }
        world.append(30)
        world.run()
        #expect(try world.outcomes() == [.delivered: 30])
        #expect(world.events.count { if case .note = $0 { true } else { false } } == 1)
        #expect(world.events.count { if case .firstDelivery = $0 { true } else { false } } == 1)
        try world.checkSettled()
    }

    @Test(
        "n refused, unknown which: n are dead, the rest counts as delivered",
        arguments: [(1, 1), (3, 3), (10, 10), (1000, 10), (0, 0), (-4, 0)])
    func partialUnknown(refused: Int, dead: Int64) throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(206, headers: ["refused": "\(refused)"]) }
        world.append(10)
        world.run()
        #expect(world.wire.sent.count == 1)
        #expect(try world.outcomes()[.dead] ?? 0 == dead)
        #expect(try world.outcomes()[.delivered] ?? 0 == 10 - dead)
        #expect(try world.letters().map(\.reason) == (dead > 0 ? ["partial_unknown"] : []))
        try world.checkSettled()
    }

    @Test("network errors, 408, 429 and 5xx are retried with equal spans", arguments: [0, 408, 429, 500, 502, 503, 504])
    func retried(status: Int) throws {
        let world = try World([spec()])
        var failures = 0
        world.wire.script = { _ in
            failures += 1
            return failures > 3 ? .status(200) : status == 0 ? .networkError() : .status(status)
        }
        world.append(10)
        world.run(.seconds(30))
        #expect(world.wire.sent.map(\.spans) == Array(repeating: Array(1...10), count: 4))
        #expect(try world.outcomes() == [.delivered: 10])
        #expect(try world.letters().isEmpty)
        try world.checkSettled()
    }

    @Test("a request that hangs is retried when its time is over")
    func hang() throws {
        let world = try World([spec()])
        var first = true
        world.wire.script = { _ in
            defer { first = false }
            return first ? .hang : .status(200)
        }
        world.append(10)
        world.run(.seconds(29))
        #expect(world.wire.sent.count == 1)
        world.run(.seconds(10))
        #expect(try world.outcomes() == [.delivered: 10])
    }

    @Test("Retry-After holds the whole destination, an hour at most", arguments: [(7, 7), (3600, 3600), (90_000, 3600)])
    func retryAfter(asked: Int, waits: Int64) throws {
        let world = try World([spec()])
        var first = true
        world.wire.script = { _ in
            defer { first = false }
            return first ? .status(429, headers: ["retry-after": "\(asked)"], after: .zero) : .status(200)
        }
        world.append(10)
        world.run(.seconds(1))
        world.append(10)
        world.run(.seconds(waits - 2))
        #expect(world.wire.sent.count == 1)
        world.run(.seconds(4))
        #expect(try world.outcomes() == [.delivered: 20])
    }

    @Test("429 lowers the concurrency; nothing is ever parked for it")
    func throttled() throws {
        let world = try World([spec { $0.workers = 8 }])
        for _ in 0..<40 {
            world.append(40)
            world.run(.seconds(1))
        }
        let before = try world.lane().concurrency.limit
        #expect(before == 8)
        var random = SeededRandom(seed: 3)
        world.wire.script = { _ in random.chance(3) ? .status(200) : .status(429) }
        world.append(200)
        world.run(.seconds(1))
        #expect(try world.lane().concurrency.limit < before)
        world.run(.seconds(1800))
        #expect(try world.outcomes() == [.delivered: 1800])
        try world.checkSettled()
    }

    @Test("401 and 403 pause; probes after 1, 5, 15, 60, 60 minutes, one at a time; no attempt is counted", arguments: [401, 403])
    func pause(status: Int) throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(status, after: .zero) }
        world.append(50)
        let began = world.time.monotonic
        world.run(.seconds(150 * 60))
        let minutes = world.wire.sent.map { ($0.at - began) / 60_000_000_000 }
        // Two were in flight when the first was refused.
        #expect(minutes == [0, 0, 1, 6, 21, 81, 141])
        #expect(try world.lane().waiting.allSatisfy { $0.attempts == 0 })
        #expect(try world.letters().isEmpty)
        let paused = world.events.compactMap { if case .paused(_, _, let status, _, let probe) = $0 { (status, probe) } else { nil } }
        #expect(paused.map(\.0) == Array(repeating: status, count: 6))
        #expect(paused.map(\.1) == [60, 300, 900, 3600, 3600, 3600].map { Duration.seconds($0) })
        #expect(world.loop.status().first?.state == .paused)
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(61 * 60))
        #expect(world.events.contains { if case .resumed = $0 { true } else { false } })
        #expect(try world.outcomes() == [.delivered: 50])
        try world.checkSettled()
    }

    @Test("a reload asks a destination that is paused or gone at once", arguments: [401, 410])
    func pauseReload(status: Int) throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(status) }
        world.append(10)
        world.run(.seconds(30))
        #expect(world.wire.sent.count == 1)
        world.wire.script = { _ in .status(200) }
        try world.reload([spec()])
        world.run(.seconds(1))
        #expect(try world.outcomes() == [.delivered: 10])
    }

    @Test("a destination that is gone for good is asked no more")
    func disabled() throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(410) }
        world.append(10)
        world.run(.seconds(86_400))
        #expect(world.wire.sent.count == 1)
        #expect(world.loop.status().first?.state == .disabled)
        try world.checkBooks()
    }

    @Test("413 halves the batch until it fits; a span that is too large alone is a dead letter")
    func tooLarge() throws {
        let world = try World([spec()])
        world.wire.script = { $0.spans.count > 3 || $0.spans.contains(7) ? .status(413) : .status(200) }
        world.append(10)
        world.run(.seconds(10))
        #expect(try world.letters().map(\.span) == [7])
        #expect(try world.letters().map(\.reason) == ["too_large"])
        #expect(world.wire.taken["a"] == Dictionary(uniqueKeysWithValues: [1, 2, 3, 4, 5, 6, 8, 9, 10].map { ($0, 1) }))
        try world.checkSettled()
    }

    @Test("another 4xx is bisected: the spans at fault are dead letters, the rest goes through once", arguments: Seeds.upTo(20))
    func bisected(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let count = Int.random(in: 1...60, using: &random)
        let bad = Set((0..<Int.random(in: 1...3, using: &random)).map { _ in Int64.random(in: 1...Int64(count), using: &random) })
        let world = try World([spec("a", TestDestination()) { $0.limits.spans = 32 }], seed: seed)
        world.wire.script = { bad.isDisjoint(with: $0.spans) ? .status(200) : .status(422) }
        world.append(count)
        world.run(.seconds(10))
        let letters = try world.letters()
        #expect(Set(letters.map(\.span)) == bad)
        #expect(letters.allSatisfy { $0.state == .dead && $0.reason == "http_422" && $0.status == 422 })
        #expect(
            world.wire.taken["a", default: [:]] == Dictionary(uniqueKeysWithValues: Set(1...Int64(count)).subtracting(bad).map { ($0, 1) }))
        for letter in letters {
            let stored = try world.reader.deadLetter(consumer: letter.consumer, span: letter.span)?.stored
            #expect(stored.map { $0.bytes.withUnsafeBytes { $0.loadUnaligned(as: Int64.self) } } == letter.span)
        }
        try world.checkSettled()
    }

    @Test("verdicts span by span: the taken are settled, the refused are dead letters, the others are sent again alone")
    func perSpan() throws {
        let world = try World([spec()])
        world.wire.script = { $0.spans.count == 10 ? .status(207, body: "ddxrrdxxdr") : .status(200) }
        world.append(10)
        world.run(.seconds(10))
        #expect(try world.letters().map(\.span).sorted() == [3, 7, 8])
        #expect(world.wire.sent.dropFirst().flatMap(\.spans).sorted() == [4, 5, 10])
        #expect(try world.outcomes() == [.delivered: 7, .dead: 3])
        try world.checkSettled()
    }

    @Test("verdicts that ask for many spans again are no failure of the platform: the breaker stays closed")
    func perSpanBreaker() throws {
        let world = try World([spec { $0.limits.spans = 20 }])
        world.wire.script = { $0.spans.count == 20 ? .status(207, body: String(repeating: "dr", count: 10)) : .status(200) }
        world.append(20)
        world.run(.seconds(1))
        #expect(!world.events.contains { if case .breakerOpened = $0 { true } else { false } })
        world.run(.seconds(30))
        #expect(try world.outcomes() == [.delivered: 20])
        try world.checkSettled()
    }

    @Test("verdicts that ask for every span again are a failure like another")
    func perSpanOutage() throws {
        let world = try World([spec()])
        world.wire.script = { .status(207, body: String(repeating: "r", count: $0.spans.count)) }
        world.append(10)
        world.run(.seconds(120))
        #expect(world.wire.sent.allSatisfy { $0.spans == Array(1...10) })
        #expect(world.events.contains { if case .breakerOpened = $0 { true } else { false } })
        try world.checkBooks()
    }

    @Test("an answer with more or fewer verdicts than spans judges nothing", arguments: ["", "ddd", "ddddddddddd"])
    func wrongCount(verdicts: String) throws {
        let world = try World([spec()])
        var first = true
        world.wire.script = { _ in
            defer { first = false }
            return first ? .status(207, body: verdicts) : .status(200)
        }
        world.append(10)
        world.run(.seconds(10))
        #expect(world.wire.sent.map(\.spans) == [Array(1...10), Array(1...10)])
        #expect(try world.outcomes() == [.delivered: 10])
    }

    @Test("a span that has no form on the platform is a dead letter, its neighbours go")
    func unencodable() throws {
        let world = try World([spec("a", TestDestination(unencodable: [1, 5, 10, 11]))])
        world.append(12)
        world.run(.seconds(5))
        #expect(try world.letters().map(\.span).sorted() == [1, 5, 10, 11])
        #expect(try world.letters().allSatisfy { $0.reason == "no_form" && $0.status == 0 })
        #expect(world.wire.taken["a"] == Dictionary(uniqueKeysWithValues: [2, 3, 4, 6, 7, 8, 9, 12].map { ($0, 1) }))
        try world.checkSettled()
    }

    @Test("a poison span (500 while others pass) is parked, the rest is delivered; later it goes by itself and counts as replayed")
    func poison() throws {
        let world = try World([spec()])
        var healed = false
        world.wire.script = { $0.spans.contains(13) && !healed ? .status(500) : .status(200) }
        world.append(20)
        for _ in 0..<120 {
            world.append(1)
            world.run(.seconds(5))
        }
        let letter = try #require(try world.letters().first)
        #expect(letter.span == 13 && letter.state == .parked && letter.reason == "http_500" && letter.status == 500)
        #expect(letter.nextAt != nil)
        #expect(letter.attempts == world.wire.sent.count { $0.spans.contains(13) })
        #expect(try world.outcomes() == [.delivered: 139, .dead: 1])
        try world.checkSettled()
        healed = true
        world.run(.seconds(2 * 3600))
        #expect(try world.outcomes() == [.delivered: 139, .dead: 1, .replayed: 1])
        #expect(world.wire.taken["a"]?.values.allSatisfy { $0 == 1 } == true)
        #expect(try world.letters().isEmpty)
        try world.checkSettled()
    }

    @Test("a poison span holds others up for one wait of the breaker at most, however little traffic there is", arguments: Seeds.upTo(8))
    func poisonAlone(seed: UInt64) throws {
        let world = try World([spec()], seed: seed)
        world.wire.script = { $0.spans.contains(1) ? .status(500) : .status(200) }
        world.append(1)
        world.run(.seconds(60))
        var appendedAt: [Int64: UInt64] = [:]
        for number in 2...60 as ClosedRange<Int64> {
            appendedAt[number] = world.time.monotonic
            world.append(1)
            world.run(.seconds(20))
        }
        world.run(.seconds(60))
        let waits = appendedAt.map { number, at in (world.wire.sent.first { $0.spans.contains(number) }?.at ?? .max) - at }.sorted()
        // While it is alone it looks like an outage, so the first ones may wait for a probe of the breaker: 60 s at most.
        #expect(waits.last ?? 0 < 61_000_000_000, "(seed \(seed))")
        #expect(waits[50] < 1_000_000_000, "(seed \(seed))")
        #expect(try world.letters().map(\.state) == [.parked])
        try world.checkSettled()
    }

    @Test("a parked span is tried ever more rarely while it fails")
    func parkedRarely() throws {
        let world = try World([spec()])
        world.wire.script = { $0.spans.contains(3) ? .status(500) : .status(200) }
        world.append(10)
        for _ in 0..<12 * 3600 / 20 {
            world.append(1)
            world.run(.seconds(20))
        }
        let letter = try #require(try world.letters().first)
        #expect(letter.state == .parked)
        let attempts = world.wire.sent.filter { $0.spans == [3] }.map(\.at)
        let lastHours = attempts.count { $0 + 3 * 3600 * 1_000_000_000 > world.time.monotonic }
        #expect(lastHours <= 6, "\(lastHours) attempts in the last three of twelve hours")
        #expect(letter.attempts == world.wire.sent.count { $0.spans.contains(3) })
        try world.checkSettled()
    }

    @Test("an outage, however long, parks nothing; when it ends all is delivered once")
    func outage() throws {
        let world = try World([spec { $0.maxAge = .seconds(1_000_000) }])
        var up = true
        world.wire.script = { _ in up ? .status(200) : .status(503) }
        world.append(40)
        world.run(.seconds(5))
        up = false
        for _ in 0..<88 {
            world.append(25)
            for _ in 0..<60 {
                // The loop looks at the age of its backlog once a second: here once a minute is enough.
                world.time.advance(.seconds(55))
                world.run(.seconds(5))
            }
        }
        #expect(try world.letters().isEmpty)
        #expect(world.loop.status().first?.state == .breakerOpen)
        let during = world.wire.sent.count
        #expect(during < 88 * 3600 / 20, "\(during) requests in an outage of 88 hours")
        up = true
        world.run(.seconds(300))
        #expect(try world.outcomes() == [.delivered: 40 + 88 * 25])
        #expect(world.wire.taken["a"]?.values.allSatisfy { $0 == 1 } == true)
        try world.checkSettled()
    }

    @Test("the breaker opens after 5 failures in a row, and while it is open only a probe goes")
    func breaker() throws {
        let world = try World([spec { $0.workers = 4 }])
        world.wire.script = { _ in .status(503, after: .zero) }
        world.append(200)
        world.run(.seconds(60))
        let opened = world.events.compactMap { if case .breakerOpened(_, let failures, _, _) = $0 { failures } else { nil } }
        #expect(opened == [5])
        #expect(world.loop.status().first?.breakerOpen == true)
        #expect(world.wire.sent.count <= 6 + 8)
        let before = world.wire.sent.count
        let worst = (0..<200).map { _ in
            let count = world.wire.sent.count
            world.run(.milliseconds(500))
            return world.wire.sent.count - count
        }.max()
        #expect(worst == 1)
        #expect(world.wire.sent.count < before + 20)
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(70))
        #expect(world.events.contains { if case .breakerClosed = $0 { true } else { false } })
        try world.checkSettled()
    }

    @Test("spans older than max_age expire, those under way end as they end")
    func maxAge() throws {
        let world = try World([spec { $0.maxAge = .seconds(600) }])
        world.wire.script = { _ in .status(503) }
        world.append(15)
        world.run(.seconds(300))
        world.append(10)
        world.run(.seconds(310))
        #expect(try world.outcomes() == [.expired: 15])
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(120))
        #expect(try world.outcomes() == [.expired: 15, .delivered: 10])
        try world.checkSettled()
    }

    @Test("nothing expires while the wall clock is in doubt; it does an hour later, or at a person's word", arguments: [false, true])
    func clockJump(word: Bool) throws {
        let world = try World([spec { $0.maxAge = .seconds(7200) }])
        world.wire.script = { _ in .status(503) }
        world.append(10)
        world.run(.seconds(10))
        world.time.jump(.seconds(86_400 * 365))
        world.run(.seconds(3500))
        #expect(world.events.contains { if case .clockJumped = $0 { true } else { false } })
        #expect(try world.outcomes().isEmpty)
        if word { world.loop.trustClock() } else { world.run(.seconds(200)) }
        world.run(.seconds(2))
        #expect(try world.outcomes() == [.expired: 10])
        try world.checkSettled()
    }

    @Test("order `log` is kept over retries, halves and verdicts: one batch at a time", arguments: Seeds.upTo(20))
    func ordered(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let destination = TestDestination(declaration: Declaration(limits: BatchLimits(spans: 8, bytes: 10_000), order: .log))
        let world = try World([spec("a", destination) { $0.maxAge = .seconds(1_000_000) }], seed: seed)
        var arrived: [Int64] = []
        world.wire.script = { sent in
            switch Int.random(in: 0..<6, using: &random) {
            case 0: return .status(503)
            case 1: return .status(429)
            case 2 where sent.spans.count > 1: return .status(413)
            case 3: return .networkError()
            default:
                arrived += sent.spans
                return .status(200)
            }
        }
        for _ in 0..<10 {
            world.append(13)
            world.run(.seconds(20))
        }
        world.run(.seconds(3600))
        #expect(arrived == Array(1...130))
        #expect(world.wire.mostAtOnce["a"] == 1)
        try world.checkSettled()
    }

    @Test("no more than 64 ranges stand beyond a cursor, whatever the order of answers", arguments: Seeds.upTo(10), [4, 32])
    func ranges(seed: UInt64, workers: Int) throws {
        var random = SeededRandom(seed: seed)
        let world = try World([spec { ($0.workers, $0.limits.spans, $0.breakerFailures) = (workers, 2, 1_000_000) }], seed: seed)
        // Every third span is refused again and again, long after its neighbours have gone.
        world.wire.script = { sent in
            if sent.spans.contains(where: { $0 % 3 == 0 }), random.chance(2) { return .status(503) }
            return .status(200, after: .milliseconds(Int.random(in: 1...900, using: &random)))
        }
        world.append(600)
        var most = 0
        world.run(.seconds(900)) { most = max(most, world.loop.lanes[0].cursor.settled.count) }
        #expect(most <= 64, "\(most) ranges (seed \(seed))")
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(3600))
        try world.checkSettled()
    }

    @Test("no more than 64 ranges stand beyond a cursor, whatever the verdicts span by span")
    func rangesPerSpan() throws {
        let world = try World([spec { ($0.limits.spans, $0.workers) = (400, 4) }])
        world.wire.script = { sent in
            sent.spans.count < 3 ? .status(200) : .status(207, body: String(sent.spans.map { $0 % 2 == 0 ? "d" : "r" }))
        }
        world.append(1600)
        var most = 0
        world.run(.seconds(1800)) { most = max(most, world.loop.lanes[0].cursor.settled.count) }
        #expect(most <= 64, "\(most) ranges")
        #expect(try world.outcomes() == [.delivered: 1600])
        try world.checkSettled()
    }

    @Test("a destination that hangs holds no other up")
    func fanOut() throws {
        let names = (0..<12).map { "d\($0)" }
        let world = try World(names.map { spec($0) })
        world.wire.script = { $0.destination == "d7" ? .status(200) : $0.destination < "d3" ? .hang : .status(503) }
        for _ in 0..<20 {
            let at = world.time.monotonic
            world.append(10)
            world.run(.seconds(1))
            let arrival = try #require(world.wire.sent.last { $0.destination == "d7" })
            #expect(arrival.at - at < 300_000_000)
        }
        #expect(try world.outcomes("d7") == [.delivered: 200])
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(200))
        try world.checkSettled(names)
    }
}
