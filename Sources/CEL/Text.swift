import Glibc
import Patterns

/// UTF-8 as bytes in memory: comparing, searching, counting characters (Unicode code points, which CEL counts).
enum Text {
    @inline(__always)
    static func equal(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        guard let a = left.baseAddress, let b = right.baseAddress else { return true }
        return memcmp(a, b, left.count) == 0
    }

    /// Below, at or above zero, by the bytes, which for UTF-8 is by the code points.
    static func compare(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
        let common = min(left.count, right.count)
        if common > 0, let a = left.baseAddress, let b = right.baseAddress {
            let order = memcmp(a, b, common)
            if order != 0 { return Int(order) }
        }
        return left.count - right.count
    }

    static func hasPrefix(_ text: UnsafeRawBufferPointer, _ prefix: UnsafeRawBufferPointer) -> Bool {
        guard prefix.count <= text.count else { return false }
        guard let a = text.baseAddress, let b = prefix.baseAddress else { return true }
        return memcmp(a, b, prefix.count) == 0
    }

    static func hasSuffix(_ text: UnsafeRawBufferPointer, _ suffix: UnsafeRawBufferPointer) -> Bool {
        guard suffix.count <= text.count else { return false }
        guard let a = text.baseAddress, let b = suffix.baseAddress else { return true }
        return memcmp(a + (text.count - suffix.count), b, suffix.count) == 0
    }

    /// Where `part` first stands at `from` or behind it, in bytes.
    static func find(_ part: UnsafeRawBufferPointer, in text: UnsafeRawBufferPointer, from: Int = 0) -> Int? {
        Literal.find(part, in: text, from: from)
    }

    /// Where `part` last begins at `before` or earlier, in bytes.
    static func findLast(_ part: UnsafeRawBufferPointer, in text: UnsafeRawBufferPointer, before: Int) -> Int? {
        var at = min(before, text.count - part.count)
        while at >= 0 {
            if hasPrefix(slice(text, at, text.count), part) { return at }
            at -= 1
        }
        return nil
    }

    /// The part between two offsets in bytes.
    static func slice(_ text: UnsafeRawBufferPointer, _ from: Int, _ to: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: text[from..<to])
    }

    /// The number of code points: of the bytes that do not continue one.
    static func characterCount(_ text: UnsafeRawBufferPointer) -> Int {
        var count = 0
        for byte in text where byte & 0xC0 != 0x80 { count += 1 }
        return count
    }

    /// The offset in bytes of a character by its number; the number of characters gives the end, more gives nil.
    static func offset(ofCharacter number: Int, in text: UnsafeRawBufferPointer) -> Int? {
        guard number >= 0 else { return nil }
        var seen = 0
        for (offset, byte) in text.enumerated() where byte & 0xC0 != 0x80 {
            if seen == number { return offset }
            seen += 1
        }
        return seen == number ? text.count : nil
    }

    /// The length in bytes of the character that begins here. Should a host show bytes that are not UTF-8, it stays within them.
    static func length(at offset: Int, in text: UnsafeRawBufferPointer) -> Int {
        let lead = text[offset]
        return min(lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4, text.count - offset)
    }

    /// A text as a Swift string, for messages and slow paths.
    static func string(_ text: UnsafeRawBufferPointer) -> String { String(decoding: text, as: UTF8.self) }

    /// Whether bytes are valid UTF-8.
    static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.withMemoryRebound(to: UInt8.self) { String(validating: $0, as: UTF8.self) != nil }
    }
}
