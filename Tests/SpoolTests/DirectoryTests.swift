import SpanModel
import Testing

@testable import Spool

@Suite struct DirectoryTests {
    @Test("what was written is read, whatever the entries hold", arguments: Seeds.thisRun)
    func roundTrip(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        let entries = Self.random(using: &rng)
        let bytes = Directory.encode(entries)
        #expect(Self.decode(bytes, entries.reduce(0) { $0 + Int($1.length) }) == entries, "again: TRACEFWD_SEED=\(seed)")
    }

    @Test("a directory belongs to a payload of its length and no other")
    func payload() {
        let bytes = Directory.encode(spans([10, 20]).entries)
        for length in [0, 10, 29, 31, 1 << 20] { #expect(Self.decode(bytes, length) == nil) }
        #expect(Self.decode(bytes, 30) == spans([10, 20]).entries)
        #expect(Self.decode([], 0) == nil)
        #expect(Self.decode([Directory.version], 0) == [])
        #expect(Self.decode([Directory.version + 1], 0) == nil)
    }

    @Test("cut, mutated and random bytes are refused or read within bounds, and never crash", arguments: Seeds.thisRun)
    func damage(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        let entries = Self.random(using: &rng)
        let good = Directory.encode(entries)
        let payload = entries.reduce(0) { $0 + Int($1.length) }
        for cut in 0..<good.count { Self.check(Self.decode(Array(good[..<cut]), payload), payload, seed) }
        for _ in 0..<500 {
            var bytes = good
            for _ in 0...rng.below(4) { bytes[rng.below(bytes.count)] = rng.below(3) == 0 ? 0xff : UInt8(rng.below(256)) }
            Self.check(Self.decode(bytes, payload), payload, seed)
            let noise = [Directory.version] + (0..<rng.below(80)).map { _ in rng.below(2) == 0 ? 0xff : UInt8(rng.below(256)) }
            Self.check(Self.decode(noise, rng.below(1 << 20)), 1 << 20, seed)
        }
    }

    private static func check(_ entries: [SpanEntry]?, _ payload: Int, _ seed: UInt64) {
        for entry in entries ?? [] {
            #expect(Int(entry.offset) + Int(entry.length) <= payload, "again: TRACEFWD_SEED=\(seed)")
            #expect(entry.resourceLength <= entry.length && entry.scopeLength <= entry.length)
        }
    }

    private static func decode(_ bytes: [UInt8], _ payload: Int) -> [SpanEntry]? {
        bytes.withUnsafeBytes { Directory.decode($0, payloadBytes: payload) }
    }

    private static func random(using rng: inout SeededRandom) -> [SpanEntry] {
        var offset: UInt32 = 0
        return (0..<rng.below(50)).map { _ in
            let length = UInt32(rng.below(rng.below(10) == 0 ? 1 << 20 : 300))
            defer { offset += length }
            return SpanEntry(
                offset: offset, length: length, resourceLength: UInt32(rng.below(Int(length) + 1)),
                scopeLength: UInt32(rng.below(Int(length) + 1)),
                receivedAt: rng.below(5) == 0 ? rng.next() : 1_700_000_000_000_000_000 + UInt64(rng.below(1 << 30)), traceHash: rng.next(),
                sender: [0, 1000, SpanEntry.unknownSender, SpanEntry.unknownSender - 1][rng.below(4)], source: UInt8(rng.below(256)))
        }
    }
}
