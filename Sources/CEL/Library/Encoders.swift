/// Base64 (RFC 4648, section 4; padding may be absent when read).
extension StandardLibrary {
    static let encoders: [Function] = [
        Function("base64.encode", .bytes, returns: .string) { value, arena in
            guard case .bytes(let bytes) = value else { return .failure(.noSuchOverload) }
            guard arena.spend(bytes: bytes.count) else { return .failure(.tooExpensive) }
            return arena.string(capacity: (bytes.count + 2) / 3 * 4) { encode(bytes, into: $0) }
        },
        Function("base64.decode", .string, returns: .bytes) { value, arena in
            guard case .string(let text) = value else { return .failure(.noSuchOverload) }
            guard arena.spend(bytes: text.count) else { return .failure(.tooExpensive) }
            guard let decoded = decode(text) else { return .failure(.invalidText) }
            return arena.bytes(capacity: decoded.count) {
                $0.copyBytes(from: decoded)
                return decoded.count
            }
        },
    ]

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static func encode(_ bytes: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) -> Int {
        var written = 0
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = (0..<3).reduce(UInt32(0)) { $0 << 8 | (start + $1 < bytes.count ? UInt32(bytes[start + $1]) : 0) }
            for digit in 0..<4 {
                let isPadding = start + digit - 1 >= bytes.count && digit > 1
                room[written] = isPadding ? UInt8(ascii: "=") : alphabet[Int(group >> (18 - 6 * UInt32(digit)) & 63)]
                written += 1
            }
        }
        return written
    }

    private static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        var digits = text[...]
        while digits.last == UInt8(ascii: "="), text.count - digits.count < 2 { digits.removeLast() }
        if digits.count != text.count, text.count % 4 != 0 { return nil }
        var bytes: [UInt8] = []
        var group: UInt32 = 0
        for (index, digit) in digits.enumerated() {
            guard let value = alphabet.firstIndex(of: digit) else { return nil }
            group = group << 6 | UInt32(value)
            if index % 4 == 3 { bytes += [UInt8(group >> 16 & 255), UInt8(group >> 8 & 255), UInt8(group & 255)] }
        }
        switch digits.count % 4 {
        case 0: break
        case 2: bytes.append(UInt8(group >> 4 & 255))
        case 3: bytes += [UInt8(group >> 10 & 255), UInt8(group >> 2 & 255)]
        default: return nil
        }
        return bytes
    }
}
