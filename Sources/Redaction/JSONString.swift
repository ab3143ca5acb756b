// Strings of JSON (RFC 8259, section 7): reading escapes, finding a place of the decoded string in the written one, writing.
import CShim

enum JSONString {
    /// An escape: its length as it is written, and the bytes that it stands for.
    struct Escape {
        var length: Int
        var count: Int
        /// UTF-8, the first byte lowest.
        var bytes: UInt32
    }

    /// The escape whose backslash is at `at`; nil where it is cut off. What is no escape stands for itself, and half a surrogate pair for
    /// U+FFFD.
    static func escape(_ at: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Escape? {
        guard end - at >= 2 else { return nil }
        switch at[1] {
        case UInt8(ascii: "n"): return Escape(length: 2, count: 1, bytes: 0x0A)
        case UInt8(ascii: "t"): return Escape(length: 2, count: 1, bytes: 0x09)
        case UInt8(ascii: "r"): return Escape(length: 2, count: 1, bytes: 0x0D)
        case UInt8(ascii: "b"): return Escape(length: 2, count: 1, bytes: 0x08)
        case UInt8(ascii: "f"): return Escape(length: 2, count: 1, bytes: 0x0C)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Escape(length: 2, count: 1, bytes: UInt32(at[1]))
        case UInt8(ascii: "u"):
            guard end - at >= 6 else { return nil }
            guard let unit = hex4(at + 2) else { return Escape(length: 1, count: 1, bytes: 0x5C) }
            guard (0xD800..<0xE000).contains(unit) else { return Escape(length: 6, scalar: unit) }
            guard unit < 0xDC00, end - at >= 12, at[6] == UInt8(ascii: "\\"), at[7] == UInt8(ascii: "u"), let low = hex4(at + 8),
                (0xDC00..<0xE000).contains(low)
            else { return Escape(length: 6, scalar: 0xFFFD) }
            return Escape(length: 12, scalar: 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
        default: return Escape(length: 1, count: 1, bytes: 0x5C)
        }
    }

    private static func hex4(_ at: UnsafePointer<UInt8>) -> UInt32? {
        var value: UInt32 = 0
        for index in 0..<4 {
            let byte = at[index]
            guard byte.isHex else { return nil }
            value = value << 4 | UInt32(byte.isDigit ? byte & 0x0F : (byte & 0x0F) + 9)
        }
        return value
    }

    /// Decodes [at, end) to `to`, which has room for as many bytes. Gives how many it wrote; an escape that is cut off is left out.
    static func decode(_ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, to: UnsafeMutablePointer<UInt8>) -> Int {
        var at = start
        var pen = to
        while true {
            let stop = tracefwd_find_byte(at, end, 0x5C)
            pen.update(from: at, count: stop - at)
            pen += stop - at
            guard stop < end, let escape = escape(stop, end) else { return pen - to }
            for index in 0..<escape.count { pen[index] = UInt8(truncatingIfNeeded: escape.bytes >> UInt32(8 * index)) }
            pen += escape.count
            at = stop + escape.length
        }
    }

    /// Goes along a written string and says where the bytes of its decoded form stand. Asked for places in ascending order.
    struct Ruler {
        private var at: UnsafePointer<UInt8>
        private let end: UnsafePointer<UInt8>
        private var decoded = 0

        init(_ start: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) {
            at = start
            self.end = end
        }

        mutating func place(_ index: Int) -> UnsafePointer<UInt8> {
            while decoded < index {
                let stop = tracefwd_find_byte(at, end, 0x5C)
                if stop - at >= index - decoded {
                    at += index - decoded
                    decoded = index
                    break
                }
                decoded += stop - at
                at = stop
                guard stop < end, let escape = escape(stop, end) else { break }
                decoded += escape.count
                at += escape.length
            }
            return at
        }
    }

    /// Appends a text as the content of a JSON string that lies in further ones, `level` in all.
    static func append(_ text: [UInt8], to bytes: inout [UInt8], level: Int) {
        guard level > 0, text.contains(where: needsEscape) else {
            bytes.append(contentsOf: text)
            return
        }
        var text = text
        for _ in 0..<level { text = text.flatMap(escaped) }
        bytes.append(contentsOf: text)
    }

    private static func needsEscape(_ byte: UInt8) -> Bool { byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") }

    private static func escaped(_ byte: UInt8) -> [UInt8] {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): [0x5C, byte]
        case 0x0A: Array("\\n".utf8)
        case 0x0D: Array("\\r".utf8)
        case 0x09: Array("\\t".utf8)
        case 0..<0x20: Array("\\u00".utf8) + [0x30 + byte >> 4, byte & 0xF < 10 ? 0x30 + byte & 0xF : 0x57 + byte & 0xF]
        default: [byte]
        }
    }
}

extension JSONString.Escape {
    /// An escape that stands for a scalar.
    fileprivate init(length: Int, scalar: UInt32) {
        let tail = { (shift: UInt32) in 0x80 | scalar >> shift & 0x3F }
        switch scalar {
        case ..<0x80: self.init(length: length, count: 1, bytes: scalar)
        case ..<0x800: self.init(length: length, count: 2, bytes: 0xC0 | scalar >> 6 | tail(0) << 8)
        case ..<0x10000: self.init(length: length, count: 3, bytes: 0xE0 | scalar >> 12 | tail(6) << 8 | tail(0) << 16)
        default: self.init(length: length, count: 4, bytes: 0xF0 | scalar >> 18 | tail(12) << 8 | tail(6) << 16 | tail(0) << 24)
        }
    }
}
