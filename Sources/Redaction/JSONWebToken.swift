// JSON web tokens (RFC 7515, compact serialization).
import CShim

extension Scan {
    /// Looks for a token that begins with the `e` at `begin`.
    mutating func findJWT(_ begin: Int) {
        guard text.byte(begin) == UInt8(ascii: "e"),
            !tracefwd_is(text.byte(begin - 1), ByteClass.base64URL) || text.isEscapeLetter(begin - 1)
        else { return }
        let header = text.runEnd(ByteClass.base64URL, from: begin)
        work += header - begin
        guard text.byte(header) == UInt8(ascii: ".") else { return }
        let claims = text.runEnd(ByteClass.base64URL, from: header + 1)
        work += claims - header
        guard claims > header + 1, text.byte(claims) == UInt8(ascii: "."), isHeader(begin, header) else { return }
        let end = text.runEnd(ByteClass.base64URL, from: claims + 1)
        work += end - claims
        add(begin, end, detectors.jwt)
    }

    /// Whether the bytes decode to a JSON object with a member `alg`.
    private mutating func isHeader(_ begin: Int, _ end: Int) -> Bool {
        work += end - begin
        var bits: UInt32 = 0
        var bitCount = 0
        var window: UInt64 = 0  // the last eight bytes
        var count = 0
        var hasName = false  // "alg" was the last token
        var hasMember = false
        for at in begin..<end {
            bits = bits << 6 | UInt32(Self.sextet(text[at]))
            bitCount += 6
            guard bitCount >= 8 else { continue }
            bitCount -= 8
            let byte = UInt8(truncatingIfNeeded: bits >> UInt32(bitCount))
            window = window << 8 | UInt64(byte)
            if count == 0, byte != UInt8(ascii: "{") { return false }
            count += 1
            if hasName, byte == UInt8(ascii: ":") { hasMember = true }
            if byte != UInt8(ascii: " ") { hasName = window & 0xFF_FFFF_FFFF == 0x22_616C_6722 }
        }
        return hasMember && UInt8(truncatingIfNeeded: window) == UInt8(ascii: "}")
    }

    private static func sextet(_ byte: UInt8) -> UInt8 {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "-"): 62
        default: 63
        }
    }
}
