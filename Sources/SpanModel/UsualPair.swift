/// A `KeyValue` in the form in which nearly all are written: a key of less than 128 bytes, the value behind it, nothing else beside them.
///
/// Raw addresses instead of slices, because every span goes through here once for each of its attributes: with the checks of slices, and
/// with the general reader's three steps (field, key, value), it takes twice the instructions. Why it is safe: each byte that is read lies
/// before `end`, by the guard above it. UsualPairTests reads damaged and cut off messages with it and with the general reader.
enum UsualPair {
    /// Reads the field at `at`, whose tag must be `tag`, and moves behind it. Nil where the field is of any other form; `at` stays then, and
    /// the general reader says what it is. The value is its `AnyValue` message.
    @inline(__always)
    static func read(
        _ tag: UInt8, in bytes: UnsafeRawPointer, at: inout Int, end: Int
    ) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
        // Tag and length of the field, of the key and of the value: six bytes at least, so a length may look at three.
        guard end &- at >= 6, bytes.byte(at) == tag else { return nil }
        var begin = at &+ 1
        let length = readLength(bytes, at: &begin)
        let pairEnd = begin &+ length
        guard length >= 4, pairEnd <= end, bytes.byte(begin) == 1 << 3 | WireType.bytes.rawValue else { return nil }
        let keyLength = Int(bytes.byte(begin &+ 1))
        let key = begin &+ 2
        let keyEnd = key &+ keyLength
        // No value has less than two bytes, but an absent one.
        guard keyLength < 0x80, keyEnd &+ 4 <= pairEnd, bytes.byte(keyEnd) == 2 << 3 | WireType.bytes.rawValue else { return nil }
        var value = keyEnd &+ 1
        let valueLength = readLength(bytes, at: &value)
        guard valueLength >= 0, value &+ valueLength == pairEnd else { return nil }
        at = pairEnd
        return (
            UnsafeRawBufferPointer(start: bytes + key, count: keyLength), UnsafeRawBufferPointer(start: bytes + value, count: valueLength)
        )
    }

    /// A length of one to three bytes (2 MiB), which must be there; below zero where it has more.
    @inline(__always)
    private static func readLength(_ bytes: UnsafeRawPointer, at: inout Int) -> Int {
        let first = bytes.byte(at)
        if first < 0x80 {
            at &+= 1
            return Int(first)
        }
        let second = bytes.byte(at &+ 1)
        if second < 0x80 {
            at &+= 2
            return Int(first & 0x7f) | Int(second) << 7
        }
        let third = bytes.byte(at &+ 2)
        at &+= 3
        return third < 0x80 ? Int(first & 0x7f) | Int(second & 0x7f) << 7 | Int(third) << 14 : -1
    }
}

extension UnsafeRawPointer {
    @inline(__always)
    fileprivate func byte(_ offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }
}
