// The protobuf wire format (protobuf.dev, "Encoding"), as far as OTLP needs it: varints, tags, fixed64 and length-delimited fields.

/// The wire types of protobuf.
public enum WireType: UInt8, Sendable {
    case varint = 0
    case fixed64 = 1
    case bytes = 2
    case fixed32 = 5
}

/// One field read from a message: its number, and its value by wire type.
public struct ProtobufField {
    /// The field's number.
    public var number: UInt32
    /// How the value is written.
    public var type: WireType
    /// The value of a varint, fixed64 or fixed32 field.
    public var scalar: UInt64
    /// The value of a length-delimited field; empty for the others.
    public var bytes: UnsafeRawBufferPointer
}

/// Reads the fields of one message, in the order in which they stand. Stops at the first malformed byte: `failed` tells.
/// The buffer must outlive the reader and all that it hands out.
public struct ProtobufReader: IteratorProtocol, Sequence {
    private let buffer: UnsafeRawBufferPointer
    private var at = 0
    /// Whether reading stopped at bytes that are no protobuf.
    public private(set) var failed = false

    /// A reader over one message.
    public init(_ buffer: UnsafeRawBufferPointer) { self.buffer = buffer }

    /// Bytes read so far.
    public var position: Int { at }

    /// The next field, or nil at the end or at a malformed byte.
    @inline(__always)
    public mutating func next() -> ProtobufField? {
        guard at < buffer.count, !failed else { return nil }
        // Most fields are length-delimited, with one byte of tag and one of length.
        if buffer.count - at >= 2 {
            let (tag, length) = (buffer[at], buffer[at + 1])
            if tag & 0x87 == WireType.bytes.rawValue, tag >= 8, length < 0x80, Int(length) <= buffer.count - at - 2 {
                let start = at + 2
                at = start + Int(length)
                return ProtobufField(
                    number: UInt32(tag >> 3), type: .bytes, scalar: 0, bytes: UnsafeRawBufferPointer(rebasing: buffer[start..<at]))
            }
            // Every span has two times.
            if tag & 0x87 == WireType.fixed64.rawValue, tag >= 8, buffer.count - at >= 9 {
                let value = UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: at + 1, as: UInt64.self))
                at += 9
                return ProtobufField(number: UInt32(tag >> 3), type: .fixed64, scalar: value, bytes: .init(start: nil, count: 0))
            }
        }
        return nextOfAnyForm()
    }

    /// The key and the value of the next field, where that is the `KeyValue` field of this number (below 16) in its usual form; nil where it is
    /// anything else, which `next` reads.
    @inline(__always)
    mutating func nextUsualPair(of field: UInt8) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
        guard let base = buffer.baseAddress, !failed else { return nil }
        return UsualPair.read(field << 3 | WireType.bytes.rawValue, in: base, at: &at, end: buffer.count)
    }

    @inline(never)
    private mutating func nextOfAnyForm() -> ProtobufField? {
        guard let tag = varint(), tag >> 3 != 0, tag >> 3 <= 0x1fff_ffff, let type = WireType(rawValue: UInt8(tag & 7)) else {
            return fail()
        }
        let number = UInt32(tag >> 3)
        switch type {
        case .varint:
            guard let value = varint() else { return fail() }
            return ProtobufField(number: number, type: type, scalar: value, bytes: .init(start: nil, count: 0))
        case .fixed64:
            guard buffer.count - at >= 8 else { return fail() }
            let value = UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            at += 8
            return ProtobufField(number: number, type: type, scalar: value, bytes: .init(start: nil, count: 0))
        case .fixed32:
            guard buffer.count - at >= 4 else { return fail() }
            let value = UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: at, as: UInt32.self))
            at += 4
            return ProtobufField(number: number, type: type, scalar: UInt64(value), bytes: .init(start: nil, count: 0))
        case .bytes:
            guard let length = varint(), length <= UInt64(buffer.count - at) else { return fail() }
            let slice = UnsafeRawBufferPointer(rebasing: buffer[at..<at + Int(length)])
            at += Int(length)
            return ProtobufField(number: number, type: type, scalar: 0, bytes: slice)
        }
    }

    private mutating func fail() -> ProtobufField? {
        failed = true
        return nil
    }

    @inline(__always)
    private mutating func varint() -> UInt64? { readVarint(buffer, at: &at) }
}

extension [UInt8] {
    /// Appends a base-128 varint.
    @inlinable
    public mutating func appendVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}

extension [UInt8] {
    /// Appends a field as it was read.
    public mutating func append(_ field: ProtobufField) {
        appendVarint(UInt64(field.number) << 3 | UInt64(field.type.rawValue))
        switch field.type {
        case .varint: appendVarint(field.scalar)
        case .fixed64: Swift.withUnsafeBytes(of: field.scalar.littleEndian) { append(contentsOf: $0) }
        case .fixed32: Swift.withUnsafeBytes(of: UInt32(truncatingIfNeeded: field.scalar).littleEndian) { append(contentsOf: $0) }
        case .bytes:
            appendVarint(UInt64(field.bytes.count))
            append(contentsOf: field.bytes)
        }
    }
}

/// Bytes that `value` takes as a varint (1 to 10).
@inlinable
public func varintSize(_ value: UInt64) -> Int { value == 0 ? 1 : (70 - value.leadingZeroBitCount) / 7 }

/// Reads a base-128 varint and moves `at` behind it; nil where the bytes end first or it has more than 10 of them.
@inlinable
@inline(__always)
public func readVarint(_ bytes: UnsafeRawBufferPointer, at: inout Int) -> UInt64? {
    // Most have one byte or two.
    if at < bytes.count - 1 {
        let (first, second) = (bytes[at], bytes[at + 1])
        if first < 0x80 {
            at += 1
            return UInt64(first)
        }
        if second < 0x80 {
            at += 2
            return UInt64(first & 0x7f) | UInt64(second) << 7
        }
    }
    return readLongVarint(bytes, at: &at)
}

@inline(never)
@usableFromInline
func readLongVarint(_ bytes: UnsafeRawBufferPointer, at: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while at < bytes.count, shift < 64 {
        let byte = bytes[at]
        at += 1
        value |= UInt64(byte & 0x7f) << shift
        if byte < 0x80 { return value }
        shift += 7
    }
    return nil
}
