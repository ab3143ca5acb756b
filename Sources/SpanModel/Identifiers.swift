/// A W3C trace id: 16 bytes, never all zero, read as one big-endian number.
public struct TraceID: Sendable, Hashable, CustomStringConvertible {
    /// The id as a number.
    public let bits: UInt128

    /// Nil where `bytes` is no trace id.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 16 else { return nil }
        bits = UInt128(bigEndian: bytes.loadUnaligned(as: UInt128.self))
        guard bits != 0 else { return nil }
    }

    /// 32 lower-case hex digits.
    public var description: String { hexText(of: bits.bigEndian) }
}

/// A W3C span id: 8 bytes, never all zero, read as one big-endian number.
public struct SpanID: Sendable, Hashable, CustomStringConvertible {
    /// The id as a number.
    public let bits: UInt64

    /// Nil where `bytes` is no span id.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 8 else { return nil }
        bits = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
        guard bits != 0 else { return nil }
    }

    /// 16 lower-case hex digits.
    public var description: String { hexText(of: bits.bigEndian) }
}

private func hexText(of bytes: some BitwiseCopyable) -> String {
    withUnsafeBytes(of: bytes) { bytes in
        String(unsafeUninitializedCapacity: 2 * bytes.count) { text in
            for (at, byte) in bytes.enumerated() {
                text[2 * at] = hexDigit(byte >> 4)
                text[2 * at + 1] = hexDigit(byte & 15)
            }
            return 2 * bytes.count
        }
    }
}
