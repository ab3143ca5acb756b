import SpanModel
import Testing

@testable import Spool

@Suite struct SegmentCacheTests {
    private func segment(_ id: Int64, bytes: Int, spans count: Int = 1) -> Segment {
        let batch = spans([bytes] + [Int](repeating: 0, count: count - 1))
        return Segment(firstID: id, payload: batch.payload, entries: batch.entries)
    }

    @Test("what was just put in is found, by its first id alone")
    func find() {
        let cache = SegmentCache(bytesMax: 1 << 20)
        cache.insert(segment(7, bytes: 100, spans: 3))
        #expect(cache.segment(from: 7)?.lastID == 9)
        #expect(cache.segment(from: 8) == nil && cache.segment(from: 6) == nil)
    }

    @Test("it holds the bytes allowed and no more, but for one segment; what is used stays", arguments: Seeds.thisRun)
    func bound(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        let limit = 64 << 10
        let cache = SegmentCache(bytesMax: limit)
        var held: [(id: Int64, bytes: Int)] = []
        cache.insert(segment(0, bytes: 100))
        for id in 1...400 as ClosedRange<Int64> {
            let bytes = 1 + rng.below(8 << 10)
            cache.insert(segment(id, bytes: bytes))
            held.append((id, bytes))
            #expect(cache.segment(from: 0) != nil, "used after each, again: TRACEFWD_SEED=\(seed)")
        }
        // The youngest are there, the oldest are not; looking moves what is found, so each look is at a fresh id.
        let found = held.reversed().filter { cache.segment(from: $0.id) != nil }
        #expect(found.reduce(0) { $0 + $1.bytes } <= limit + (8 << 10))
        #expect(found.first?.id == 400 && !found.contains { $0.id < 350 })
    }

    @Test("a segment over the whole bound is let go by the next ones")
    func large() {
        let cache = SegmentCache(bytesMax: 10_000)
        cache.insert(segment(1, bytes: 1 << 20))
        #expect(cache.segment(from: 1) != nil)
        cache.insert(segment(2, bytes: 4_000))
        cache.insert(segment(3, bytes: 4_000))
        #expect(cache.segment(from: 1) == nil)
        #expect(cache.segment(from: 3) != nil)
    }

    @Test("many small segments cost their objects too")
    func small() {
        let cache = SegmentCache(bytesMax: 100_000)
        for id in 0..<10_000 { cache.insert(segment(Int64(id), bytes: 1)) }
        #expect((0..<10_000).count { cache.segment(from: Int64($0)) != nil } < 400)
    }
}
