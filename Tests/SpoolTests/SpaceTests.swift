import Glibc
import SpanModel
import Testing
import Threading

@testable import Spool

@Suite struct TrimTests {
    private func oldest(_ test: TestLog) throws -> Int64? {
        try Database(path: test.options.path, readOnly: true).integer("SELECT min(first_id) FROM segments")
    }

    /// Commits enough to give the writer some turns.
    private func turn(_ test: TestLog, _ times: Int = 3) { for _ in 0..<times { #expect(test.log.flush()) } }

    @Test("when the wall clock jumps no history goes by its age until it has agreed with the boot clock for an hour")
    func clockJump() throws {
        let clock = PlayedClock()
        let test = try TestLog(in: try TemporaryDirectory(), clock: clock.clock) { $0.history = .seconds(3600) }
        let consumer = try test.log.register("a", backlog: .none)
        for _ in 0..<3 { #expect(test.log.commit(spans([1, 1], receivedAt: clock.wall)) == nil) }
        try test.log.deliver(consumer.id, 1...6)
        turn(test)
        clock.jump(.seconds(86_400))
        turn(test)
        #expect(try oldest(test) == 1)
        clock.advance(.seconds(3601))
        turn(test)
        #expect(try oldest(test) == 5)
    }

    @Test("settled spans are kept for the history, then go; the newest row stays and ids go on after it")
    func history() throws {
        let clock = PlayedClock()
        let directory = try TemporaryDirectory()
        var test = try TestLog(in: directory, clock: clock.clock) { $0.history = .seconds(3600) }
        let consumer = try test.log.register("a", backlog: .none)
        for _ in 0..<3 { #expect(test.log.commit(spans([1, 1], receivedAt: clock.wall)) == nil) }
        try test.log.deliver(consumer.id, 1...6)
        clock.advance(.seconds(3599))
        turn(test)
        #expect(try oldest(test) == 1)
        clock.advance(.seconds(2))
        turn(test)
        #expect(try oldest(test) == 5)
        #expect(test.log.status.oldestID == 5)
        test.log.close()
        test = try TestLog(in: directory, clock: clock.clock)
        #expect(test.log.lastID == 6 && test.log.status.acceptedBytes == 6)
        #expect(test.log.commit(spans([1])) == nil && test.log.lastID == 7)
        try BooksTests.expectBalanced(test.log, "trimmed")
    }

    @Test("nothing goes that a consumer waits for, a paused one too; a retired one pins nothing")
    func cursors() throws {
        let clock = PlayedClock()
        let test = try TestLog(clock: clock.clock) { $0.history = .zero }
        let (a, b) = (try test.log.register("a", backlog: .none), try test.log.register("b", backlog: .none))
        for _ in 0..<5 { #expect(test.log.commit(spans([1, 1], receivedAt: clock.wall)) == nil) }
        clock.advance(.seconds(10))
        turn(test)
        #expect(try oldest(test) == 1)
        try test.log.deliver(a.id, 1...10)
        try test.log.deliver(b.id, 1...3)
        try test.log.set(.paused, of: b.id)
        turn(test)
        // Id 4 is still wanted, so its segment stays.
        #expect(try oldest(test) == 3)
        try test.log.deliver(b.id, 5...10)
        turn(test)
        #expect(try oldest(test) == 3)
        try test.log.set(.retired, of: b.id)
        turn(test)
        #expect(try oldest(test) == 9)
        #expect(try test.log.stored(from: 9).count == 2)
    }

    @Test("over nine tenths of max_size history gives way, and what is delivered never fills the spool", arguments: [16 << 20, 24 << 20])
    func pressure(maxSize: Int) throws {
        let test = try TestLog { $0.maxSize = maxSize }
        let consumer = try test.log.register("a", backlog: .none)
        var next: Int64 = 1
        for _ in 0..<40 {
            #expect(test.log.commit(spans([200 << 10, 200 << 10, 200 << 10, 200 << 10, 200 << 10])) == nil)
            try test.log.deliver(consumer.id, next...next + 4)
            next += 5
        }
        #expect(!test.heard.all.contains { if case .full = $0 { true } else { false } })
        #expect(test.log.status.usedBytes <= maxSize)
        #expect(test.log.status.consumers[consumer.id]?.balances == true)
    }

    @Test("one step of trimming is bounded by bytes, not by rows: a thousand small segments go at once, of large ones 4 MiB")
    func steps() throws {
        for (bytes, goes) in [(1, 1_000...1_400), (256 << 10, 15...18)] as [(Int, ClosedRange<Int64>)] {
            let directory = try TemporaryDirectory()
            var options = SpoolOptions(path: directory.spool)
            (options.reserveBytes, options.durability, options.history) = (0, .none, .zero)
            let file = try LogFile(options)
            for number in 1...(bytes == 1 ? 1_500 : 40) as ClosedRange<UInt64> {
                _ = try file.commit(Work(number: number, chunks: [spans([bytes])]), now: 0)
            }
            try file.trim(now: .max / 4, pressed: false)
            #expect(goes.contains((file.oldest?.first ?? 0) - 1))
            #expect(file.nextID == (bytes == 1 ? 1_501 : 41))
        }
    }

    @Test("once the WAL has been long, commits do not checkpoint one by one")
    func checkpoints() throws {
        let vfs = FaultyVFS()
        let test = try TestLog { $0.disk = SystemDisk(vfs: vfs.name) }
        for _ in 0..<20 { #expect(test.log.commit(spans([1 << 20])) == nil) }
        let before = vfs.now.databaseSyncs
        #expect(before > 0)
        for _ in 0..<30 { #expect(test.log.commit(spans([100])) == nil) }
        // A pass that was under way, the restart after it, and both once more at the most.
        #expect(vfs.now.databaseSyncs - before <= 4)
    }
}

@Suite struct SpaceTests {
    private static let size = 16 << 20

    /// Appends segments of 256 KiB until one is refused, `most` at most; returns how many were taken.
    private func fill(_ log: SpanLog, most: Int = 100) -> Int { (0..<most).first { _ in log.commit(spans([250 << 10])) != nil } ?? most }

    private func limits(_ bytes: Int64, _ expires: Bool) -> BacklogLimit { BacklogLimit(bytes: bytes, expires: expires) }

    @Test("a destination that holds its backlog fills the spool: spans are refused, the daemon is told, and it opens when there is room")
    func hold() throws {
        let test = try TestLog { $0.maxSize = Self.size }
        let consumer = try test.log.register("a", backlog: limits(0, false))
        let taken = fill(test.log)
        #expect((25..<80).contains(taken))
        #expect(test.heard.first { if case .full(let disk) = $0 { !disk } else { nil } } == true)
        #expect(test.log.status.refusal == .full && test.log.status.trouble.contains("max_size"))
        #expect(!test.heard.all.contains { if case .pressure = $0 { true } else { false } })
        #expect(test.log.status.usedBytes < Self.size + (2 << 20))
        // Fates are written all the same, and lead out of it.
        try test.log.deliver(consumer.id, 1...test.log.lastID)
        #expect(test.heard.first { if case .recovered = $0 { true } else { nil } } == true)
        #expect(test.log.commit(spans([10])) == nil)
        try BooksTests.expectBalanced(test.log, "full, then open")
    }

    @Test("the destination furthest over its backlog is told to give way, up to where that frees space")
    func victim() throws {
        let test = try TestLog { $0.maxSize = Self.size }
        _ = try test.log.register("small", backlog: limits(1 << 20, true))
        let wide = try test.log.register("wide", backlog: limits(.max, true))
        let over = try test.log.register("over", backlog: limits(0, true))
        for _ in 0..<4 { #expect(test.log.commit(spans([250 << 10])) == nil) }
        for id in [wide.id] { try test.log.deliver(id, 1...4) }
        _ = fill(test.log, most: 70)
        let (named, through) = try #require(
            test.heard.first { if case .pressure(let consumer, let through, false) = $0 { (consumer, through) } else { nil } })
        #expect(named == over.id)
        #expect(through >= 1 && through < test.log.lastID)
    }

    @Test("those that are as far over are told in one go: space comes when the last of them has given way")
    func victims() throws {
        let test = try TestLog { $0.maxSize = Self.size }
        let down = try ["a", "b", "c"].map { try test.log.register($0, backlog: limits(0, true)).id }
        let near = try test.log.register("near", backlog: limits(0, true)).id
        for _ in 0..<70 {
            guard test.log.commit(spans([250 << 10])) == nil else { break }
            try test.log.deliver(near, test.log.lastID...test.log.lastID)
        }
        let named = test.heard.all.compactMap { if case .pressure(let consumer, _, _) = $0 { consumer } else { nil } }
        #expect(Set(named.prefix(3)) == Set(down) && !named.contains(near))
    }

    @Test("a destination that gives way makes room, so the log goes on for ever")
    func givingWay() throws {
        let test = try TestLog { $0.maxSize = Self.size }
        let consumer = try test.log.register("a", backlog: limits(1 << 20, true))
        test.log.observe { [weak log = test.log] event in
            guard case .pressure(consumer.id, let through, _) = event, let log, var cursor = log.status.consumers[consumer.id]?.cursor,
                through > cursor.position
            else { return }
            let range = cursor.position + 1...through
            cursor.settle(range)
            var settlement = Settlement(consumer: consumer.id, cursor: cursor)
            settlement.add(LedgerKey(.expired, reason: "backlog"), Tally(spans: Int64(range.count)))
            // From a thread of its own, as delivery does.
            startThread(name: "expires") { [settlement] in log.settle(settlement) }.join()
        }
        for _ in 0..<3_000 where test.log.lastID < 200 {
            // Over max_size until the room is made: a writer that comes again.
            if test.log.commit(spans([250 << 10])) != nil { usleep(5_000) }
            #expect(test.log.status.usedBytes < Self.size + (2 << 20))
        }
        #expect(try test.log.consumer(consumer.id).settledSpans > 50 && test.log.lastID == 200)
        try BooksTests.expectBalanced(test.log, "gave way")
    }

    @Test("max_size holds, though the one that is to give way does not", arguments: [WhenFull.reject, .dropOldest])
    func deaf(whenFull: WhenFull) throws {
        let test = try TestLog {
            $0.maxSize = Self.size
            $0.whenFull = whenFull
        }
        _ = try test.log.register("deaf", backlog: limits(0, true))
        #expect(fill(test.log) < 100)
        #expect(test.log.status.usedBytes < Self.size + (2 << 20))
    }

    @Test(
        "behind one that holds, or is within its backlog, nobody else loses spans for nothing: the spool is full",
        arguments: [(0, false), (1 << 30, true)])
    func heldByAnother(backlog: Int64, expires: Bool) throws {
        let test = try TestLog { $0.maxSize = Self.size }
        _ = try test.log.register("holds", backlog: limits(backlog, expires))
        let expires = try test.log.register("expires", backlog: limits(0, true))
        for _ in 0..<4 { #expect(test.log.commit(spans([250 << 10])) == nil) }
        try test.log.deliver(expires.id, 1...2)
        #expect(fill(test.log) < 100)
        #expect(!test.heard.all.contains { if case .pressure = $0 { true } else { false } })
        #expect(test.log.status.usedBytes < Self.size + (2 << 20))
    }

    @Test("a destination whose spans are not in the way of space gives none up")
    func notInTheWay() throws {
        let test = try TestLog { $0.maxSize = Self.size }
        let behind = try test.log.register("behind", backlog: limits(2 << 20, true))
        let ahead = try test.log.register("ahead", backlog: limits(0, true))
        for _ in 0..<40 {
            guard test.log.commit(spans([250 << 10])) == nil else { break }
            if test.log.lastID <= 20 { try test.log.deliver(ahead.id, test.log.lastID...test.log.lastID) }
        }
        _ = fill(test.log, most: 60)
        let named = test.heard.all.compactMap { if case .pressure(let consumer, _, _) = $0 { consumer } else { nil } }
        #expect(!named.isEmpty && named.allSatisfy { $0 == behind.id })
    }

    @Test("drop_oldest asks the one furthest behind, even one that holds")
    func dropOldest() throws {
        let test = try TestLog {
            $0.maxSize = Self.size
            $0.whenFull = .dropOldest
        }
        let behind = try test.log.register("holds", backlog: limits(.max, false))
        let ahead = try test.log.register("ahead", backlog: limits(.max, true))
        for _ in 0..<4 { #expect(test.log.commit(spans([250 << 10])) == nil) }
        try test.log.deliver(ahead.id, 1...4)
        _ = fill(test.log, most: 60)
        let named = test.heard.all.compactMap { if case .pressure(let consumer, _, true) = $0 { consumer } else { nil } }
        #expect(named.first == behind.id)
    }

    @Test("a retired destination is asked nothing, and pins nothing")
    func retired() throws {
        let test = try TestLog { $0.maxSize = Self.size }
        let consumer = try test.log.register("gone", backlog: limits(0, false))
        try test.log.set(.retired, of: consumer.id)
        #expect(fill(test.log, most: 150) == 150)
        #expect(!test.heard.all.contains { if case .pressure = $0 { true } else { false } })
    }

    @Test("block waits for the time configured, then rejects; room in time lets the span in")
    func block() throws {
        let test = try TestLog {
            $0.maxSize = Self.size
            $0.whenFull = .block(.milliseconds(400))
        }
        let consumer = try test.log.register("a", backlog: limits(0, false))
        let began = SuspendingClock.now
        _ = fill(test.log)
        #expect(test.log.status.refusal == .full)
        #expect(began.duration(to: .now) >= .milliseconds(400))
        let freed = startThread(name: "frees") { [log = test.log] in
            guard var cursor = log.status.consumers[consumer.id]?.cursor else { return }
            let range = cursor.position + 1...log.lastID
            cursor.settle(range)
            var settlement = Settlement(consumer: consumer.id, cursor: cursor)
            settlement.add(LedgerKey(.delivered), Tally(spans: Int64(range.count)))
            log.settle(settlement)
        }
        // The trimming of it all may take longer than one wait.
        let outcomes = (0..<50).map { _ in test.log.commit(spans([10])) }
        freed.join()
        #expect(outcomes.contains(nil))
    }

    @Test(
        "the id up to which spans must go to free so many bytes",
        arguments: [(1, 1), (100, 1), (101, 2), (350, 4), (400, 4), (10_000, 9)] as [(Int64, Int64)])
    func freeing(bytes: Int64, through: Int64) throws {
        let directory = try TemporaryDirectory()
        var options = SpoolOptions(path: directory.spool)
        options.reserveBytes = 0
        let file = try LogFile(options)
        #expect(try file.id(freeing: bytes) == nil)
        for number in 1...10 as ClosedRange<UInt64> { _ = try file.commit(Work(number: number, chunks: [spans([100])]), now: 0) }
        #expect(try file.id(freeing: bytes) == through)
        #expect(try file.bytes(beyond: 0) == 1_000 && file.bytes(beyond: 9) == 100 && file.bytes(beyond: 10) == 0)
    }
}
