import CSQLite
import Spool
import Synchronization
import TestSupport
import Testing

@testable import Delivery

/// `rate:`, `catch_up:` and `fallback:` (DESIGN.md section 5).
@Suite("what a user may ask of a destination")
struct PolicyTests {
    @Test("no more requests a second than asked for, over any stretch of ten seconds")
    func requestRate() throws {
        let world = try World([spec { ($0.requestsPerSecond, $0.limits.spans, $0.linger) = (2, 1, .zero) }])
        world.append(40)
        world.run(.seconds(30))
        try world.checkSettled()
        let times = world.wire.sent.map(\.at)
        for (index, at) in times.enumerated() {
            let within = times[index...].count { $0 < at + 10_000_000_000 }
            // Ten seconds' worth, and what the bucket held at the start.
            #expect(within <= 22, "\(within) requests in ten seconds")
        }
    }

    @Test("one that is not enabled is sent nothing, pins its spans, and goes on when it is")
    func disabled() throws {
        let world = try World([spec { $0.isEnabled = false }])
        world.append(30)
        world.run(.seconds(30))
        #expect(world.wire.sent.isEmpty && world.loop.status().map(\.state) == [.pausedByUser])
        try world.restart()
        world.run(.seconds(5))
        #expect(try world.consumer().state == .active)
        try world.reload([spec()])
        world.run()
        #expect(try world.outcomes() == [.delivered: 30])
        try world.checkSettled()
    }

    @Test("bytes are limited too, and a body above the limit still goes")
    func byteRate() {
        var rate = RateLimit(requests: nil, bytes: 1000)
        #expect(rate.opensAt == 0)
        rate.spend(bytes: 5000, now: 0)
        #expect(rate.opensAt == 4_000_000_000)
        rate.spend(bytes: 100, now: 4_000_000_000)
        #expect(rate.opensAt == 4_100_000_000)
        rate.spend(bytes: 0, now: 60_000_000_000)
        #expect(rate.opensAt == 0)
    }

    @Test(
        "fifo sends the oldest first after an outage, live_first what comes in now", arguments: [DeliverySettings.CatchUp.fifo, .liveFirst])
    func catchUp(order: DeliverySettings.CatchUp) throws {
        let world = try World([spec { ($0.catchUp, $0.limits.spans, $0.workers, $0.backoffMax) = (order, 10, 1, .seconds(2)) }])
        var isDown = true
        world.wire.script = { _ in isDown ? .status(503) : .status(200, after: .milliseconds(500)) }
        world.append(200)
        world.run(.seconds(30))
        isDown = false
        world.run(.seconds(5))
        world.append(10)
        let before = world.wire.sent.count
        world.run(.seconds(2))
        let next = world.wire.sent[before...].map { $0.spans.first ?? 0 }
        #expect(next.contains(201) == (order == .liveFirst), "\(next)")
        world.run(.seconds(60))
        try world.checkSettled()
        #expect(try world.outcomes() == [.delivered: 210])
    }

