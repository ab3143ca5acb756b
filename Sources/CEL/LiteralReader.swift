/// Reads a text in quotes with its escapes (language definition, "String and Bytes Values").
struct LiteralReader {
    let source: [UInt8]
    /// The opening quote.
    let start: Int
    let isRaw: Bool
    let isBytes: Bool
    private(set) var at = 0
    private(set) var value: [UInt8] = []
    private(set) var errors: [CompileError] = []

    init(source: [UInt8], start: Int, isRaw: Bool, isBytes: Bool) {
        (self.source, self.start, self.isRaw, self.isBytes) = (source, start, isRaw, isBytes)
    }

    /// False where the text has a mistake; `at` is then where to go on.
    mutating func read() -> Bool {
        let quote = source[start]
        let isTriple = start + 2 < source.count && source[start + 1] == quote && source[start + 2] == quote
        let closing = isTriple ? 3 : 1
        at = start + closing
        while at < source.count {
            let byte = source[at]
            if byte == quote, at + closing <= source.count, source[at..<at + closing].allSatisfy({ $0 == quote }) {
                at += closing
                return errors.isEmpty
            }
            if !isTriple, byte == 10 || byte == 13 { break }
            if byte == UInt8(ascii: "\\"), !isRaw {
                escape()
            } else {
                value.append(byte)
                at += 1
            }
        }
        errors.append(CompileError("this text has no closing quote", at: start..<at, in: source))
        return false
    }

    private mutating func escape() {
        let begin = at
        at += 1
        guard at < source.count else { return }
        let letter = source[at]
        at += 1
        switch letter {
        case UInt8(ascii: "\\"), UInt8(ascii: "?"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"): value.append(letter)
        case UInt8(ascii: "a"): value.append(7)
        case UInt8(ascii: "b"): value.append(8)
        case UInt8(ascii: "f"): value.append(12)
        case UInt8(ascii: "n"): value.append(10)
        case UInt8(ascii: "r"): value.append(13)
        case UInt8(ascii: "t"): value.append(9)
        case UInt8(ascii: "v"): value.append(11)
        case UInt8(ascii: "x"), UInt8(ascii: "X"): number(from: begin, digits: 2, radix: 16, isOctet: true)
        case UInt8(ascii: "u") where !isBytes: number(from: begin, digits: 4, radix: 16, isOctet: false)
        case UInt8(ascii: "U") where !isBytes: number(from: begin, digits: 8, radix: 16, isOctet: false)
        case UInt8(ascii: "0")...UInt8(ascii: "3"):
            at -= 1
            number(from: begin, digits: 3, radix: 8, isOctet: true)
        default:
            while at < source.count, source[at] & 0xC0 == 0x80 { at += 1 }
            let shown = String(decoding: source[begin..<at], as: UTF8.self)
            fail("'\(shown)' is no escape; a backslash itself is '\\\\', and in r'...' nothing is an escape", from: begin)
        }
    }

    private mutating func number(from begin: Int, digits: Int, radix: Int, isOctet: Bool) {
        let text = String(decoding: source[at..<min(at + digits, source.count)], as: UTF8.self)
        guard text.utf8.count == digits, text.utf8.allSatisfy(\.isHex), let code = UInt32(text, radix: radix) else {
            return fail("this escape needs \(digits) \(radix == 8 ? "octal" : "hexadecimal") digits", from: begin)
        }
        at += digits
        if isBytes, isOctet { return value.append(UInt8(truncatingIfNeeded: code)) }
        guard let scalar = UnicodeScalar(code) else { return fail("U+\(text.uppercased()) is no character", from: begin) }
        value.append(contentsOf: Array(String(Character(scalar)).utf8))
    }

    private mutating func fail(_ message: String, from begin: Int) {
        guard errors.count < Limits.errors else { return }
        errors.append(CompileError(message, at: begin..<max(at, begin + 1), in: source))
    }
}
