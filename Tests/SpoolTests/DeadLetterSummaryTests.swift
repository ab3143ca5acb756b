import Foundation
import SpanModel
import Testing

@testable import Spool

@Suite struct DeadLetterSummaryTests {
    /// Letters of consumer 1: spans 1 to 8, of three reasons, the fourth without its span.
    private func log() throws -> TestLog {
        let test = try TestLog()
        let batch = spans([Int](repeating: 10, count: 8))
        #expect(test.log.commit(batch) == nil)
        for name in ["a", "b"] { _ = try test.log.register(name, from: 0, backlog: .none) }
        var settlement = Settlement(consumer: 1, cursor: Cursor(position: 0))
        for span in 1...8 as ClosedRange<Int64> {
            let reason = span == 4 ? "partial_unknown" : span % 2 == 0 ? "http_400" : "http_422"
            let at = Self.now + span * 1000
            settlement.cursor.settle(span...span)
            settlement.add(LedgerKey(.dead), Tally(spans: 1))
            settlement.dead.append(
                DeadLetter(
                    consumer: 1, span: span, state: .dead, reason: reason, status: span % 2 == 0 ? 400 : 422, detail: "", attempts: 1,
                    firstAt: at, lastAt: at, stored: span == 4 ? nil : batch.stored[Int(span) - 1]))
        }
        test.log.settle(settlement)
        #expect(test.log.flush())
        return test
    }

    private static let now = Int64(startOfRun / 1_000_000)

    @Test(
        "a filter means the letters for which all of it holds",
        arguments: [
            (DeadLetterFilter(), [1, 2, 3, 4, 5, 6, 7, 8]),
            (DeadLetterFilter(reason: "http_400"), [2, 6, 8]),
            (DeadLetterFilter(status: 400), [2, 4, 6, 8]),
            (DeadLetterFilter(status: 0), []),
            (DeadLetterFilter(since: now + 5000), [5, 6, 7, 8]),
            (DeadLetterFilter(until: now + 5000), [1, 2, 3, 4]),
            (DeadLetterFilter(since: now + 3000, until: now + 6000), [3, 4, 5]),
            (DeadLetterFilter(spans: [7, 8, 9], status: 422), [7]),
        ] as [(DeadLetterFilter, [Int64])])
    func filters(filter: DeadLetterFilter, spans: [Int64]) throws {
        let test = try log()
        let reader = try test.log.reader()
        let summary = try reader.deadLetterSummary(consumer: 1, filter: filter)
        #expect(summary.spans == spans)
        #expect(summary.groups.reduce(0) { $0 + $1.letters } == spans.count)
        #expect(summary.oldest == spans.first.map { Self.now + $0 * 1000 } && summary.newest == spans.last.map { Self.now + $0 * 1000 })
        let replayable = spans.filter { $0 != 4 }
        #expect(try reader.replayableLetters(consumer: 1, filter: filter) == replayable)
        #expect(summary.groups.reduce(0) { $0 + $1.replayable } == replayable.count)
        #expect(try reader.deadLetterSummary(consumer: 2, filter: filter) == DeadLetterSummary())
        #expect(try test.log.replay(consumer: 1, filter) == replayable.count)
    }

    @Test("an empty filter is known as one")
    func isEmpty() {
        #expect(DeadLetterFilter().isEmpty)
        for filter in [DeadLetterFilter(spans: []), .init(reason: ""), .init(status: 0), .init(since: 0), .init(until: 0)] {
            #expect(!filter.isEmpty)
        }
    }

    @Test("the groups are counted by reason and status, the most frequent first")
    func groups() throws {
        let test = try log()
        let groups = try test.log.reader().deadLetterSummary(consumer: 1, filter: .init()).groups
        #expect(groups.map(\.reason) == ["http_422", "http_400", "partial_unknown"])
        #expect(groups.map(\.letters) == [4, 3, 1] && groups.map(\.replayable) == [4, 3, 0])
    }

    @Test("of letters that are sent again those that wait, are parked and died again are told apart; what was delivered is gone")
    func fates() throws {
        let test = try log()
        #expect(try test.log.replay(consumer: 1, DeadLetterFilter(spans: [1, 2, 3, 5])) == 4)
        let reader = try test.log.reader()
        #expect(try reader.fates(of: [1, 2, 3, 5], consumer: 1) == DeadLetterFates(replaying: 4))
        var letters = try reader.deadLetters(consumer: 1, filter: DeadLetterFilter(spans: [2, 3]), limit: 2)
        for index in letters.indices { letters[index].state = letters[index].span == 2 ? .dead : .parked }
        var settlement = Settlement(consumer: 1, cursor: try test.log.consumer(1).cursor)
        settlement.retried = [DeadLetterRetry(span: 1, failed: nil)] + letters.map { DeadLetterRetry(span: $0.span, failed: $0) }
        settlement.add(LedgerKey(.replayed), Tally(spans: 1))
        test.log.settle(settlement)
        #expect(test.log.flush())
        #expect(try reader.fates(of: [1, 2, 3, 5], consumer: 1) == DeadLetterFates(replaying: 1, parked: 1, dead: 1))
        #expect(try reader.fates(of: [], consumer: 1) == DeadLetterFates())
        try BooksTests.expectBalanced(test.log, "after a replay")
    }
}
