// Memory by hand: what the parser writes into, and the pieces of text it points at. Unsafe because a span costs half a microsecond, and
// Array's uniqueness and bounds checks on each of its thousand bytes would double that. Room is asked for once per value, here; a Pen then
// writes without further checks. Buffers grow, are reused from line to line, and are given back after an unusually large line.
import CShim
import Glibc

/// Growing memory that is reused.
struct Buffer<Element: BitwiseCopyable>: ~Copyable {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var capacity: Int
    var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        base = .allocate(capacity: capacity)
    }

    deinit { base.deallocate() }

    /// The place behind the last element, with room for `extra` more. Pointers into the buffer taken before are void.
    @inline(__always)
    mutating func end(room extra: Int) -> UnsafeMutablePointer<Element> {
        if capacity - count < extra { grow(by: extra) }
        return base + count
    }

    @inline(__always)
    mutating func append(_ element: Element) {
        end(room: 1).initialize(to: element)
        count += 1
    }

    subscript(_ index: Int) -> Element {
        @inline(__always) get { base[index] }
        @inline(__always) nonmutating set { base[index] = newValue }
    }

    /// Empties the buffer; one that has become larger than `limit` gives its memory back.
    mutating func empty(keeping limit: Int) {
        count = 0
        guard capacity > limit else { return }
        base.deallocate()
        capacity = limit
        base = .allocate(capacity: limit)
    }

    @inline(never)
    private mutating func grow(by extra: Int) {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: max(capacity * 2, count + extra))
        larger.update(from: base, count: count)
        base.deallocate()
        capacity = max(capacity * 2, count + extra)
        base = larger
    }
}

/// A place that bytes are written to, within room that was asked for.
struct Pen {
    var at: UnsafeMutablePointer<UInt8>

    @inline(__always)
    mutating func byte(_ value: UInt8) {
        at.pointee = value
        at += 1
    }

    /// A base-128 varint, in as few bytes as it takes.
    @inline(__always)
    mutating func varint(_ value: UInt64) {
        if value < 0x80 { return byte(UInt8(truncatingIfNeeded: value)) }
        var rest = value
        while rest >= 0x80 {
            byte(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        byte(UInt8(truncatingIfNeeded: rest))
    }

    @inline(__always)
    mutating func varint(_ value: Int) { varint(UInt64(truncatingIfNeeded: value)) }

    @inline(__always)
    mutating func fixed64(_ value: UInt64) {
        UnsafeMutableRawPointer(at).storeBytes(of: value.littleEndian, as: UInt64.self)
        at += 8
    }

    @inline(__always)
    mutating func fixed32(_ value: UInt32) {
        UnsafeMutableRawPointer(at).storeBytes(of: value.littleEndian, as: UInt32.self)
        at += 4
    }

    @inline(__always)
    mutating func bytes(_ from: UnsafePointer<UInt8>, _ count: Int) {
        tracefwd_copy(at, from, count)
        at += count
    }

    @inline(__always)
    mutating func text(_ text: Text) { bytes(text.base, text.count) }

    /// Two tags of length-delimited fields with their lengths, of a byte each.
    @inline(__always)
    mutating func heads(_ outer: UInt8, _ outerLength: Int, _ inner: UInt8, _ innerLength: Int) {
        let lengths = UInt32(truncatingIfNeeded: outerLength) << 8 | UInt32(truncatingIfNeeded: innerLength) << 24
        fixed32(UInt32(outer) | UInt32(inner) << 16 | lengths)
    }

    /// Tag and length of a length-delimited field.
    @inline(__always)
    mutating func head(_ tag: UInt8, _ length: Int) {
        byte(tag)
        varint(length)
    }

    /// The same, where it may be known that the length takes two bytes.
    @inline(__always)
    mutating func head(_ tag: UInt8, _ length: Int, bytes: Int?) {
        guard bytes == 2 else { return head(tag, length) }
        let bits = UInt16(truncatingIfNeeded: length)
        byte(tag)
        UnsafeMutableRawPointer(at).storeBytes(of: (bits & 0x7f | 0x80 | bits << 1 & 0x7f00).littleEndian, as: UInt16.self)
        at += 2
    }

    /// A length-delimited field; nothing where it is empty, as proto3 has it.
    @inline(__always)
    mutating func field(_ tag: UInt8, _ text: Text) {
        guard text.count > 0 else { return }
        head(tag, text.count)
        self.text(text)
    }
}

extension Buffer where Element == UInt8 {
    /// A pen at the end, with room for `extra` bytes. What it wrote counts once `close` is called.
    @inline(__always)
    mutating func pen(room extra: Int) -> Pen { Pen(at: end(room: extra)) }

    @inline(__always)
    mutating func close(_ pen: Pen) { count = pen.at - base }

    /// All that is in the buffer. Good until it grows.
    var text: Text { Text(base, count) }

    mutating func append(_ text: Text) {
        var pen = pen(room: text.count)
        pen.text(text)
        close(pen)
    }
}

/// A piece of UTF-8 text that lies in the line, in the parser's buffers or in the program.
struct Text: BitwiseCopyable {
    var base: UnsafePointer<UInt8>
    var count: Int

    @inline(__always)
    init(_ base: UnsafePointer<UInt8>, _ count: Int) {
        self.base = base
        self.count = count
    }

    @inline(__always)
    init(_ literal: StaticString) { self.init(literal.utf8Start, literal.utf8CodeUnitCount) }

    var isEmpty: Bool { count == 0 }
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    subscript(_ index: Int) -> UInt8 { @inline(__always) get { base[index] } }

    static func == (left: Text, right: Text) -> Bool { left.count == right.count && memcmp(left.base, right.base, left.count) == 0 }

    /// A total order; any will do.
    static func < (left: Text, right: Text) -> Bool {
        let order = memcmp(left.base, right.base, min(left.count, right.count))
        return order != 0 ? order < 0 : left.count < right.count
    }

    func contains(_ byte: UInt8) -> Bool { memchr(base, Int32(byte), count) != nil }

    /// Whether it is `word`, in either case of its letters. `word` is lower case.
    func matches(_ word: StaticString) -> Bool {
        let word = Text(word)
        guard count == word.count else { return false }
        for index in 0..<count where base[index] != word[index] {
            guard base[index] &- 0x41 < 26, base[index] | 0x20 == word[index] else { return false }
        }
        return true
    }

    func dropFirst(_ dropped: Int) -> Text { Text(base + dropped, count - dropped) }
}

/// Bytes of a length-delimited field with this content, its tag of one byte included.
@inline(__always)
func fieldSize(_ content: Int) -> Int { 1 + lengthSize(content) + content }

/// Bytes of `length` as a varint.
@inline(__always)
func lengthSize(_ length: Int) -> Int {
    if length < 0x80 { return 1 }
    if length < 0x4000 { return 2 }
    return (70 - UInt64(truncatingIfNeeded: length).leadingZeroBitCount) / 7
}
