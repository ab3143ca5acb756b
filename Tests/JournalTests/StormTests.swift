import Testing

@testable import Journal

@Suite struct StormTests {
    /// A stretch of equal lines: from second `from`, `count` of them, evenly over `over` seconds.
    struct Stretch: Sendable {
        var from: Double
        var count: Int
        var over: Double
    }

    /// Runs the stretches with a look at `due` every 100 ms until second `until`; gives how many passed, and each summary's count.
    private func play(_ stretches: [Stretch], until end: Double) -> (passed: Int, summaries: [Int]) {
        var storm = Storm()
        var times = stretches.flatMap { stretch in
            (0..<stretch.count).map { UInt64.seconds(stretch.from + stretch.over * Double($0) / Double(stretch.count)) }
        }[...]
        var (passed, summaries) = (0, [Int]())
        for now in stride(from: UInt64(0), through: .seconds(end), by: 100_000_000) {
            while let time = times.first, time <= now {
                if storm.admits(.event("retry"), now: time) { passed += 1 }
                times.removeFirst()
            }
            summaries += storm.due(now: now, at: 0).compactMap { $0["repeated"].flatMap(Int.init) }
        }
        #expect(passed + summaries.reduce(0, +) == stretches.reduce(0) { $0 + $1.count }, "a line was lost or told twice")
        return (passed, summaries)
    }

    @Test(
        "the first five pass, the rest are one line every ten seconds for as long as it storms",
        arguments: [
            ("few", [Stretch(from: 0, count: 5, over: 1)], 5, []),
            ("a burst", [Stretch(from: 0, count: 4_215, over: 5)], 5, [4_210]),
            ("rare lines for ever", [Stretch(from: 0, count: 100, over: 1_000)], 100, []),
            ("a storm that lasts", [Stretch(from: 0, count: 3_000, over: 30)], 5, [995, 1_000, 1_000]),
            (
                "a storm that ends and comes back", [Stretch(from: 0, count: 10, over: 1), Stretch(from: 40, count: 10, over: 1)], 10,
                [5, 5]
            ),
            ("a storm that ebbs", [Stretch(from: 0, count: 10, over: 1), Stretch(from: 12, count: 3, over: 1)], 5, [5, 3]),
        ] as [(String, [Stretch], Int, [Int])])
    func table(name: String, stretches: [Stretch], passed: Int, summaries: [Int]) {
        let result = play(stretches, until: 1_020)
        #expect(result.passed == passed, "\(name)")
        #expect(result.summaries.count == summaries.count, "\(name): \(result.summaries)")
        for (found, wanted) in zip(result.summaries, summaries) { #expect(abs(found - wanted) <= 20, "\(name): \(result.summaries)") }
    }

    @Test("a summary stands alone: how many, since when, the last of them and its fields")
    func summary() {
        var storm = Storm()
        for attempt in 1...4_215 {
            let line = Line.event(
                "retry", ["destination": "langfuse", "spans": "3", "attempt": "\(attempt)"], message: "langfuse answered 429 to 3 spans")
            _ = storm.admits(line, now: 0)
        }
        let lines = storm.due(now: .seconds(10), at: 77)
        #expect(
            lines.map(\.message)
                == ["... and 4,210 more in the last 10 s (12,630 spans), the last: langfuse answered 429 to 3 spans"])
        #expect(lines.first?.at == 77 && lines.first?.level == .warning)
        #expect(
            lines.first?.fields.map { "\($0.name)=\($0.value)" }
                == ["attempt=4215", "destination=langfuse", "event=retry", "repeated=4210", "spans=12630"])
    }

    @Test("lines of another kind are not held", arguments: ["event", "destination", "source", "reason", "status", "place"])
    func kinds(field: String) {
        var storm = Storm()
        for _ in 0..<10 { _ = storm.admits(.event("x", ["destination": "a"]), now: 0) }
        let line = Line(
            level: .warning, at: 0, message: "it happened",
            fields: Line.event("x", ["destination": "a"]).fields
                .filter { $0.name != field } + [Line.Field(name: field, value: "other")])
        let passes = storm.admits(line, now: 0)
        #expect(passes)
    }

    @Test("a library's lines that differ by a number only are equal")
    func templates() {
        var storm = Storm()
        let passed = (0..<100).filter { storm.admits(Line(level: .info, at: 0, message: "connection \($0) closed", fields: []), now: 0) }
        #expect(passed.count == Storm.burst)
    }

    @Test("reasons that differ by a number only are equal")
    func numbers() {
        var storm = Storm()
        let passed = (0..<100).filter { storm.admits(.event("retry", ["reason": "timed out after \($0) ms"]), now: 0) }
        #expect(passed.count == Storm.burst)
    }

    @Test("a platform that puts a name of its own into each reason fills no journal, and hides no other destination")
    func reasons() {
        var storm = Storm()
        let names = (0..<1_000).map { String($0, radix: 2).map { $0 == "0" ? "a" : "b" } }
        let passed = names.filter { storm.admits(.event("dead_letters", ["destination": "a", "reason": "request \($0)"]), now: 0) }
        #expect(passed.count == Storm.reasonsMax + Storm.burst)
        let other = storm.admits(.event("dead_letters", ["destination": "b", "reason": "no"]), now: 0)
        #expect(other)
        let repeated = storm.due(now: Storm.window, at: 0).compactMap { $0["repeated"].flatMap(Int.init) }
        #expect(repeated == [1_000 - passed.count])
        let later = storm.admits(.event("dead_letters", ["destination": "a", "reason": "another"]), now: Storm.window * 2)
        #expect(later)
    }

    @Test("debug lines all pass")
    func debug() {
        var storm = Storm()
        let passed = (0..<1_000).filter { _ in storm.admits(.event("delivered", level: .debug), now: 0) }
        #expect(passed.count == 1_000)
    }

    @Test("a note about a platform is told once for ever, each its own")
    func once() {
        var storm = Storm()
        let times: [UInt64] = [0, .seconds(1), .seconds(100_000)]
        let told = times.map { storm.admits(.event("platform_note", message: "langfuse cuts names"), now: $0) }
        #expect(told == [true, false, false])
        let other = storm.admits(.event("platform_note", message: "collector cuts names"), now: 0)
        #expect(other && storm.nextDue == nil)
    }

    @Test("with too many kinds at a time the further ones pass, and old kinds make room")
    func bounded() {
        var storm = Storm()
        for kind in 0..<Storm.kindsMax { _ = storm.admits(.event("x", ["destination": "\(kind)"]), now: 0) }
        let further = Line.event("x", ["destination": "further"])
        let crowded = (0..<20).filter { _ in storm.admits(further, now: 0) }
        let later = (0..<20).filter { _ in storm.admits(further, now: Storm.window) }
        #expect(crowded.count == 20 && later.count == Storm.burst)
    }

    @Test("at the very end what is held is told, its window over or not")
    func end() {
        var storm = Storm()
        for _ in 0..<7 { _ = storm.admits(.event("retry"), now: 0) }
        let early = storm.due(now: .seconds(3), at: 0)
        let all = storm.due(now: .seconds(3), at: 0, all: true)
        #expect(early.isEmpty && all.map(\.message) == ["... and 2 more in the last 3 s, the last: it happened"])
    }
}
