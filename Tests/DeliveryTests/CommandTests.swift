import Pipeline
import SpanModel
import Spool
import Synchronization
import Testing

@testable import Delivery

@Suite("what a person may do with a destination")
struct CommandTests {
    @Test("pause sends nothing, over restarts too, until resume")
    func pause() throws {
        let world = try World([spec()])
        world.append(10)
        world.run()
        try world.loop.pause(world.lane())
        world.append(10)
        world.run(.seconds(60))
        try world.restart()
        world.run(.seconds(60))
        #expect(world.wire.sent.count == 1)
        #expect(world.loop.status().first?.state == .pausedByUser)
        try world.reload([spec()])
        world.run(.seconds(60))
        #expect(world.wire.sent.count == 1)
        try world.loop.resume(world.lane())
        world.run()
        #expect(try world.outcomes() == [.delivered: 20])
        try world.checkSettled()
    }

    @Test("pause and resume, or a reload, while a batch still takes spans in lose none of them", arguments: [false, true])
    func lingering(reload: Bool) throws {
        let world = try World([spec()])
        world.append(3)
        world.step()
        #expect(world.wire.sent.isEmpty)
        if reload {
            try world.reload([spec { $0.limits.spans = 5 }])
        } else {
            try world.loop.pause(world.lane())
            world.step()
            try world.loop.resume(world.lane())
        }
        world.append(4)
        world.run()
        #expect(world.wire.taken["a"] == Dictionary(uniqueKeysWithValues: (1...7).map { ($0, 1) }))
        try world.checkSettled()
    }

