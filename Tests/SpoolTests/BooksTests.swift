import SpanModel
import Testing
import Threading

@testable import Spool

@Suite struct BooksTests {
    /// The three identities of DESIGN.md section 4, for every consumer.
    static func expectBalanced(_ log: SpanLog, _ hint: String) throws {
        let status = log.status
        let letters = try log.reader().deadLetterCounts()
        #expect(status.accepted == status.nextID - 1)
        for consumer in status.consumers.values {
            #expect(consumer.balances, "\(consumer.name): \(hint)")
            let spooled = status.accepted - consumer.base - consumer.settledSpans
            #expect(spooled == status.accepted - consumer.cursor.position - consumer.cursor.settledBeyond, "\(consumer.name): \(hint)")
            func sum(_ outcome: Outcome) -> Int64 { consumer.ledger.reduce(0) { $1.key.outcome == outcome ? $0 + $1.value.spans : $0 } }
            let there = letters[consumer.id, default: [:]].values.reduce(0, +)
            #expect(sum(.dead) == there + sum(.replayed) + sum(.purged) + sum(.agedOut), "letters of \(consumer.name): \(hint)")
        }
        #expect(try log.reader().verify { _ in } == [], "\(hint)")
    }

    @Test("the books balance after whatever became of spans, and after a restart; so says verify", arguments: Seeds.thisRun)
    func identities(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let directory = try TemporaryDirectory()
        let hint = "again: TRACEFWD_SEED=\(seed)"
        var test = try TestLog(in: directory)
        var cursors: [Int64: Cursor] = [:]
        var letters: [Int64: Set<Int64>] = [:]
        for round in 0..<40 {
            if rng.below(3) > 0 { #expect(test.log.commit(spans((0..<1 + rng.below(30)).map { _ in 1 + rng.below(500) })) == nil) }
            if round < 8 && rng.below(2) == 0 {
                let consumer = try test.log.register("c\(round)", from: rng.below(3) == 0 ? 0 : nil, backlog: .none)
                cursors[consumer.id] = consumer.cursor
            }
            for (id, cursor) in cursors where test.log.lastID > 0 {
                var (cursor, settlement) = (cursor, Settlement(consumer: id, cursor: cursor))
                let from = 1 + Int64(rng.below(Int(test.log.lastID)))
                for range in cursor.unsettled(in: from...min(test.log.lastID, from + Int64(rng.below(12)))) where rng.below(4) > 0 {
                    let outcome = Outcome.allCases.filter(\.settles)[rng.below(9)]
                    cursor.settle(range)
                    settlement.add(LedgerKey(outcome, reason: "r\(rng.below(2))", route: "x"), Tally(spans: Int64(range.count), bytes: 7))
                    guard outcome == .dead else { continue }
                    for span in range {
                        settlement.dead.append(Self.letter(id, span, stored: spans([9])))
                        letters[id, default: []].insert(span)
                    }
                }
                if let span = letters[id]?.randomElement(using: &rng), rng.below(2) == 0, test.log.flush() {
                    letters[id]?.remove(span)
                    settlement.retried.append(DeadLetterRetry(span: span, failed: nil))
                    settlement.add(LedgerKey(.replayed), Tally(spans: 1))
                }
                settlement.cursor = cursor
                cursors[id] = cursor
                test.log.settle(settlement)
            }
            if rng.below(6) == 0 {
                #expect(test.log.flush())
                try Self.expectBalanced(test.log, hint)
            }
            if rng.below(10) == 0 {
                test.log.close()
                test = try TestLog(in: directory)
                for (id, cursor) in cursors { #expect(try test.log.consumer(id).cursor == cursor, "\(hint)") }
            }
            if rng.below(10) == 0, let id = cursors.keys.sorted().randomElement(using: &rng) {
                let back = max(0, (cursors[id]?.position ?? 0) - Int64(rng.below(20)))
                guard test.log.flush() else { continue }
                cursors[id] = try #require(try test.log.seekBack(id, to: back)).cursor
                letters[id] = letters[id]?.filter { $0 <= back }
                #expect(cursors[id] == Cursor(position: back))
            }
        }
        test.log.close()
        test = try TestLog(in: directory)
        for (id, cursor) in cursors { #expect(try test.log.consumer(id).cursor == cursor, "\(hint)") }
        try Self.expectBalanced(test.log, hint)
    }

    @Test("a dead letter makes way where a seek lets the log deliver its span again, and the books say so")
    func letterMakesWay() throws {
        let test = try TestLog()
        #expect(test.log.commit(spans([10, 10, 10])) == nil)
        let consumer = try test.log.register("a", from: 0, backlog: .none)
        func die(_ ids: ClosedRange<Int64>) {
            var settlement = Settlement(consumer: consumer.id, cursor: Cursor(position: ids.upperBound))
            settlement.add(LedgerKey(.dead, reason: "refused"), Tally(spans: Int64(ids.count)))
            settlement.dead = ids.map { Self.letter(consumer.id, $0, stored: spans([10])) }
            test.log.settle(settlement)
        }
        func letters() throws -> [Int64] { try test.log.reader().deadLetters(consumer: consumer.id, limit: 9).map(\.span).sorted() }
        die(1...3)
        let back = try #require(try test.log.seekBack(consumer.id, to: 1))
        #expect(try letters() == [1])
        #expect(back.ledger[LedgerKey(.purged, reason: "superseded")]?.spans == 2 && back == test.log.status.consumers[consumer.id])
        die(2...3)
        #expect(test.log.flush())
        #expect(try letters() == [1, 2, 3])
        try Self.expectBalanced(test.log, "died twice")
    }

    @Test("where the log has a hole a dead letter is all there is: it stays, whatever is sought")
    func letterOfHole() throws {
        let directory = try TemporaryDirectory()
        var test = try TestLog(in: directory)
        #expect(test.log.commit(spans([10])) == nil && test.log.commit(spans([10])) == nil && test.log.commit(spans([10])) == nil)
        let consumer = try test.log.register("a", from: 0, backlog: .none)
        var settlement = Settlement(consumer: consumer.id, cursor: Cursor(position: 3))
        settlement.add(LedgerKey(.dead, reason: "refused"), Tally(spans: 3))
        settlement.dead = (1...3).map { Self.letter(consumer.id, $0, stored: spans([10])) }
        test.log.settle(settlement)
        test.log.close()
        try TestLog.tamper(
            test.options.path,
            "UPDATE segments SET format = 0, log_offset = log_offset + 10, directory = x'', payload = x'' WHERE first_id = 2")
        test = try TestLog(in: directory)
        _ = try test.log.seekBack(consumer.id, to: 0)
        #expect(try test.log.reader().deadLetters(consumer: consumer.id, limit: 9).map(\.span) == [2])
        try Self.expectBalanced(test.log, "sought over a hole")
    }

    @Test("a settlement is written within 100 ms or so, though nothing else happens")
    func settlesAlone() throws {
        let test = try TestLog()
        #expect(test.log.commit(spans([10])) == nil)
        let consumer = try test.log.register("a", from: 0, backlog: .none)
        let before = test.log.status.commits
        var settlement = Settlement(consumer: consumer.id, cursor: Cursor(position: 1))
        settlement.add(LedgerKey(.sampled, route: "r"), Tally(spans: 1, bytes: 10))
        test.log.settle(settlement)
        #expect(test.heard.outcome(of: UInt64(before) + 1) == .some(nil))
        #expect(try test.log.consumer(consumer.id).ledger == [LedgerKey(.sampled, route: "r"): Tally(spans: 1, bytes: 10)])
    }

    @Test("a settlement for a consumer that is not there costs its neighbours nothing")
    func unknownConsumer() throws {
        let test = try TestLog()
        test.log.settle(Settlement(consumer: 99, cursor: Cursor(position: 1)))
        #expect(test.log.commit(spans([10])) == nil && test.log.flush() && test.log.lastID == 1)
    }

    @Test("rejected lines are counted by source and reason, over restarts")
    func rejections() throws {
        let directory = try TemporaryDirectory()
        for run in 1...3 as ClosedRange<Int64> {
            let test = try TestLog(in: directory)
            for source in [SourceID.unix, .udp, .unixDatagram, .http] {
                test.log.reject(RejectionKey(source: source, reason: "invalid_json"), count: Int64(source.rawValue))
                test.log.reject(RejectionKey(source: source, reason: "bad_type:ack"), count: 1)
            }
            #expect(test.log.flush())
            for source in [SourceID.unix, .udp, .unixDatagram, .http] {
                #expect(test.log.status.rejections[RejectionKey(source: source, reason: "invalid_json")] == Int64(source.rawValue) * run)
                #expect(test.log.status.rejections[RejectionKey(source: source, reason: "bad_type:ack")] == run)
            }
            test.log.close()
        }
    }

    static func letter(
        _ consumer: Int64, _ span: Int64, state: DeadLetter.State = .dead, reason: String = "refused", firstAt: Int64 = 1_000,
        lastAt: Int64? = nil, nextAt: Int64? = nil, weight: Int64 = 1, stored batch: SpanBatch?
    ) -> DeadLetter {
        DeadLetter(
            consumer: consumer, span: span, state: state, reason: reason, status: 422, detail: "no", attempts: 1, firstAt: firstAt,
            lastAt: lastAt ?? Int64(Clock.system.wall() / 1_000_000), nextAt: nextAt, weight: weight, stored: batch?.stored.first)
    }
}

@Suite struct ConsumerTests {
    @Test("a consumer begins at the end of the log, at its begin on a fresh spool, or where it is told")
    func base() throws {
        let test = try TestLog()
        #expect(try test.log.register("first", backlog: .none).cursor.position == 0)
        #expect(test.log.commit(spans([1, 1, 1])) == nil)
        #expect(try test.log.register("late", backlog: .none).cursor.position == 3)
        #expect(try test.log.register("told", from: 1, backlog: .none).cursor.position == 1)
        #expect(try test.log.register("told", from: 2, backlog: .none).cursor.position == 1)
        #expect(Set(test.log.status.consumers.values.map(\.name)) == ["first", "late", "told"])
    }

    @Test("a renamed consumer keeps its cursor and its books; an old name that is not there, or a new one that is, renames nothing")
    func rename() throws {
        let directory = try TemporaryDirectory()
        var test = try TestLog(in: directory)
        let old = try test.log.register("old", backlog: .none)
        #expect(test.log.commit(spans([1, 1])) == nil)
        try test.log.deliver(old.id, 1...1)
        let new = try test.log.register("new", renamed: "old", backlog: .none)
        #expect(new.id == old.id && new.name == "new" && new.cursor.position == 1)
        #expect(try test.log.register("new", renamed: "old", backlog: .none).id == old.id)
        #expect(try test.log.register("other", renamed: "never", backlog: .none).id != old.id)
        #expect(try test.log.register("other", renamed: "new", backlog: .none).id != old.id)
        test.log.close()
        test = try TestLog(in: directory)
        #expect(try test.log.consumer(old.id).name == "new" && test.log.consumer(old.id).settledSpans == 1)
    }

    @Test("state is remembered over restarts; a retired consumer that returns is active where it was, a paused one stays paused")
    func states() throws {
        let directory = try TemporaryDirectory()
        var test = try TestLog(in: directory)
        let (a, b) = (try test.log.register("a", backlog: .none), try test.log.register("b", backlog: .none))
        #expect(test.log.commit(spans([1, 1])) == nil)
        try test.log.deliver(a.id, 1...1)
        try test.log.set(.retired, of: a.id)
        try test.log.set(.paused, of: b.id)
        test.log.close()
        test = try TestLog(in: directory)
        #expect(try test.log.consumer(a.id).state == .retired)
        let back = try test.log.register("a", from: 2, backlog: .none)
        #expect(back.id == a.id && back.state == .active && back.cursor.position == 1 && back.balances)
        #expect(try test.log.register("b", backlog: .none).state == .paused)
    }

    @Test("a seek goes back only: what was never settled is not left out of the books")
    func seek() throws {
        let test = try TestLog()
        let consumer = try test.log.register("a", backlog: .none)
        #expect(test.log.commit(spans([1, 1, 1, 1, 1])) == nil)
        try test.log.deliver(consumer.id, 1...2)
        try test.log.deliver(consumer.id, 4...4)
        let back = try #require(try test.log.seekBack(consumer.id, to: 1))
        #expect(back.cursor == Cursor(position: 1) && back.balances && back.settledSpans == 3)
        // What is to be delivered (again): ids 2 to 5.
        #expect(test.log.status.accepted - back.base - back.settledSpans == 4)
        let ahead = try test.log.seekBack(consumer.id, to: 4)
        #expect(ahead == nil || ahead == back)
        #expect(try test.log.consumer(consumer.id) == back)
        #expect(try test.log.seekBack(99, to: 0) == nil)
    }
}
