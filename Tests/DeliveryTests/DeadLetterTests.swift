import SpanModel
import Spool
import Testing

@testable import Delivery

@Suite("dead letters")
struct DeadLetterTests {
    /// A world whose spans of these numbers are dead letters.
    private func world(_ dead: Set<Int64>, _ change: (inout DeliverySettings) -> Void = { _ in }, order: Declaration.Order = .none) throws
        -> World
    {
        let destination = TestDestination(declaration: Declaration(limits: BatchLimits(spans: 10, bytes: 10_000), order: order))
        let world = try World([spec("a", destination, change)])
        world.wire.script = { dead.isDisjoint(with: $0.spans) ? .status(200) : .status(400) }
        world.append(20)
        world.run(.seconds(20))
        #expect(try Set(world.letters().map(\.span)) == dead)
        return world
    }

    private func replay(_ world: World, _ filter: DeadLetterFilter = .init()) throws -> Int {
        let consumer = try world.consumer().id
        let count = try world.log.replay(consumer: consumer, filter)
        world.loop.lettersChanged(consumer)
        return count
    }

    @Test(
        "replay sends each letter once, to its destination only, never through the log", arguments: [1, 4],
        [.none, .log] as [Declaration.Order])
    func delivered(workers: Int, order: Declaration.Order) throws {
        let world = try world([3, 4, 17], { $0.workers = workers }, order: order)
        let before = world.wire.sent.count
        world.wire.script = { _ in .status(200) }
        #expect(try replay(world) == 3)
        world.run(.seconds(30))
        #expect(world.wire.sent.dropFirst(before).flatMap(\.spans) == [3, 4, 17])
        #expect(try world.outcomes() == [.delivered: 17, .dead: 3, .replayed: 3])
        #expect(world.log.lastID == 20)
        #expect(try world.letters().isEmpty)
        try world.checkSettled()
    }

    @Test("what fails again stays a dead letter, its attempts counted on")
    func failsAgain() throws {
        let world = try world([3])
        let attempts = try #require(try world.letters().first).attempts
        #expect(attempts == world.wire.sent.count { $0.spans.contains(3) })
        world.wire.script = { _ in .status(418) }
        #expect(try replay(world) == 1)
        world.run(.seconds(30))
        let letter = try #require(try world.letters().first)
        #expect(letter.state == .dead && letter.reason == "http_418" && letter.nextAt == nil)
        #expect(letter.attempts == attempts + 1)
        #expect(try world.outcomes() == [.delivered: 19, .dead: 1])
        try world.checkSettled()
    }

    @Test("mixed: some go, some are refused, some are asked for again")
    func mixed() throws {
        let world = try world([3, 4, 5, 17])
        var first = true
        world.wire.script = { sent in
            defer { first = false }
            return first ? .status(207, body: "dxrd") : .status(200)
        }
        #expect(try replay(world) == 4)
        world.run(.seconds(30))
        #expect(try world.letters().map(\.span) == [4])
        #expect(try world.outcomes() == [.delivered: 16, .dead: 4, .replayed: 3])
        #expect(world.wire.taken["a"]?.values.allSatisfy { $0 == 1 } == true)
        try world.checkSettled()
    }

    @Test("a replay that is partly refused, unknown which, finds the span at fault")
    func partial() throws {
        let world = try world([3, 4, 5, 6])
        world.wire.script = { $0.spans.contains(5) ? .status(206, headers: ["refused": "1"]) : .status(200) }
        #expect(try replay(world) == 4)
        world.run(.seconds(30))
        #expect(try world.letters().map(\.span) == [5])
        #expect(try world.outcomes() == [.delivered: 16, .dead: 4, .replayed: 3])
        try world.checkSettled()
    }