    @Test("resume lets a destination go on whatever held it", arguments: [401, 410, 503])
    func resume(status: Int) throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(status, headers: ["retry-after": "3000"]) }
        world.append(10)
        world.run(.seconds(20))
        world.wire.script = { _ in .status(200) }
        try world.loop.resume(world.lane())
        world.run(.seconds(1))
        #expect(try world.outcomes() == [.delivered: 10])
    }

    @Test("skip gives up the backlog, counted; what is in flight ends as it ends")
    func skip() throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(200, after: .seconds(5)) }
        world.append(55)
        world.run(.seconds(1))
        let flying = Int64(world.wire.inFlight.flatMap(\.spans).count)
        #expect(flying > 0)
        world.loop.seek(try world.lane(), to: world.log.lastID)
        world.run(.seconds(10))
        #expect(try world.outcomes() == [.delivered: flying, .expired: 55 - flying])
        #expect(try world.consumer().ledger.keys.contains(LedgerKey(.expired, reason: "skipped")))
        world.append(5)
        world.run(.seconds(10))
        try world.checkSettled()
    }

    @Test("skip while batches wait or a batch still takes spans in")
    func skipWaiting() throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(503) }
        world.append(33)
        world.run(.milliseconds(150))
        world.loop.seek(try world.lane(), to: 32)
        world.run(.seconds(40))
        world.loop.seek(try world.lane(), to: 32)
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(90))
        #expect(try world.outcomes()[.expired] ?? 0 >= 12)
        try world.checkSettled()
    }

    @Test("a destination that is paused by its platform and has nothing left does not keep the loop turning")
    func nothingLeft() throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(401) }
        world.append(10)
        world.run(.seconds(5))
        world.loop.seek(try world.lane(), to: 10)
        world.run(.seconds(3600))
        world.wire.script = { _ in .status(200) }
        world.append(10)
        world.run(.seconds(3600))
        #expect(try world.outcomes() == [.expired: 10, .delivered: 10])
        try world.checkSettled()
    }

    @Test("seek back delivers again, once nothing is in flight; seek forward skips")
    func seek() throws {
        let world = try World([spec()])
        world.append(30)
        world.run()
        world.loop.seek(try world.lane(), to: 12)
        world.run()
        #expect(world.wire.taken["a"] == Dictionary(uniqueKeysWithValues: (1...30).map { ($0, $0 > 12 ? 2 : 1) }))
        #expect(try world.outcomes() == [.delivered: 48])
        try world.checkSettled()
        world.wire.script = { _ in .status(200, after: .seconds(3)) }
        world.append(35)
        world.run(.milliseconds(500))
        world.loop.seek(try world.lane(), to: -5)
        world.run(.seconds(60))
        #expect(world.wire.taken["a"]?.count == 65)
        #expect(world.wire.taken["a"]?.allSatisfy { $1 >= 2 || $0 > 30 } == true)
        world.loop.seek(try world.lane(), to: 60)
        world.run(.seconds(30))
        try world.checkSettled()
    }

    @Test("what was skipped and is sought again is retried as anything else")
    func seekBackOverSkipped() throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(503) }
        world.append(30)
        world.run(.seconds(1))
        world.loop.seek(try world.lane(), to: 30)
        world.run(.seconds(60))
        #expect(try world.outcomes() == [.expired: 30])
        world.loop.seek(try world.lane(), to: 0)
        world.run(.seconds(60))
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(120))
        #expect(try world.outcomes() == [.expired: 30, .delivered: 30])
        try world.checkSettled()
    }

    @Test("seek back forgets batches that wait, and a restart after it goes on from there")
    func seekBackWaiting() throws {
        let world = try World([spec()])
        world.append(20)
        world.run()
        world.wire.script = { _ in .status(503) }
        world.append(20)
        world.run(.seconds(3))
        world.loop.seek(try world.lane(), to: 15)
        world.run(.seconds(3))
        try world.restart()
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(100))
        #expect(world.wire.taken["a"] == Dictionary(uniqueKeysWithValues: (1...40).map { ($0, $0 > 15 && $0 <= 20 ? 2 : 1) }))
        try world.checkSettled()
    }

    @Test("a span that was parked comes once where a seek brings it back: its letter makes way", arguments: [false, true])
    func seekBackOverParked(restarts: Bool) throws {
        let world = try World([spec()])
        world.wire.script = { $0.spans.contains(3) ? .status(500) : .status(200) }
        world.append(10)
        for _ in 0..<100 where try world.letters().isEmpty {
            world.append(1)
            world.run(.seconds(1))
        }
        #expect(try world.letters().map(\.state) == [.parked])
        world.wire.script = { _ in .status(200) }
        world.loop.seek(try world.lane(), to: 2)
        world.run(.milliseconds(1))
        if restarts { try world.restart() }
        world.run(.seconds(7200))
        #expect(world.wire.taken["a"]?[3] == 1)
        let outcomes = try world.outcomes()
        #expect(outcomes[.purged] == 1 && outcomes[.replayed] == nil)
        try world.checkSettled()
    }

    @Test("a destination that leaves the configuration retires, and goes on where it was when it returns")
    func retire() throws {
        let world = try World([spec(), spec("b")])
        world.append(10)
        world.run()
        try world.reload([spec()])
        world.append(10)
        world.run()
        #expect(try world.consumer("b").state == .retired)
        #expect(world.wire.taken["b"]?.count == 10)
        try world.reload([spec(), spec("b")])
        world.run()
        #expect(try world.consumer("b").state == .active)
        #expect(world.wire.taken["b"] == Dictionary(uniqueKeysWithValues: (1...20).map { ($0, 1) }))
        try world.checkSettled(["a", "b"])
    }

    @Test("a destination that left the configuration while the daemon was down retires too: it pins nothing")
    func retireOverRestart() throws {
        let world = try World([spec(), spec("b"), spec("old")])
        world.append(10)
        world.run()
        try world.restart([spec(), spec("new") { $0.renamed = "old" }])
        #expect(try world.consumer("b").state == .retired)
        #expect(try world.consumer("new").state == .active)
        try world.restart([spec(), spec("b")])
        #expect(try world.consumer("b").state == .active)
    }

    @Test("a destination that leaves and returns while a request is under way settles it once")
    func returnInFlight() throws {
        let world = try World([spec(), spec("b")])
        world.wire.script = { _ in .status(200, after: .seconds(5)) }
        world.append(10)
        world.run(.milliseconds(500))
        try world.reload([spec()])
        world.run(.milliseconds(500))
        try world.reload([spec(), spec("b")])
        world.run(.seconds(30))
        #expect(world.wire.taken["b"] == Dictionary(uniqueKeysWithValues: (1...10).map { ($0, 1) }))
        try world.checkSettled(["a", "b"])
    }

    @Test("what is in flight when its destination leaves is still settled, and what it is sent last is not sent again")
    func leaveInFlight() throws {
        let world = try World([spec(), spec("b")])
        world.wire.script = { _ in .status(200, after: .seconds(5)) }
        world.append(10)
        world.run(.milliseconds(500))
        try world.reload([spec()])
        world.run(.seconds(10))
        #expect(world.loop.lanes.count == 1)
        #expect(try world.outcomes("b") == [.delivered: 10])
        try world.restart([spec(), spec("b")])
        world.run(.seconds(10))
        #expect(world.wire.taken["b"]?.values.allSatisfy { $0 == 1 } == true)
        try world.checkSettled(["a", "b"])
    }

    @Test("a new name keeps cursor and books, in a running daemon and over a restart", arguments: [false, true])
    func rename(restart: Bool) throws {
        let world = try World([spec("old")])
        world.append(10)
        world.run()
        let renamed = [spec("new") { $0.renamed = "old" }]
        if restart { try world.restart(renamed) } else { try world.reload(renamed) }
        world.append(10)
        world.run()
        #expect(try world.outcomes("new") == [.delivered: 20])
        #expect(world.log.status.consumers.count == 1)
        #expect(world.wire.taken["new"]?.count == 10)
        try world.reload(renamed)
        try world.restart(renamed)
        world.append(10)
        world.run()
        try world.checkSettled(["new"])
    }

    @Test("`renamed:` a name that is still there as another destination makes no second lane of one name")
    func renameOnto() throws {
        let world = try World([spec("old"), spec("new")])
        world.append(10)
        world.run()
        try world.reload([spec("new") { $0.renamed = "old" }])
        #expect(world.loop.lanes.filter { !$0.removed }.map(\.name) == ["new"])
        world.append(10)
        world.run()
        #expect(world.wire.taken["new"]?.values.allSatisfy { $0 == 1 } == true)
        #expect(try world.consumer("old").state == .retired)
        try world.checkSettled(["new"])
    }

    @Test("a batch in flight over a reload ends as it began; what waits is sent by the new configuration")
    func reloadInFlight() throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(200, after: .seconds(5)) }
        world.append(10)
        world.run(.milliseconds(500))
        try world.reload([spec("a", TestDestination(refusesAll: true))])
        world.run(.seconds(10))
        #expect(try world.outcomes() == [.delivered: 10])
        world.append(2)
        world.run(.seconds(30))
        #expect(try world.outcomes() == [.delivered: 10, .dead: 2])
        try world.checkSettled()
    }

    @Test("a lower limit holds for the backlog too, for batches that wait included")
    func lowerLimit() throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(503) }
        world.append(30)
        world.run(.seconds(3))
        let before = world.wire.sent.count
        try world.reload([spec { $0.limits.spans = 4 }])
        world.wire.script = { _ in .status(200) }
        world.run(.seconds(30))
        #expect(world.wire.sent.dropFirst(before).allSatisfy { $0.spans.count <= 4 })
        try world.checkSettled()
    }

    @Test("a changed backlog limit holds after a reload")
    func backlogLimit() throws {
        let world = try World([spec { $0.backlog = BacklogLimit(bytes: 0, expires: false) }]) { $0.maxSize = 8 << 20 }
        let pressed = Mutex<[Int64]>([])
        world.log.observe { event in if case .pressure(let consumer, _, _) = event { pressed.withLock { $0.append(consumer) } } }
        try world.loop.pause(world.lane())
        while world.log.status.usedBytes < (8 << 20) / 100 * 93 { world.append(1, bytes: 100_000) }
        #expect(world.log.flush() && pressed.withLock { $0.isEmpty })
        try world.reload([spec { $0.backlog = BacklogLimit(bytes: 0, expires: true) }])
        world.time.advance(.seconds(1))
        // Looked at after each commit: the first one may yet be the reload's own.
        for _ in 0..<3 { #expect(world.log.flush()) }
        #expect(pressed.withLock { $0.contains(world.loop.lanes[0].consumer) })
    }

    @Test("a destination that no route selects settles its backlog as filtered, and a reload turns it back on")
    func filtered() throws {
        let world = try World([spec("a")], rules: .one("other", to: [], of: ["a"]))
        world.append(25)
        world.run()
        #expect(try world.outcomes() == [.filtered: 25])
        #expect(world.wire.sent.isEmpty)
        try world.reload([spec("a")], rules: .one("production", to: ["a"], of: ["a"]))
        world.append(5)
        world.run()
        #expect(try world.consumer().ledger[LedgerKey(.delivered, route: "production")]?.spans == 5)
        try world.checkSettled()
        world.wire.script = { _ in .status(503) }
        world.append(15)
        world.run(.milliseconds(150))
        try world.reload([spec("a")], rules: .one("other", to: [], of: ["a"]))
        world.run(.seconds(5))
        try world.checkSettled()
    }

    @Test("a destination begins where it is told to", arguments: [("end", 21), ("beginning", 1), ("ago", 11)])
    func start(at: String, first: Int64) throws {
        let world = try World([spec()])
        world.append(10)
        world.run(.seconds(3600))
        world.append(10)
        world.run(.seconds(60))
        try world.reload([
            spec(),
            spec("b") { $0.start = at == "end" ? .end : at == "beginning" ? .beginning : .ago(.seconds(600)) },
        ])
        world.append(5)
        world.run()
        #expect(world.wire.taken["b"]?.keys.sorted() == Array(first...25))
        try world.checkSettled(["a", "b"])
    }

    @Test("a stop starts nothing more, and does not keep the loop turning")
    func stopping() throws {
        let world = try World([spec()])
        world.wire.script = { _ in .status(503, after: .seconds(3)) }
        world.append(100)
        world.run(.milliseconds(100))
        world.loop.stopping = true
        let before = world.wire.sent.count
        world.run(.seconds(60))
        #expect(world.wire.sent.count == before)
        #expect(world.loop.inFlight == 0)
        try world.checkBooks()
    }

    @Test("while the spool fails nothing is sent, and the loop does not spin")
    func spoolFails() throws {
        let world = try World([spec()])
        world.append(100)
        world.loop.spoolFails = true
        world.run(.seconds(60))
        #expect(world.wire.sent.isEmpty)
        world.loop.spoolFails = false
        world.run()
        try world.checkSettled()
    }
}