    @Test("live_first goes on after a restart and after a skip, and loses nothing", arguments: [1, 2, 3, 4, 5] as [UInt64])
    func catchUpOverRestart(seed: UInt64) throws {
        let world = try World([spec { ($0.catchUp, $0.limits.spans, $0.backoffMax) = (.liveFirst, 7, .seconds(2)) }], seed: seed)
        var random = SeededRandom(seed: seed)
        world.wire.script = { _ in Bool.random(using: &random) ? .status(503) : .status(200) }
        for _ in 0..<20 {
            world.append(Int.random(in: 1...60, using: &random))
            world.run(.seconds(Int.random(in: 1...9, using: &random)))
            if Int.random(in: 0..<5, using: &random) == 0 { try world.restart() }
            if Int.random(in: 0..<9, using: &random) == 0 {
                world.loop.expire(try world.lane(), through: world.log.lastID - 5, reason: "backlog")
            }
            try world.checkBooks()
        }
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(90))
        try world.checkSettled()
    }

    @Test("what must give way for space does not wait for answers that may never come; a quick one it lets end")
    func givesWay() throws {
        let world = try World([spec { ($0.limits.spans, $0.workers) = (10, 2) }])
        world.wire.script = { $0.spans.contains(1) ? .hang : .status(200, after: .milliseconds(900)) }
        world.append(20)
        world.run(.milliseconds(500))
        #expect(world.wire.inFlight.count == 2)
        world.loop.giveWay(try world.lane(), through: 20, reason: "backlog")
        #expect(world.wire.inFlight.count == 2)
        world.run(.milliseconds(600))
        #expect(try world.outcomes() == [.delivered: 10])
        world.loop.giveWay(try world.lane(), through: 20, reason: "backlog")
        #expect(world.wire.inFlight.isEmpty && world.loop.inFlight == 0)
        #expect(world.log.flush())
        #expect(try world.outcomes() == [.delivered: 10, .expired: 10])
        #expect(try world.consumer().cursor == Cursor(position: 20))
        // It goes on, and what hung has no answer to come.
        world.append(5)
        world.run(.seconds(60))
        try world.checkSettled()
        #expect(try world.outcomes() == [.delivered: 15, .expired: 10])
    }

    @Test("of a batch that lies in it in part, the rest waits for its next attempt")
    func givesWayInPart() throws {
        let world = try World([spec { $0.limits.spans = 10 }])
        world.wire.script = { _ in .hang }
        world.append(10)
        world.run(.milliseconds(1500))
        world.wire.script = { _ in .status(200) }
        world.loop.giveWay(try world.lane(), through: 4, reason: "backlog")
        world.run(.seconds(10))
        #expect(try world.outcomes() == [.delivered: 6, .expired: 4])
        try world.checkSettled()
    }

    @Test("a destination that fails for long hands over to its fallback, and goes on itself when it is back")
    func fallback() throws {
        let main = spec("a", TestDestination()) {
            ($0.fallback, $0.limits.spans) = (.init(to: "b", after: .seconds(60)), 10)
        }
        let world = try World([main, spec("b")], rules: .one("main", to: ["a"], of: ["a", "b"]))
        var isDown = true
        world.wire.script = { $0.destination == "a" && isDown ? .status(503) : .status(200) }
        world.append(100)
        world.run(.seconds(30))
        #expect(world.wire.taken["b"] == nil)
        world.run(.seconds(60))
        // One batch is kept for the probe.
        #expect(try world.outcomes()[.handedOver] == 90)
        try world.checkBooks()
        isDown = false
        world.run(.seconds(120))
        #expect(try world.outcomes() == [.handedOver: 90, .delivered: 10])
        try world.checkSettled(["a", "b"])
    }

    @Test("while the log cannot be read nothing is handed over, and delivery does not try for ever")
    func fallbackUnread() throws {
        let main = spec("a", TestDestination()) {
            ($0.fallback, $0.limits.spans) = (.init(to: "b", after: .seconds(60)), 10)
        }
        let disk = SimulatedDisk(seed: 1)
        let world = try World([main, spec("b")], rules: .one("main", to: ["a"], of: ["a", "b"])) {
            ($0.path, $0.disk, $0.cacheBytesMax, $0.reserveBytes) = ("/spool.db", disk, 0, 1 << 20)
        }
        world.wire.script = { $0.destination == "a" ? .status(503) : .status(200) }
        for _ in 0..<40 {
            world.append(10, bytes: 30_000)
            #expect(world.log.flush())
        }
        world.run(.seconds(59))
        #expect(world.wire.taken["b"] == nil)
        let reads = Atomic(0)
        disk.setFault {
            guard $0.operation == .read, $0.role != .other else { return nil }
            return reads.add(1, ordering: .relaxed).newValue < 1000 ? SQLITE_IOERR | 1 << 8 : nil
        }
        world.run(.seconds(20))
        // What was still in memory may go.
        #expect(world.wire.taken["b", default: [:]].count <= 20 && (1..<1000).contains(reads.load(ordering: .relaxed)))
        disk.setFault { _ in nil }
        world.run(.seconds(300))
        #expect(try world.outcomes()[.handedOver, default: 0] >= 390)
    }

    @Test("what the fallback refuses waits for its own destination")
    func fallbackRefuses() throws {
        let main = spec("a", TestDestination()) {
            ($0.fallback, $0.limits.spans) = (.init(to: "b", after: .seconds(60)), 10)
        }
        let world = try World([main, spec("b")], rules: .one("main", to: ["a"], of: ["a", "b"]))
        var isDown = true
        world.wire.script = { $0.destination == "a" ? (isDown ? .networkError() : .status(200)) : .status(400) }
        world.append(50)
        world.run(.seconds(300))
        #expect(try world.outcomes().isEmpty)
        isDown = false
        world.run(.seconds(300))
        #expect(try world.outcomes() == [.delivered: 50])
        try world.checkSettled(["a", "b"])
    }
}
