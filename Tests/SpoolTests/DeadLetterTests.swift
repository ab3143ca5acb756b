import Foundation
import SpanModel
import Testing
import Threading

@testable import Spool

@Suite struct DeadLetterTests {
    private static let day: Int64 = 86_400_000

    /// A log with these letters of consumers `a` and `b`, each with its id settled as dead.
    private func log(
        _ letters: [(consumer: Int64, letter: (Int64) -> DeadLetter)], clock: Clock = .system,
        _ change: (inout SpoolOptions) -> Void = { _ in }
    ) throws -> TestLog {
        let test = try TestLog(clock: clock, change)
        #expect(test.log.commit(spans([Int](repeating: 10, count: 20))) == nil)
        for name in ["a", "b"] { _ = try test.log.register(name, from: 0, backlog: .none) }
        for id in [1, 2] as [Int64] {
            var (cursor, settlement) = (Cursor(position: 0), Settlement(consumer: id, cursor: Cursor(position: 0)))
            for case (id, let make) in letters {
                let letter = make(id)
                cursor.settle(letter.span...letter.span)
                settlement.dead.append(letter)
                settlement.add(LedgerKey(.dead, reason: letter.reason), Tally(spans: letter.weight))
            }
            // The weight of a letter for many spans: its neighbours.
            settlement.cursor = cursor
            test.log.settle(settlement)
        }
        #expect(test.log.flush())
        return test
    }

    private func payloads(_ test: TestLog) throws -> [Int64] {
        var spans: [Int64] = []
        try Database(path: test.options.path, readOnly: true).each("SELECT span FROM dead_spans ORDER BY span") {
            spans.append($0.integer(0))
        }
        return spans
    }

