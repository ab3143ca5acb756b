import CShim
import SpanModel
import Testing

@testable import Spool

@Suite struct DirectoryTests {
    @Test("what was written is read, whatever the entries hold", arguments: Seeds.thisRun)
    func roundTrip(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        let (entries, payload) = Self.random(using: &rng)
        #expect(Self.decode(Directory.encode(entries, payload), payload) == entries, "again: TRACEFWD_SEED=\(seed)")
    }

    @Test("a directory belongs to its payload and no other")
    func payload() {
        let batch = spans([10, 20])
        let bytes = Directory.encode(batch.entries, batch.payload)
        #expect(Self.decode(bytes, batch.payload) == batch.entries)
        for other in [[], Array(batch.payload.dropLast()), batch.payload + [0], spans([20, 10]).payload] {
            #expect(Self.decode(bytes, other) == nil)
        }
        #expect(Self.decode([], []) == nil)
        #expect(Self.decode(Directory.encode([], []), []) == [])
        #expect(Self.decode([Directory.version], []) == nil)
        #expect(Self.decode([Directory.version + 1], []) == nil)
    }

    @Test("a byte that has changed in the payload or in the directory is noticed, wherever it is", arguments: Seeds.thisRun)
    func flipped(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        let batch = spans([10, 200, 30])
        let good = Directory.encode(batch.entries, batch.payload)
        for _ in 0..<200 {
            var (bytes, payload) = (good, batch.payload)
            let at = rng.below(bytes.count + payload.count)
            let bit = UInt8(1) << UInt8(rng.below(8))
            if at < bytes.count { bytes[at] ^= bit } else { payload[at - bytes.count] ^= bit }
            #expect(Self.decode(bytes, payload) == nil, "byte \(at), again: TRACEFWD_SEED=\(seed)")
        }
    }

    @Test("version 1, which had no checksum, is still read")
    func version1() {
        let batch = spans([10, 20])
        let bytes = [1] + Directory.encode(batch.entries, batch.payload).dropFirst(5)
        #expect(Self.decode(Array(bytes), batch.payload) == batch.entries)
        #expect(Self.decode(Array(bytes), Array(batch.payload.dropLast())) == nil)
    }

    @Test("the checksum is CRC-32C, whatever the length and wherever it is cut")
    func checksum() {
        // RFC 3720, appendix B.4; the last is that of "123456789".
        let vectors: [([UInt8], UInt32)] = [
            ([UInt8](repeating: 0, count: 32), 0x8a91_36aa), ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43),
            (Array(0..<32), 0x46dd_794e), ((0..<32).map { 31 - $0 }, 0x113f_db5c), (Array("123456789".utf8), 0xe306_9283),
        ]
        for (bytes, sum) in vectors {
            for cut in 0...bytes.count {
                #expect(tracefwd_crc32c(tracefwd_crc32c(0, bytes, cut), Array(bytes[cut...]), bytes.count - cut) == sum)
            }
        }
    }

    /// From three stretches of 4 KiB on, the sum is put together of parts.
    @Test("the checksum of much is that of its bytes one by one", arguments: Seeds.thisRun)
    func longChecksum(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        let bytes = (0..<40_000).map { _ in UInt8(truncatingIfNeeded: rng.next()) }
        for count in [12_287, 12_288, 12_289, 24_575, 24_576, 30_000 + rng.below(10_000)] {
            var one: UInt32 = 0
            for index in 0..<count { one = tracefwd_crc32c(one, [bytes[index]], 1) }
            #expect(tracefwd_crc32c(0, bytes, count) == one, "\(count) bytes, again: TRACEFWD_SEED=\(seed)")
        }
    }

    @Test("cut, mutated and random bytes are refused or read within bounds, and never crash", arguments: Seeds.thisRun)
    func damage(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        let (entries, payload) = Self.random(using: &rng)
        // As version 1, whose checks are all that stands before the entries.
        let good = [1] + Directory.encode(entries, payload).dropFirst(5)
        for cut in 0..<good.count { Self.check(Self.decode(Array(good[..<cut]), payload), payload.count, seed) }
        for _ in 0..<500 {
            var bytes = good
            for _ in 0...rng.below(4) { bytes[rng.below(bytes.count)] = rng.below(3) == 0 ? 0xff : UInt8(rng.below(256)) }
            Self.check(Self.decode(bytes, payload), payload.count, seed)
            let noise = [1] + (0..<rng.below(80)).map { _ in rng.below(2) == 0 ? 0xff : UInt8(rng.below(256)) }
            Self.check(Self.decode(noise, [UInt8](repeating: 0, count: rng.below(1 << 12))), 1 << 12, seed)
        }
    }

    private static func check(_ entries: [SpanEntry]?, _ payload: Int, _ seed: UInt64) {
        for entry in entries ?? [] {
            #expect(Int(entry.offset) + Int(entry.length) <= payload, "again: TRACEFWD_SEED=\(seed)")
            #expect(entry.resourceLength <= entry.length && entry.scopeLength <= entry.length)
        }
    }

    private static func decode(_ bytes: [UInt8], _ payload: [UInt8]) -> [SpanEntry]? {
        bytes.withUnsafeBytes { Directory.decode($0, payload) }
    }

    private static func random(using rng: inout SeededRandom) -> ([SpanEntry], payload: [UInt8]) {
        var offset: UInt32 = 0
        let entries = (0..<rng.below(50)).map { _ in
            let length = UInt32(rng.below(rng.below(10) == 0 ? 1 << 16 : 300))
            defer { offset += length }
            return SpanEntry(
                offset: offset, length: length, resourceLength: UInt32(rng.below(Int(length) + 1)),
                scopeLength: UInt32(rng.below(Int(length) + 1)),
                receivedAt: rng.below(5) == 0 ? rng.next() : 1_700_000_000_000_000_000 + UInt64(rng.below(1 << 30)), traceHash: rng.next(),
                sender: [0, 1000, SpanEntry.unknownSender, SpanEntry.unknownSender - 1][rng.below(4)], source: UInt8(rng.below(256)))
        }
        return (entries, (0..<offset).map { UInt8(truncatingIfNeeded: $0 &* 31) })
    }
}
