import Testing

@testable import Delivery
@testable import Spool

@Suite("a long outage")
struct OutageTests {
    /// Four days in which spans come every quarter of an hour and one destination answers nothing; then it is back.
    private func outage(_ change: (inout DeliverySettings) -> Void) throws -> World {
        let world = try World([spec("a", TestDestination(), change), spec("well")])
        world.wire.keepsSent = false
        world.wire.script = { $0.destination == "a" ? .networkError() : .status(200) }
        for _ in 0..<4 * 24 * 4 {
            world.append(3)
            world.run(.seconds(900))
        }
        try world.checkBooks()
        #expect(try world.outcomes("well") == [.delivered: 1152])
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(3600))
        try world.checkSettled(["a", "well"])
        return world
    }

    @Test("of four days is caught up with, from its first hour on: each span once, in exact books")
    func caughtUp() throws {
        let world = try outage { $0.maxAge = .seconds(7 * 86400) }
        #expect(try world.outcomes("a") == [.delivered: 1152])
        #expect(world.wire.taken["a"] == Dictionary(uniqueKeysWithValues: (1...1152).map { (Int64($0), 1) }))
    }

    @Test("longer than max_age costs what is older, counted, and nothing else")
    func expires() throws {
        let world = try outage { $0.maxAge = .seconds(72 * 3600) }
        let outcomes = try world.outcomes("a")
        let expired = outcomes[.expired] ?? 0
        // A day of the four, to within the hour in which it comes back and is caught up with.
        #expect((24 * 12 - 12...25 * 12 + 12).contains(expired), "\(expired) expired")
        #expect(outcomes == [.delivered: 1152 - expired, .expired: expired])
        #expect(world.wire.taken["a"]?.keys.sorted() == Array(expired + 1...1152))
    }
}