    @Test("more letters than a batch holds, chosen by their reason")
    func many() throws {
        let world = try World([spec { $0.maxAge = .seconds(1_000_000) }])
        world.wire.script = { .status($0.spans.contains { $0 % 2 == 0 } ? 400 : 200) }
        world.append(300)
        world.run(.seconds(60))
        #expect(try world.letters().count == 150)
        world.wire.script = { _ in .status(200) }
        #expect(try replay(world, DeadLetterFilter(reason: "http_999")) == 0)
        #expect(try replay(world, DeadLetterFilter(spans: Array(1...100))) == 50)
        world.run(.seconds(60))
        #expect(try replay(world) == 100)
        world.run(.seconds(60))
        #expect(world.wire.taken["a"] == Dictionary(uniqueKeysWithValues: (1...300).map { ($0, 1) }))
        #expect(try world.outcomes() == [.delivered: 150, .dead: 150, .replayed: 150])
        try world.checkSettled()
    }

    @Test("a letter of nobody knows which spans is not sent again, though another destination has kept its first span")
    func partialUnknown() throws {
        let world = try World([spec(), spec("b")])
        world.wire.script = { sent in
            sent.destination == "a" ? .status(206, headers: ["refused": "4"]) : sent.spans.contains(1) ? .status(400) : .status(200)
        }
        world.append(10)
        world.run(.seconds(10))
        let letter = try #require(try world.letters().first)
        #expect(letter.span == 1 && letter.weight == 4)
        #expect(try world.reader.deadLetter(consumer: letter.consumer, span: 1)?.stored == nil)
        #expect(try replay(world) == 0)
        world.run(.seconds(60))
        try world.checkSettled(["a", "b"])
    }

    @Test("replay is remembered over a restart")
    func restart() throws {
        let world = try world([3, 4])
        world.wire.script = { _ in .hang }
        #expect(try replay(world) == 2)
        world.run(.seconds(2))
        try world.restart()
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(10))
        #expect(try world.outcomes() == [.delivered: 18, .dead: 2, .replayed: 2])
        try world.checkSettled()
    }

    @Test("two parked spans are both tried when their times come")
    func twoParked() throws {
        let world = try World([spec()])
        world.wire.script = { $0.spans.contains(3) || $0.spans.contains(47) ? .status(500) : .status(200) }
        world.append(10)
        for _ in 0..<200 {
            world.append(1)
            world.run(.seconds(2))
        }
        #expect(try world.letters().map(\.state) == [.parked, .parked])
        #expect(Set(try world.letters().map(\.nextAt)).count == 2)
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(3600))
        #expect(try world.letters().isEmpty)
        #expect(try world.outcomes()[.replayed] == 2)
        try world.checkSettled()
    }

    @Test(
        "a replay that fails holds live spans up neither in a destination with an order nor in one without",
        arguments: [.none, .log] as [Declaration.Order])
    func replayFails(order: Declaration.Order) throws {
        let world = try world([3], order: order)
        world.wire.script = { $0.spans.contains(3) ? .status(500) : .status(200) }
        #expect(try replay(world) == 1)
        world.run(.seconds(5))
        let at = world.time.monotonic
        for _ in 21...40 {
            world.append(1)
            world.run(.seconds(20))
        }
        #expect(world.wire.sent.filter { $0.at < at + 61_000_000_000 }.contains { $0.spans.contains(21) })
        #expect(world.wire.taken["a"]?.count == 39)
        #expect(try world.letters().map(\.state) == [.parked])
        try world.checkSettled()
    }

    @Test("purged while it waits to be sent again: gone, and counted once")
    func purged() throws {
        let world = try world([3, 4])
        world.wire.script = { _ in .status(503) }
        #expect(try replay(world) == 2)
        world.run(.seconds(1))
        let consumer = try world.consumer().id
        #expect(try world.log.purge(consumer: consumer, DeadLetterFilter(spans: [3])) == 1)
        world.loop.lettersChanged(consumer)
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(120))
        #expect(try world.outcomes() == [.delivered: 18, .dead: 2, .purged: 1, .replayed: 1])
        try world.checkSettled()
    }

    @Test("a letter waits for a destination that is paused, and for a breaker that is open")
    func waits() throws {
        let world = try world([3])
        try world.loop.pause(world.lane())
        #expect(try replay(world) == 1)
        let before = world.wire.sent.count
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(60))
        #expect(world.wire.sent.count == before)
        try world.loop.resume(world.lane())
        world.run(.seconds(5))
        #expect(try world.outcomes()[.replayed] == 1)
        try world.checkSettled()
    }
}
