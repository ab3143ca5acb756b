import Testing

@testable import Source

@Suite struct LineTests {
    /// What a splitter handed out: a line's bytes, or nil for one that was too long.
    private typealias Lines = [[UInt8]?]

    private static func split(_ chunks: [[UInt8]], bytesMax: Int) -> Lines {
        var splitter = LineSplitter(bytesMax: bytesMax)
        var lines: Lines = []
        func take(_ line: LineSplitter.Line) { if case .whole(let bytes) = line { lines.append(Array(bytes)) } else { lines.append(nil) } }
        for chunk in chunks {
            chunk.withUnsafeBytes { splitter.take($0, take) }
            #expect(splitter.heldBytes <= bytesMax + 1)
        }
        splitter.finish(take)
        #expect(splitter.heldBytes == 0)
        return lines
    }

    /// The same, naively: all bytes at once.
    private static func naive(_ bytes: [UInt8], bytesMax: Int) -> Lines {
        var pieces = bytes.split(separator: 0x0a, omittingEmptySubsequences: false).map(Array.init)
        // What stands behind the last newline is a line only if it is not empty.
        if pieces.last?.isEmpty == true { pieces.removeLast() }
        return pieces.map { piece in
            let line = piece.last == 0x0d ? Array(piece.dropLast()) : piece
            return line.count > bytesMax ? nil : line
        }
    }

    @Test("however the bytes come, the lines are the same; one that is too long costs the others nothing", arguments: Seeds.thisRun)
    func chunking(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        for _ in 0..<300 {
            let bytesMax = 1 + rng.below(12)
            let bytes = (0..<rng.below(120)).map { _ in [0x0a, 0x0d, 0x61, 0x62, 0x63, 0x64][rng.below(6)] as UInt8 }
            var chunks: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = 1 + rng.below(min(rest.count, 20))
                chunks.append(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            #expect(Self.split(chunks, bytesMax: bytesMax) == Self.naive(bytes, bytesMax: bytesMax), "again: TRACEFWD_SEED=\(seed)")
        }
    }

    @Test(
        "a line of the limit is whole, with \\r\\n too; one byte more is too long",
        arguments: [
            ("aaaa\n", 4), ("aaaa\r\n", 4), ("aaaa", 4), ("aaaa\r", 4), ("aaaaa\n", nil), ("aaaaa\r\n", nil), ("aaaaa", nil), ("\r\r\n", 1),
        ])
    func limit(text: String, length: Int?) {
        for size in 1...8 {
            let bytes = Array(text.utf8)
            let chunks = stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min(bytes.count, $0 + size)]) }
            #expect(Self.split(chunks, bytesMax: 4).map { $0?.count } == [length])
        }
    }

    @Test("100 MiB without a newline are one line that is too long, and hold no memory")
    func endless() {
        var splitter = LineSplitter(bytesMax: 1 << 20)
        let piece = [UInt8](repeating: 0x61, count: 1 << 20)
        var tooLong = 0
        func take(_ line: LineSplitter.Line) { if case .tooLong = line { tooLong += 1 } }
        for _ in 0..<100 {
            piece.withUnsafeBytes { splitter.take($0, take) }
            #expect(splitter.heldBytes <= 1 << 20)
        }
        #expect(splitter.heldBytes == 0 && tooLong == 0)
        splitter.finish(take)
        #expect(tooLong == 1)
    }

    @Test("the lines of a datagram are what a stream of its bytes would be", arguments: Seeds.thisRun)
    func whole(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        for _ in 0..<100 {
            let bytes = (0..<rng.below(60)).map { _ in [0x0a, 0x0d, 0x61, 0x62][rng.below(4)] as UInt8 }
            var lines: Lines = []
            bytes.withUnsafeBytes { eachLine(of: $0) { lines.append(Array($0)) } }
            #expect(lines == Self.naive(bytes, bytesMax: .max), "again: TRACEFWD_SEED=\(seed)")
        }
    }
}
