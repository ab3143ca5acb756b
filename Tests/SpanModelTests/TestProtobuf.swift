import SpanModel

/// A protobuf writer of the tests' own, so that what is read was not written by what is tested.
struct Protobuf {
    var bytes: [UInt8] = []

    static func message(_ write: (inout Protobuf) -> Void) -> [UInt8] {
        var message = Protobuf()
        write(&message)
        return message.bytes
    }

    mutating func raw(_ value: UInt64) {
        var rest = value
        while rest > 127 {
            bytes.append(UInt8(rest % 128) + 128)
            rest /= 128
        }
        bytes.append(UInt8(rest))
    }

    mutating func varint(_ field: UInt64, _ value: UInt64) {
        raw(field * 8)
        raw(value)
    }

    mutating func fixed64(_ field: UInt64, _ value: UInt64) {
        raw(field * 8 + 1)
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(value >> UInt64(shift) & 255)) }
    }

    mutating func fixed32(_ field: UInt64, _ value: UInt32) {
        raw(field * 8 + 5)
        for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(value >> UInt32(shift) & 255)) }
    }

    mutating func bytes(_ field: UInt64, _ value: [UInt8]) {
        raw(field * 8 + 2)
        raw(UInt64(value.count))
        bytes += value
    }

    mutating func text(_ field: UInt64, _ value: String) { bytes(field, [UInt8](value.utf8)) }
}

/// The length-delimited values of a field, in order; stops where the bytes are no protobuf.
func values(of field: UInt32, in message: [UInt8]) -> [[UInt8]] {
    message.withUnsafeBytes { bytes in
        ProtobufReader(bytes).filter { $0.number == field && $0.type == .bytes }.map { [UInt8]($0.bytes) }
    }
}

/// The bytes of a text of hex digits.
func hexBytes(_ text: String) -> [UInt8] {
    let digits = text.filter { !$0.isWhitespace }.compactMap { $0.hexDigitValue }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}
