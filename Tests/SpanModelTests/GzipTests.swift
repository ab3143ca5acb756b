import Testing

@testable import SpanModel

@Suite("Gzip")
struct GzipTests {
    @Test("gives back what was compressed", arguments: [0, 1, 100, 65_536, 1_000_000], [1, 6, 9] as [Int32])
    func roundTrip(count: Int, level: Int32) throws {
        var rng = SeededRandom(seed: UInt64(count))
        let bytes = (0..<count).map { _ in UInt8.random(in: 0...15, using: &rng) }
        let compressed = Gzip.compress(bytes, level: level)
        #expect(try Gzip.decompress(compressed, limit: count) == bytes)
        #expect(Gzip.compress(bytes, level: level) == compressed)
    }

    @Test("has a header without time, name or system", arguments: [(2, 0x00), (6, 0x00), (9, 0x02)] as [(Int32, UInt8)])
    func header(level: Int32, extra: UInt8) {
        #expect(Array(Gzip.compress([1, 2, 3], level: level).prefix(10)) == [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, extra, 0xff])
    }

    @Test("never gives more than its limit", arguments: [0, 1, 99_999])
    func limit(limit: Int) {
        let bomb = Gzip.compress([UInt8](repeating: 0, count: 100_000), level: 9)
        #expect(throws: GzipError.tooLarge(limit: limit)) { try Gzip.decompress(bomb, limit: limit) }
    }

    @Test("says what is wrong with a body that is cut or no gzip")
    func damaged() {
        let good = Gzip.compress(Array("some text, some text".utf8), level: 6)
        for length in 0..<good.count {
            #expect(throws: GzipError.truncated) { try Gzip.decompress(Array(good.prefix(length)), limit: 100) }
        }
        #expect(throws: GzipError.notGzip) { try Gzip.decompress(Array("plain".utf8), limit: 100) }
        var flipped = good
        flipped[good.count - 6] ^= 1  // in the checksum
        #expect(throws: GzipError.notGzip) { try Gzip.decompress(flipped, limit: 100) }
    }

    @Test("takes a stream in pieces of any size, and members one behind the other")
    func pieces() throws {
        let stream = Gzip.compress(Array("one, ".utf8), level: 1) + Gzip.compress(Array("two".utf8), level: 9)
        for size in 1...stream.count {
            var out: [UInt8] = []
            let decompressor = GzipDecompressor(limit: 100)
            for start in stride(from: 0, to: stream.count, by: size) {
                try decompressor.decompress(stream[start..<min(start + size, stream.count)], to: &out)
            }
            try decompressor.finish()
            #expect(out == Array("one, two".utf8))
        }
    }
}
