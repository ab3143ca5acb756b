/// Cuts an expression into tokens (language definition, "Syntax"). Goes on after a mistake, so all of them are told at once.
struct Lexer {
    private let source: [UInt8]
    private var at = 0
    private(set) var tokens: [Token] = []
    private(set) var errors: [CompileError] = []

    private init(_ source: [UInt8]) { self.source = source }

    static func tokens(of source: [UInt8]) -> (tokens: [Token], errors: [CompileError]) {
        var lexer = Lexer(source)
        // Enough mistakes are enough: the rest would be told to nobody.
        while lexer.errors.count < Limits.errors, lexer.next() {}
        if lexer.tokens.last?.kind != .end { lexer.add(.end, from: lexer.at) }
        return (lexer.tokens, lexer.errors)
    }

    private func peek(_ ahead: Int = 0) -> UInt8 { at + ahead < source.count ? source[at + ahead] : 0 }

    private mutating func add(_ kind: Token.Kind, from start: Int) { tokens.append(Token(kind: kind, range: start..<at)) }

    private mutating func fail(_ message: String, from start: Int) {
        errors.append(CompileError(message, at: start..<max(at, start + 1), in: source))
        add(.invalid, from: start)
    }

    private mutating func next() -> Bool {
        skipBlanks()
        let start = at
        guard at < source.count else {
            add(.end, from: start)
            return false
        }
        let byte = source[at]
        if let prefix = literalPrefix() {
            literal(from: start, prefix: prefix)
        } else if byte.isLetter {
            while peek().isLetter || peek().isDigit { at += 1 }
            let name = String(decoding: source[start..<at], as: UTF8.self)
            add(name == "in" ? .symbol(name) : .identifier(name), from: start)
        } else if byte.isDigit || byte == UInt8(ascii: ".") && peek(1).isDigit {
            number(from: start)
        } else if byte == UInt8(ascii: "`") {
            quotedName(from: start)
        } else {
            symbol(from: start)
        }
        return true
    }

    private mutating func skipBlanks() {
        while at < source.count {
            switch source[at] {
            case 9, 10, 12, 13, 32: at += 1
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "/"):
                while at < source.count, source[at] != 10 { at += 1 }
            default: return
            }
        }
    }

    private mutating func symbol(from start: Int) {
        let pair = String(decoding: source[at..<min(at + 2, source.count)], as: UTF8.self)
        if ["&&", "||", "==", "!=", "<=", ">="].contains(pair) {
            at += 2
            return add(.symbol(pair), from: start)
        }
        let single = source[at]
        if "()[]{}.,?:!<>+-*/%".utf8.contains(single) {
            at += 1
            return add(.symbol(String(UnicodeScalar(single))), from: start)
        }
        at += 1
        while at < source.count, source[at] & 0xC0 == 0x80 { at += 1 }
        let shown = String(decoding: source[start..<at], as: UTF8.self)
        let hint =
            switch single {
            case UInt8(ascii: "="): "; equality is '=='"
            case UInt8(ascii: "&"), UInt8(ascii: "|"): "; did you mean '\(shown)\(shown)'?"
            default: ""
            }
        let isControl = single < 0x20 || single == 0x7F
        fail(isControl ? "unexpected control character \(single)" : "unexpected '\(shown)'\(hint)", from: start)
    }

    private mutating func quotedName(from start: Int) {
        at += 1
        let first = at
        let allowed: (UInt8) -> Bool = { $0.isLetter || $0.isDigit || "-./ ".utf8.contains($0) }
        while allowed(peek()) { at += 1 }
        let name = String(decoding: source[first..<at], as: UTF8.self)
        guard peek() == UInt8(ascii: "`"), !name.isEmpty else {
            return fail("a name in backquotes holds letters, digits, '_', '-', '.', '/' or blanks, and ends with '`'", from: start)
        }
        at += 1
        add(.quoted(name), from: start)
    }

    // MARK: Numbers

    private mutating func number(from start: Int) {
        if peek() == UInt8(ascii: "0"), peek(1) | 0x20 == UInt8(ascii: "x"), peek(2).isHex {
            at += 2
            let digits = at
            while peek().isHex { at += 1 }
            return whole(String(decoding: source[digits..<at], as: UTF8.self), radix: 16, from: start)
        }
        while peek().isDigit { at += 1 }
        var isDouble = false
        if peek() == UInt8(ascii: "."), peek(1).isDigit {
            isDouble = true
            at += 1
            while peek().isDigit { at += 1 }
        }
        let signed = peek(1) == UInt8(ascii: "+") || peek(1) == UInt8(ascii: "-")
        if peek() | 0x20 == UInt8(ascii: "e"), signed ? peek(2).isDigit : peek(1).isDigit {
            isDouble = true
            at += signed ? 2 : 1
            while peek().isDigit { at += 1 }
        }
        let text = String(decoding: source[start..<at], as: UTF8.self)
        guard isDouble else { return whole(text, radix: 10, from: start) }
        guard let double = Double(text.hasPrefix(".") ? "0" + text : text) else { return fail("'\(text)' is not a number", from: start) }
        finishNumber(.double(double), from: start)
    }

    private mutating func whole(_ digits: String, radix: Int, from start: Int) {
        let value = UInt64(digits, radix: radix)
        let unsigned = peek() | 0x20 == UInt8(ascii: "u")
        if unsigned { at += 1 }
        guard let value, unsigned || value <= UInt64(Int64.max) + 1 else {
            return fail("\(digits.prefix(40)) does not fit a\(unsigned ? " uint" : "n int"), which has 64 bits", from: start)
        }
        finishNumber(unsigned ? .uint(value) : .int(value), from: start)
    }

    private mutating func finishNumber(_ kind: Token.Kind, from start: Int) {
        guard peek().isLetter || peek().isDigit else { return add(kind, from: start) }
        while peek().isLetter || peek().isDigit { at += 1 }
        fail("'\(String(decoding: source[start..<at], as: UTF8.self))' is neither a number nor a name", from: start)
    }

    // MARK: Texts

    /// How many letters (`r`, `b`, both) stand before the quote of a literal here; nil where there is none.
    private func literalPrefix() -> Int? {
        var letters = 0
        while letters < 2, "rRbB".utf8.contains(peek(letters)) { letters += 1 }
        for count in 0...letters where peek(count) == UInt8(ascii: "\"") || peek(count) == UInt8(ascii: "'") {
            return count == 2 && peek(0) | 0x20 == peek(1) | 0x20 ? nil : count
        }
        return nil
    }

    private mutating func literal(from start: Int, prefix: Int) {
        let letters = source[at..<at + prefix].map { $0 | 0x20 }
        var reader = LiteralReader(
            source: source, start: at + prefix, isRaw: letters.contains(UInt8(ascii: "r")), isBytes: letters.contains(UInt8(ascii: "b")))
        let ended = reader.read()
        at = reader.at
        errors += reader.errors
        guard ended else { return add(.invalid, from: start) }
        add(reader.isBytes ? .bytes(reader.value) : .string(reader.value), from: start)
    }
}

extension UInt8 {
    var isLetter: Bool { self | 0x20 >= UInt8(ascii: "a") && self | 0x20 <= UInt8(ascii: "z") || self == UInt8(ascii: "_") }
    var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
    var isHex: Bool { isDigit || self | 0x20 >= UInt8(ascii: "a") && self | 0x20 <= UInt8(ascii: "f") }
}