    @Test("a letter that was purged while it was sent again counts as purged alone")
    func purgedUnderWay() throws {
        let batch = spans([33])
        let test = try log([(1, { BooksTests.letter($0, 3, stored: batch) }), (1, { BooksTests.letter($0, 4, stored: batch) })])
        #expect(try test.log.replay(consumer: 1, DeadLetterFilter()) == 2)
        #expect(try test.log.purge(consumer: 1, DeadLetterFilter(spans: [3])) == 1)
        var settlement = Settlement(consumer: 1, cursor: try #require(test.log.status.consumers[1]).cursor)
        settlement.retried = [3, 4].map { DeadLetterRetry(span: $0, failed: nil) }
        settlement.add(LedgerKey(.replayed), Tally(spans: 2))
        test.log.settle(settlement)
        #expect(test.log.flush())
        let ledger = try #require(test.log.status.consumers[1]).ledger
        #expect(ledger[LedgerKey(.purged)]?.spans == 1 && ledger[LedgerKey(.replayed)]?.spans == 1)
        let file = try Database(path: test.options.path, readOnly: true)
        #expect(try file.integer("SELECT spans FROM ledger WHERE outcome = 'replayed'") == 1)
    }

    @Test("a letter is kept with its span, and listed without; the last failed first")
    func listing() throws {
        let batch = spans([33])
        let test = try log([
            (1, { BooksTests.letter($0, 3, state: .parked, reason: "timeout", firstAt: 5, lastAt: 60, nextAt: 99, stored: batch) }),
            (1, { BooksTests.letter($0, 4, lastAt: 70, stored: batch) }), (2, { BooksTests.letter($0, 3, lastAt: 80, stored: batch) }),
        ])
        let reader = try test.log.reader()
        let listed = try reader.deadLetters(consumer: 1, limit: 10)
        #expect(listed.map(\.span) == [4, 3] && listed.allSatisfy { $0.stored == nil })
        #expect(try reader.deadLetters(consumer: 1, limit: 1).map(\.span) == [4])
        let parked = try #require(try reader.deadLetter(consumer: 1, span: 3))
        #expect(parked == BooksTests.letter(1, 3, state: .parked, reason: "timeout", firstAt: 5, lastAt: 60, nextAt: 99, stored: batch))
        #expect(try reader.deadLetter(consumer: 2, span: 4) == nil)
        #expect(try reader.deadLetterCounts() == [1: [.parked: 1, .dead: 1], 2: [.dead: 1]])
        #expect(try reader.nextLetterAt() == [1: 99])
        #expect(try payloads(test) == [3, 4])
    }

    @Test(
        "a filter means all that stands in it; nothing means all",
        arguments: [
            (DeadLetterFilter(), [1, 2, 3, 4]), (DeadLetterFilter(spans: [2, 9]), [2]), (DeadLetterFilter(spans: []), []),
            (DeadLetterFilter(reason: "refused"), [1, 3]), (DeadLetterFilter(reason: "x' OR 1=1 --"), []),
            (DeadLetterFilter(since: 20), [2, 3, 4]),
            (DeadLetterFilter(spans: [1, 2, 3], reason: "refused", since: 20), [3]),
            (DeadLetterFilter(spans: Array(1...50_000)), [1, 2, 3, 4]),
        ] as [(DeadLetterFilter, [Int64])])
    func filters(filter: DeadLetterFilter, expected: [Int64]) throws {
        let letters = [(1, "refused", 10), (2, "too_big", 20), (3, "refused", 30), (4, "too_big", 40)] as [(Int64, String, Int64)]
        let test = try log(
            letters.map { span, reason, at in
                (1, { BooksTests.letter($0, span, reason: reason, firstAt: at, lastAt: at, stored: spans([9])) })
            }
                + [(2, { BooksTests.letter($0, 1, stored: spans([9])) })])
        #expect(try test.log.reader().deadLetters(consumer: 1, filter: filter, limit: 10).map(\.span).sorted() == expected)
        #expect(try test.log.replay(consumer: 1, filter) == expected.count)
        // They are under way already.
        #expect(try test.log.replay(consumer: 1, filter) == 0)
        let due = try test.log.reader().dueLetters(consumer: 1, now: .max / 2, limit: 10)
        #expect(due.map(\.span).sorted() == expected && due.allSatisfy { $0.state == .replaying && $0.stored?.bytes.count == 9 })
        #expect(try test.log.purge(consumer: 1, filter) == Int64(expected.count))
        #expect(try test.log.reader().deadLetters(consumer: 1, limit: 10).map(\.span).sorted() == (1...4).filter { !expected.contains($0) })
        #expect(try test.log.reader().deadLetters(consumer: 2, limit: 10).count == 1)
        try BooksTests.expectBalanced(test.log, "after purge")
    }

    @Test("whatever ids are asked for, it is one statement: a connection keeps what it has prepared")
    func oneStatement() {
        #expect(DeadLetterFilter(spans: [1]).condition == DeadLetterFilter(spans: [2, 3]).condition)
    }

    @Test("a letter without a span cannot be sent again, and stands for as many spans as it says")
    func partialUnknown() throws {
        let test = try log([(1, { BooksTests.letter($0, 1, reason: "partial_unknown", weight: 5, stored: nil) })])
        #expect(try test.log.replay(consumer: 1, .init()) == 0)
        #expect(try test.log.reader().deadLetterCounts() == [1: [.dead: 5]])
        #expect(try test.log.reader().deadLetter(consumer: 1, span: 1)?.stored == nil)
        #expect(try test.log.purge(consumer: 1, .init()) == 5)
        #expect(try test.log.consumer(1).ledger[LedgerKey(.purged)]?.spans == 5)
    }

    @Test("a letter that was sent again goes, or stands as it failed now; its span goes with the last letter")
    func retried() throws {
        let test = try log([(1, { BooksTests.letter($0, 1, stored: spans([9])) }), (2, { BooksTests.letter($0, 1, stored: spans([9])) })])
        var again = BooksTests.letter(1, 1, state: .parked, reason: "timeout", lastAt: 777, nextAt: 888, stored: nil)
        again.attempts = 4
        again.status = 503
        again.detail = "busy"
        func retry(_ consumer: Int64, _ failed: DeadLetter?) throws {
            var settlement = Settlement(consumer: consumer, cursor: try test.log.consumer(consumer).cursor)
            settlement.retried = [DeadLetterRetry(span: 1, failed: failed)]
            if failed == nil { settlement.add(LedgerKey(.replayed), Tally(spans: 1)) }
            test.log.settle(settlement)
            #expect(test.log.flush())
        }
        try retry(1, again)
        var stands = try #require(try test.log.reader().deadLetter(consumer: 1, span: 1))
        #expect(stands.stored?.bytes.count == 9 && stands.firstAt == 1_000)
        stands.stored = nil
        #expect(stands == again)
        try retry(1, nil)
        #expect(try test.log.reader().deadLetter(consumer: 1, span: 1) == nil)
        #expect(try payloads(test) == [1])
        try retry(2, nil)
        #expect(try payloads(test) == [])
        try BooksTests.expectBalanced(test.log, "after replays")
    }

    @Test("due letters come the longest waiting first, and no sooner than their time")
    func due() throws {
        let test = try log(
            [(1, 30), (2, 10), (3, 20), (4, nil)].map { span, at in
                (1, { BooksTests.letter($0, span, state: .parked, nextAt: at, stored: spans([9])) })
            } as [(Int64, (Int64) -> DeadLetter)])
        let reader = try test.log.reader()
        #expect(try reader.dueLetters(consumer: 1, now: 20_999_999, limit: 9).map(\.span) == [2, 3])
        #expect(try reader.dueLetters(consumer: 1, now: 9_999_999, limit: 9).isEmpty)
        #expect(try reader.dueLetters(consumer: 1, now: .max / 2, limit: 2).map(\.span) == [2, 3])
        #expect(try reader.nextLetterAt() == [1: 10])
    }

    @Test("letters go after the time that they are kept, counted as aged out")
    func agingByTime() throws {
        let now = Int64(Clock.system.wall() / 1_000_000)
        let file = try aged([
            (1, 1, now - 31 * Self.day, 10), (1, 2, now - 29 * Self.day, 10), (2, 1, now - 31 * Self.day, 10), (2, 3, now, 10),
        ])
        #expect(try file.ageDeadLetters(now: UInt64(now) * 1_000_000) == 2)
        #expect(try file.letters() == [[1, 2], [2, 3]])
        #expect(file.consumers[1]?.ledger[LedgerKey(.agedOut)]?.spans == 1)
        #expect(try file.ageDeadLetters(now: UInt64(now) * 1_000_000) == 0)
    }

    @Test(
        "over the bytes they may take the oldest go, no more than must",
        arguments: [
            (1 << 30, [[1, 1], [1, 2], [1, 3], [2, 3]]), (3_000, [[1, 1], [1, 2], [1, 3], [2, 3]]), (2_999, [[1, 2], [1, 3], [2, 3]]),
            (1_500, [[1, 3], [2, 3]]), (999, []), (0, []),
        ] as [(Int, [[Int64]])])
    func agingBySize(limit: Int, left: [[Int64]]) throws {
        let now = Int64(Clock.system.wall() / 1_000_000)
        let file = try aged([(1, 1, now, 1_000), (1, 2, now, 1_000), (1, 3, now, 1_000), (2, 3, now, 1_000)], max: limit)
        // A payload that two letters share goes with the second: a look or two more may be needed.
        for _ in 0..<3 { _ = try file.ageDeadLetters(now: UInt64(now) * 1_000_000) }
        #expect(try file.letters() == left)
    }

    @Test("what goes by its age makes room: no younger letter goes for it")
    func ageBeforeSize() throws {
        let now = Int64(Clock.system.wall() / 1_000_000)
        let file = try aged([(1, 1, now, 1_000), (1, 2, now - 31 * Self.day, 1_000)], max: 1_000)
        #expect(try file.ageDeadLetters(now: UInt64(now) * 1_000_000) == 1)
        #expect(try file.letters() == [[1, 1]])
    }

    /// A spool file with letters of (consumer, span, lastAt, bytes), without a writer's thread.
    private func aged(_ letters: [(Int64, Int64, Int64, Int)], max: Int = 1 << 30) throws -> AgedFile {
        try AgedFile(letters, max: max)
    }
}

/// A spool file with its directory, for what the writer's thread does once a minute.
private final class AgedFile {
    private let directory: TemporaryDirectory
    private let file: LogFile

