import Testing

@testable import SpanModel

@Suite("Pairs in their usual form")
struct UsualPairTests {
    private static let field: UInt8 = 9

    private func pair(_ key: [UInt8], _ value: [UInt8]) -> [UInt8] {
        Protobuf.message { field in
            let pair = Protobuf.message {
                $0.bytes(1, key)
                $0.bytes(2, value)
            }
            field.bytes(UInt64(Self.field), pair)
        }
    }

    /// The first pair of a message by the general reader; nil where the first field is none.
    private func general(_ bytes: UnsafeRawBufferPointer) -> (key: [UInt8], value: [UInt8], end: Int)? {
        var reader = ProtobufReader(bytes)
        guard let field = reader.next(), field.number == Self.field, field.type == .bytes else { return nil }
        var (key, value) = ([UInt8](), [UInt8]())
        var members = ProtobufReader(field.bytes)
        while let member = members.next() {
            if member.number == 1, member.type == .bytes { key = [UInt8](member.bytes) }
            if member.number == 2, member.type == .bytes { value = [UInt8](member.bytes) }
        }
        return (key, value, reader.position)
    }

    /// What is read is what the general reader reads. The bytes lie at the very end of their memory, so that an address sanitizer sees a read
    /// beyond it.
    private func expectEqual(_ bytes: [UInt8], _ comment: Comment? = nil) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        var reader = ProtobufReader(UnsafeRawBufferPointer(copy))
        guard let (key, value) = reader.nextUsualPair(of: Self.field) else {
            #expect(reader.position == 0, comment)
            return
        }
        let expected = general(UnsafeRawBufferPointer(copy))
        #expect(expected?.key == [UInt8](key) && expected?.value == [UInt8](value) && expected?.end == reader.position, comment)
    }

    @Test(
        "are read in one step, whatever their lengths",
        arguments: [0, 1, 4, 127], [2, 3, 100, 122, 123, 127, 128, 16_000, 16_383, 16_384, 2_000_000])
    func lengths(key: Int, value: Int) throws {
        let (key, value) = ([UInt8](repeating: 0x6b, count: key), [UInt8](repeating: 0x76, count: value))
        let bytes = pair(key, value) + [0xff]
        try bytes.withUnsafeBytes { bytes in
            var reader = ProtobufReader(bytes)
            let pair = reader.nextUsualPair(of: Self.field)
            let read = try #require(pair)
            #expect([UInt8](read.key) == key && [UInt8](read.value) == value && reader.position == bytes.count - 1)
        }
        expectEqual(bytes)
    }

    @Test("in any other form are left to the general reader: a long key, a value of 2 MiB or of nothing, the value first")
    func others() {
        let swapped = Protobuf.message { field in
            let pair = Protobuf.message {
                $0.bytes(2, [1, 2, 3])
                $0.bytes(1, [4, 5, 6])
            }
            field.bytes(UInt64(Self.field), pair)
        }
        let long = [
            pair([UInt8](repeating: 1, count: 128), [1, 2]), pair([1], [UInt8](repeating: 1, count: 2 << 20)), pair([1, 2, 3], []),
        ]
        for bytes in long + [swapped, [], [0x4a]] {
            bytes.withUnsafeBytes { bytes in
                var reader = ProtobufReader(bytes)
                let pair = reader.nextUsualPair(of: Self.field)
                #expect(pair == nil && reader.position == 0)
            }
        }
    }

    @Test("cut off at any byte or damaged, are what the general reader says or nothing", arguments: Seeds.thisRun)
    func damaged(seed: UInt64) {
        var rng = SeededRandom(seed: seed)
        for _ in 0..<2_000 {
            let key = (0..<Int.random(in: 0...6, using: &rng)).map { _ in UInt8.random(in: 0...255, using: &rng) }
            let value = (0..<Int.random(in: 0...140, using: &rng)).map { _ in UInt8.random(in: 0...255, using: &rng) }
            var bytes = pair(key, value) + pair(value, key)
            for _ in 0..<Int.random(in: 0...3, using: &rng) {
                bytes[Int.random(in: 0..<min(16, bytes.count), using: &rng)] = UInt8.random(in: 0...255, using: &rng)
            }
            bytes.removeLast(Int.random(in: 0...bytes.count, using: &rng))
            expectEqual(bytes, "again: TRACEFWD_SEED=\(seed) make test")
        }
    }
}
