import SpanModel
import Testing

@testable import Spool

@Suite struct CommitQueueTests {
    private static let millisecond: UInt64 = 1_000_000

    private enum Step: Sendable {
        case spans([Int], ack: Bool = false)
        case wantAck, settle, reject
    }

    @Test(
        "a commit is due at once for an ack or at 256 KiB, else 20 ms after its first span, 100 ms after its first settlement",
        arguments: [
            ([], nil),
            ([.spans([10])], 20),
            ([.spans([10]), .spans([10])], 20),
            ([.spans([10], ack: true)], 0),
            ([.spans([10]), .wantAck], 0),
            ([.wantAck], 0),
            ([.spans([256 << 10])], 0),
            ([.spans([200 << 10, 56 << 10])], 0),
            ([.spans([(256 << 10) - 1])], 20),
            ([.settle], 100),
            ([.reject], 100),
            ([.settle, .spans([10])], 20),
            ([.spans([0])], 20),
        ] as [([Step], UInt64?)])
    private func due(steps: [Step], milliseconds: UInt64?) {
        let began = 5 * Self.millisecond
        var queue = CommitQueue(lastReceived: 0)
        for (index, step) in steps.enumerated() {
            // Each step comes a millisecond after the one before; the first one decides.
            let now = began + UInt64(index) * Self.millisecond
            switch step {
            case .spans(let lengths, let ack): queue.append(spans(lengths), ackWanted: ack, now: now)
            case .wantAck: queue.wantAck()
            case .settle: queue.settle(Settlement(consumer: 1, cursor: Cursor(position: 1)), now: now)
            case .reject: queue.reject(RejectionKey(source: .unix, reason: "invalid_json"), 1, now: now)
            }
        }
        let lastStep = UInt64(max(0, steps.count - 1)) * Self.millisecond
        let settleFirst = if case .settle = steps.first { true } else { false }
        let first = settleFirst && steps.count > 1 ? began + lastStep : began
        #expect(queue.dueAt() == milliseconds.map { $0 == 0 ? 0 : first + $0 * Self.millisecond })
        if let due = queue.dueAt() {
            var early = queue
            let tooEarly = due > 0 ? early.take(now: due - 1) : nil
            #expect(tooEarly == nil)
            let work = queue.take(now: due)
            #expect(work?.number == 1)
            #expect(queue.number == 2)
            #expect(queue.dueAt() == nil || steps.contains { if case .settle = $0 { true } else { false } })
        } else {
            let (due, all) = (queue.take(now: .max), queue.take(now: .max, all: true))
            #expect(due == nil && all == nil)
            #expect(queue.number == 1)
        }
    }

    @Test(
        "spans gather in segments of at most 256 KiB; a larger span stands alone",
        arguments: [
            ([[1], [2], [3]], [[1, 2, 3]]),
            ([[256, 1]], [[256], [1]]),
            ([[100, 100, 100, 100, 100]], [[100, 100], [100, 100], [100]]),
            ([[100], [300], [100]], [[100], [300], [100]]),
            ([[300, 300]], [[300], [300]]),
            ([[300, 1, 1]], [[300], [1, 1]]),
            ([[255], [1], [1]], [[255, 1], [1]]),
            ([[256], [256]], [[256], [256]]),
            ([[4096]], [[4096]]),
            ([[0, 300, 0]], [[0], [300], [0]]),
        ] as [([[Int]], [[Int]])])
    func segments(batches: [[Int]], expected: [[Int]]) throws {
        var queue = CommitQueue(lastReceived: 0)
        let all = batches.map { spans($0.map { $0 << 10 }) }
        for batch in all { queue.append(batch, ackWanted: true, now: 1) }
        let work = try queue.taken(now: 1)
        #expect(work.chunks.map { $0.entries.map { Int($0.length) >> 10 } } == expected)
        #expect(work.chunks.flatMap { $0.stored.map(\.bytes) } == all.flatMap { $0.stored.map(\.bytes) })
    }

    @Test("whatever is appended comes out once, in order, in bounded segments, with the same bytes", arguments: Seeds.thisRun)
    func chunking(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        var queue = CommitQueue(lastReceived: 0)
        var appended: [[UInt8]] = []
        for _ in 0..<8 {
            let batch = spans((0..<rng.below(40)).map { _ in rng.below(30) == 0 ? rng.below(600 << 10) : rng.below(3000) })
            appended += batch.stored.map(\.bytes)
            queue.append(batch, ackWanted: false, now: 1)
        }
        let work = try queue.taken(now: 1, all: true)
        #expect(work.chunks.flatMap { $0.stored.map(\.bytes) } == appended, "again: TRACEFWD_SEED=\(seed)")
        for chunk in work.chunks {
            #expect(!chunk.isEmpty && (chunk.payload.count <= CommitQueue.segmentBytes || chunk.count == 1))
            var end: UInt32 = 0
            for entry in chunk.entries {
                #expect(entry.offset == end)
                end = entry.offset + entry.length
            }
            #expect(Int(end) == chunk.payload.count)
        }
    }

