import Testing

@testable import Journal

@Suite struct LineQueueTests {
    private func debug(_ number: Int) -> Line { .event("delivered", level: .debug, message: "\(number)") }

    private func drain(_ queue: inout LineQueue) -> [Line] {
        var lines: [Line] = []
        while let line = queue.next(now: 0, at: 0) { lines.append(line) }
        return lines
    }

    @Test("lines leave as they came")
    func order() {
        var queue = LineQueue()
        for number in 0..<100 { _ = queue.add(debug(number), now: 0) }
        #expect(drain(&queue).map(\.message) == (0..<100).map(String.init))
        #expect(queue.lost == 0)
    }

    @Test("a full ring loses what comes then, counts it, and says so where the gap is")
    func full() {
        var queue = LineQueue()
        for number in 0..<LineQueue.linesMax + 1_234 { _ = queue.add(debug(number), now: 0) }
        #expect(queue.lost == 1_234)
        let lines = drain(&queue)
        let gaps = lines.filter { $0["event"] == "journal_lines_lost" }
        #expect(gaps.map(\.message) == ["1,234 lines were lost: the journal did not take them"])
        #expect(gaps.first?.level == .warning)
        #expect(lines.filter { $0["event"] != "journal_lines_lost" }.map(\.message) == (0..<LineQueue.linesMax).map(String.init))
    }

    @Test("it is full by bytes too")
    func bytes() {
        var queue = LineQueue()
        let large = Line.event("x", level: .debug, message: String(repeating: "x", count: 8_000))
        for _ in 0..<1_000 { _ = queue.add(large, now: 0) }
        let held = drain(&queue).filter { $0["event"] == "x" }.reduce(0) { $0 + $1.bytes }
        #expect(held <= LineQueue.bytesMax && held > LineQueue.bytesMax - 2 * large.bytes)
        #expect(queue.lost > 800)
    }

    @Test("every line is written or told as lost, whatever the pace", arguments: 1...5 as ClosedRange<UInt64>)
    func accounting(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        var queue = LineQueue()
        var (added, written, told) = (0, 0, 0)
        func take(_ count: Int) {
            for _ in 0..<count {
                guard let line = queue.next(now: 0, at: 0) else { return }
                if line["event"] == "journal_lines_lost" { told += line["lines"].flatMap(Int.init) ?? 0 } else { written += 1 }
            }
        }
        for _ in 0..<20 {
            let burst = Int.random(in: 0..<3_000, using: &rng)
            for number in 0..<burst { _ = queue.add(debug(number), now: 0) }
            added += burst
            take(Int.random(in: 0..<2_000, using: &rng))
        }
        take(.max)
        #expect(written + told == added && told == queue.lost, "seed \(seed)")
        #expect(told > 0)
    }

    @Test("the thread is woken for the first line, and when a storm begins; not for each")
    func wakes() {
        var queue = LineQueue()
        let debugWakes = (0..<3).map { queue.add(debug($0), now: 0) }
        #expect(debugWakes == [true, false, false])
        let emptied = drain(&queue).count
        let again = queue.add(debug(3), now: 0)
        #expect(emptied == 3 && again)
        let storm = (0..<8).map { _ in queue.add(.event("retry"), now: 0) }
        #expect(storm == [false, false, false, false, false, true, false, false])
    }

    @Test("closed, it gives out what waits and what storms held, and counts later lines as lost")
    func closed() {
        var queue = LineQueue()
        for _ in 0..<7 { _ = queue.add(.event("retry"), now: 0) }
        queue.close()
        _ = queue.add(.event("late"), now: 0)
        let messages = drain(&queue).map(\.message)
        #expect(messages.count == 6 && messages.last?.hasPrefix("... and 2 more") == true)
        #expect(queue.lost == 1)
    }
}
