import SpanModel
import Spool
import Testing

@testable import Delivery

@Suite("a damaged log")
struct DamageTests {
    /// Ten segments of four spans.
    private func world(_ change: (inout DeliverySettings) -> Void = { _ in }) throws -> World {
        let world = try World([spec("a", TestDestination(), change)]) { $0.cacheBytesMax = 0 }
        for _ in 0..<10 { world.append(4) }
        return world
    }

    private func expectLost(_ spans: ClosedRange<Int64>, _ world: World) throws {
        let rest = Set(1...40).subtracting(spans)
        #expect(try world.outcomes() == [.delivered: Int64(rest.count), .lost: Int64(spans.count)])
        #expect(world.wire.taken["a"] == Dictionary(uniqueKeysWithValues: rest.map { ($0, 1) }))
        let told = world.events.reduce(Int64(0)) { if case .lost(_, let spans) = $1 { $0 + spans } else { $0 } }
        #expect(told == Int64(spans.count))
        try world.checkSettled()
    }

    @Test("rows that are missing are lost, counted and told; all others go")
    func hole() throws {
        let world = try world()
        try world.restart(damage: ["DELETE FROM segments WHERE first_id BETWEEN 13 AND 21"])
        world.run(.seconds(5))
        try expectLost(13...24, world)
    }

    @Test("rows that are missing where some of their spans were settled already")
    func holeOverGaps() throws {
        let world = try world()
        var cursor = Cursor(position: 0)
        for ids in [14...15, 18...30] as [ClosedRange<Int64>] { cursor.settle(ids) }
        var settlement = Settlement(consumer: try world.consumer().id, cursor: cursor)
        settlement.add(LedgerKey(.delivered), Tally(spans: cursor.settledBeyond))
        world.log.settle(settlement)
        try world.restart(damage: ["DELETE FROM segments WHERE first_id BETWEEN 13 AND 21"])
        world.run(.seconds(5))
        // 13, 16 and 17 are what was left of the hole.
        #expect(try world.outcomes() == [.delivered: 37, .lost: 3])
        #expect(world.wire.taken["a"]?.keys.sorted() == Array(1...12) + Array(31...40))
        try world.checkSettled()
    }

    @Test("rows that go while their batch waits: what is left of it is sent", arguments: [9, 1, 17])
    func goneWhileWaiting(first: Int64) throws {
        let world = try world { $0.limits = BatchLimits(spans: 20, bytes: 100_000) }
        world.wire.script = { _ in .status(503) }
        world.run(.seconds(3))
        try world.damage(["DELETE FROM segments WHERE first_id = \(first)"])
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(120))
        try expectLost(first...first + 3, world)
    }

    @Test("a probe whose rows are gone lets the next one start")
    func probeGone() throws {
        let world = try world()
        world.wire.script = { _ in .status(503) }
        world.run(.seconds(60))
        #expect(world.loop.status().first?.breakerOpen == true)
        try world.damage(["DELETE FROM segments WHERE first_id < 37"])
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(120))
        try expectLost(1...36, world)
    }

    @Test("a segment whose bytes have changed is lost, counted and told; all others go")
    func unreadable() throws {
        let world = try world()
        try world.restart(damage: ["UPDATE segments SET payload = zeroblob(length(payload)) WHERE first_id = 21"])
        world.run(.seconds(60))
        try expectLost(21...24, world)
    }

    @Test("a dead letter whose span is damaged waits for a person when it is replayed; the loop does not turn in a circle")
    func unreadableLetter() throws {
        let world = try world()
        world.wire.script = { $0.spans.contains(7) ? .status(400) : .status(200) }
        world.run(.seconds(30))
        #expect(try world.letters().map(\.span) == [7])
        try world.damage(["UPDATE dead_spans SET payload = zeroblob(length(payload))"])
        let consumer = try world.consumer().id
        #expect(try world.log.replay(consumer: consumer, DeadLetterFilter()) == 1)
        world.loop.lettersChanged(consumer)
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(30))
        let letter = try #require(try world.letters().first)
        #expect(letter.state == .dead && letter.reason == "damaged" && letter.nextAt == nil)
        try world.checkBooks()
    }

    @Test("the newest segment cannot be read: it is lost without waiting for a newer one")
    func unreadableEnd() throws {
        let world = try world()
        try world.restart(damage: ["UPDATE segments SET directory = x'00' WHERE first_id = 37"])
        world.run(.seconds(60))
        try expectLost(37...40, world)
    }
}