    @Test(
        "received_at never runs backwards, within a commit, from commit to commit, and over a restart",
        arguments: [([5, 3, 9], [7, 7, 9], 7), ([1, 2, 3], [1, 2, 3], 0), ([9, 1, 1], [9, 9, 9], 0)] as [([UInt64], [UInt64], UInt64)])
    func receivedAt(times: [UInt64], expected: [UInt64], before: UInt64) {
        var queue = CommitQueue(lastReceived: before)
        var seen: [UInt64] = []
        for time in times {
            queue.append(spans([1], receivedAt: time), ackWanted: true, now: 1)
            seen += queue.take(now: 1)?.chunks.flatMap { $0.entries.map(\.receivedAt) } ?? []
        }
        #expect(seen == expected)
    }

    @Test("settlements ride in a commit of 64 KiB or once they are 100 ms old; a small commit leaves them behind")
    func riding() throws {
        for (bytes, age, rides) in [(10, 0, false), (64 << 10, 0, true), ((64 << 10) - 1, 99, false), (10, 100, true)]
            as [(Int, UInt64, Bool)]
        {
            var queue = CommitQueue(lastReceived: 0)
            queue.settle(Settlement(consumer: 1, cursor: Cursor(position: 1)), now: 0)
            queue.reject(RejectionKey(source: .udp, reason: "truncated"), 2, now: 0)
            let now = age * Self.millisecond
            queue.append(spans([bytes]), ackWanted: true, now: now)
            let work = try queue.taken(now: now)
            #expect(work.settlements.isEmpty != rides && work.rejections.isEmpty != rides, "\(bytes) bytes after \(age) ms")
            #expect(queue.dueAt() == (rides ? nil : 100 * Self.millisecond))
            let rest = queue.take(now: 100 * Self.millisecond)
            let counted = [rest, work].compactMap(\.self).flatMap { Array($0.rejections.values) }
            #expect((rest?.settlements.count ?? 0) + work.settlements.count == 1)
            #expect(counted == [2])
        }
    }

    @Test("settlements of one consumer become one: the last cursor, the sum of the tallies, all letters")
    func merging() throws {
        var queue = CommitQueue(lastReceived: 0)
        for position in 1...3 as ClosedRange<Int64> {
            var settlement = Settlement(consumer: 1, cursor: Cursor(position: position))
            settlement.add(LedgerKey(.delivered), Tally(spans: 1, bytes: 10))
            settlement.retried = [DeadLetterRetry(span: position, failed: nil)]
            queue.settle(settlement, now: 0)
        }
        queue.settle(Settlement(consumer: 2, cursor: Cursor(position: 9)), now: 0)
        let work = try queue.taken(now: 0, all: true)
        let one = try #require(work.settlements[1])
        #expect(one.cursor.position == 3 && one.tallies == [LedgerKey(.delivered): Tally(spans: 3, bytes: 30)])
        #expect(one.retried.map(\.span) == [1, 2, 3])
        #expect(work.settlements[2]?.cursor.position == 9)
    }

    @Test("what a failed commit carried of fates goes with the next one, before what came later; its spans do not")
    func puttingBack() throws {
        var queue = CommitQueue(lastReceived: 0)
        let key = RejectionKey(source: .unix, reason: "too_large")
        func settlement(_ position: Int64) -> Settlement {
            var settlement = Settlement(consumer: 1, cursor: Cursor(position: position))
            settlement.add(LedgerKey(.delivered), Tally(spans: 5))
            return settlement
        }
        queue.settle(settlement(5), now: 0)
        queue.reject(key, 1, now: 0)
        queue.append(spans([1]), ackWanted: true, now: 0)
        let failed = try queue.taken(now: 0, all: true)
        queue.settle(settlement(10), now: 1)
        queue.reject(key, 2, now: 1)
        queue.putBack(failed, now: 2)
        let work = try queue.taken(now: 3, all: true)
        #expect(work.number == 2 && work.chunks.isEmpty)
        #expect(work.settlements[1]?.cursor.position == 10 && work.settlements[1]?.tallies[LedgerKey(.delivered)]?.spans == 10)
        #expect(work.rejections == [key: 3])

        queue.putBack(work, now: 7)
        #expect(queue.dueAt() == 7 + CommitQueue.settleNanoseconds)
        queue.putBack(Work(number: 9, chunks: [spans([1])]), now: 9)
        #expect(queue.dueAt() == 7 + CommitQueue.settleNanoseconds)
    }
}

extension CommitQueue {
    /// What is due now; fails the test where nothing is.
    fileprivate mutating func taken(now: UInt64, all: Bool = false) throws -> Work {
        let work = take(now: now, all: all)
        return try #require(work)
    }
}
