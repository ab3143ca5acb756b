import Glibc

/// Memory that is filled with messages from its begin. A write beyond its end stops the process.
struct MessageRoom {
    private let base: UnsafeMutableRawPointer
    private let capacity: Int
    /// How many bytes are written.
    private(set) var count = 0

    init(_ buffer: UnsafeMutableBufferPointer<UInt8>) {
        guard let base = buffer.baseAddress else { preconditionFailure("no room for messages") }
        (self.base, capacity) = (UnsafeMutableRawPointer(base), buffer.count)
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        memcpy(take(bytes.count), source, bytes.count)
    }

    /// Tag and length of a length-delimited field with a number below 16.
    @inline(__always)
    mutating func appendField(_ number: UInt8, size: Int) {
        let bytes = take(1 + varintSize(UInt64(size)))
        bytes.storeBytes(of: number << 3 | WireType.bytes.rawValue, as: UInt8.self)
        var (rest, at) = (size, 1)
        while rest >= 0x80 {
            bytes.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: at, as: UInt8.self)
            rest >>= 7
            at += 1
        }
        bytes.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: at, as: UInt8.self)
    }

    /// Writes over the last eight bytes.
    mutating func setLast(_ value: UInt64) {
        precondition(count >= 8, "nothing to write over")
        (base + (count - 8)).storeBytes(of: value, as: UInt64.self)
    }

    @inline(__always)
    private mutating func take(_ size: Int) -> UnsafeMutableRawPointer {
        precondition(size <= capacity - count, "spans are larger than the room that was made for them")
        defer { count += size }
        return base + count
    }
}
