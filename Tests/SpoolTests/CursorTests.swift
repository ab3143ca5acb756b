import Testing

@testable import Spool

@Suite struct CursorTests {
    @Test("a cursor is the set of the ids it was told, in any order, in its shortest form", arguments: Seeds.thisRun)
    func model(seed: UInt64) throws {
        var rng = SeededRandom(seed: seed)
        let base = Int64(rng.below(5))
        var cursor = Cursor(position: base)
        var settled: Set<Int64> = []
        // Ids are cut into ranges, and these settle in a random order.
        var ranges: [ClosedRange<Int64>] = []
        var next = base + 1
        for _ in 0..<60 {
            let last = next + Int64(rng.below(6))
            ranges.append(next...last)
            next = last + 1
        }
        let end = next - 1
        for range in ranges.shuffled(using: &rng) {
            cursor.settle(range)
            settled.formUnion(range)
            let position = (base + 1...end).first { !settled.contains($0) }.map { $0 - 1 } ?? end
            #expect(cursor.position == position, "again: TRACEFWD_SEED=\(seed)")
            #expect(Set(cursor.settled.flatMap { Array($0) }) == settled.filter { $0 > position })
            #expect(cursor.settledBeyond == Int64(settled.count) - (position - base))
            for (left, right) in zip(cursor.settled, cursor.settled.dropFirst()) { #expect(left.upperBound + 1 < right.lowerBound) }
            if let first = cursor.settled.first { #expect(first.lowerBound > position + 1) }

            let from = base + 1 + Int64(rng.below(Int(end - base)))
            let window = from...from + Int64(rng.below(40))
            let open = cursor.unsettled(in: window)
            #expect(open.flatMap { Array($0) } == window.filter { !settled.contains($0) && $0 > base })
            for (left, right) in zip(open, open.dropFirst()) { #expect(left.upperBound + 1 < right.lowerBound) }

            #expect(Cursor(position: cursor.position, settledText: cursor.settledText) == cursor)
        }
        #expect(cursor.position == end && cursor.settled.isEmpty && cursor.settledText.isEmpty)
    }

    @Test(
        "the stored form is pairs of numbers",
        arguments: [("", []), ("12-12", [12...12]), ("12-20,22-30", [12...20, 22...30])] as [(String, [ClosedRange<Int64>])])
    func text(text: String, ranges: [ClosedRange<Int64>]) {
        let cursor = Cursor(position: 10, settledText: text)
        #expect(cursor?.settled == ranges && cursor?.settledText == text)
    }

    @Test(
        "damaged text is no cursor",
        arguments: [
            "x", "12", "12-", "-12", "12-13-14", "12-13-x", "20-12", "5-6", "10-12", "11-12", "12-13,14-15", "12-15,15-16", "20-30,12-13",
            ",",
            "12-13,", ",12-13", "12--13", " 12-13", "12-13 ", "+12-13", "012-13", "12-99999999999999999999", "12-9223372036854775807",
            "12-9223372036854775807,20-30", "12-13;14-15", "12-13,,16-17", "12-13,nil", "-9223372036854775808-13",
        ])
    func damage(text: String) { #expect(Cursor(position: 10, settledText: text) == nil) }

    @Test("mutated text never crashes, and what is read is written the same", arguments: Seeds.thisRun)
    func mutations(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        let alphabet = Array("0123456789-,9x".utf8)
        for _ in 0..<2_000 {
            var bytes = Array("12-20,22-30,9223372036854775806-9223372036854775807".utf8)
            for _ in 0..<1 + rng.below(6) { bytes[rng.below(bytes.count)] = alphabet[rng.below(alphabet.count)] }
            let text = String(decoding: bytes.prefix(rng.below(bytes.count + 1)), as: UTF8.self)
            guard let cursor = Cursor(position: 10, settledText: text) else { continue }
            #expect(cursor.settledText == text, "again: TRACEFWD_SEED=\(seed)")
            _ = cursor.settledBeyond
        }
    }
}