    init(_ letters: [(Int64, Int64, Int64, Int)], max: Int) throws {
        directory = try TemporaryDirectory()
        var options = SpoolOptions(path: directory.spool)
        (options.reserveBytes, options.deadLettersMaxSize) = (0, max)
        file = try LogFile(options)
        var work = Work(number: 1, chunks: [spans([1, 1, 1, 1])])
        for name in ["a", "b"] { _ = try file.register(name, renamed: nil, from: 0) }
        for (consumer, span, lastAt, bytes) in letters {
            var settlement = work.settlements[consumer] ?? Settlement(consumer: consumer, cursor: Cursor(position: 0))
            settlement.cursor.settle(span...span)
            settlement.dead.append(BooksTests.letter(consumer, span, lastAt: lastAt, stored: spans([bytes])))
            settlement.add(LedgerKey(.dead), Tally(spans: 1))
            work.settlements[consumer] = settlement
        }
        _ = try file.commit(work, now: 0)
    }

    var consumers: [Int64: Consumer] { file.consumers }
    func ageDeadLetters(now: UInt64) throws -> Int64 { try file.ageDeadLetters(now: now) }

    /// Pairs of consumer and span that are left; checks that the payloads fit them.
    func letters() throws -> [[Int64]] {
        let database = try Database(path: directory.spool, readOnly: true)
        var found: [[Int64]] = []
        try database.each("SELECT consumer, span FROM dead_letters ORDER BY consumer, span") {
            found.append([$0.integer(0), $0.integer(1)])
        }
        #expect(try database.integer("SELECT count(*) FROM dead_spans") == Int64(Set(found.map { $0[1] }).count))
        return found
    }
}
