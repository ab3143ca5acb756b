extension PriceValue {
    /// What a JSON text says.
    public init(json: [UInt8], file: String) throws(PriceError) { self = try PriceJSON.read(json, file: file) }
}

/// JSON (RFC 8259) to `PriceValue`, with places. Small: a price file is read once, at start and on a reload.
private struct PriceJSON {
    private let bytes: [UInt8]
    private let file: String
    private var at = 0
    private var line = 1
    private var lineStart = 0

    /// Far more than prices nest.
    private static let depthMax = 32

    /// The whole text as one value.
    static func read(_ bytes: [UInt8], file: String) throws(PriceError) -> PriceValue {
        var json = PriceJSON(bytes: bytes, file: file)
        guard String(validating: bytes, as: UTF8.self) != nil else { throw json.wrong("the file is not UTF-8; save it in that encoding") }
        let value = try json.value(depth: 0)
        json.skipSpace()
        guard json.at == bytes.count else { throw json.wrong("something stands behind the end of the JSON value") }
        return value
    }

    private init(bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    private var place: String { "\(file):\(line):\(at - lineStart + 1)" }
    private var byte: UInt8? { at < bytes.count ? bytes[at] : nil }

    private func wrong(_ text: String) -> PriceError { PriceError(mistakes: [PriceMistake(place: place, path: "", text: text)]) }

    private mutating func skipSpace() {
        while let byte, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D {
            at += 1
            if byte == 0x0A { (line, lineStart) = (line + 1, at) }
        }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard byte == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func value(depth: Int) throws(PriceError) -> PriceValue {
        guard depth < Self.depthMax else { throw wrong("nested more than \(Self.depthMax) deep") }
        skipSpace()
        let place = place
        if take("{") { return PriceValue(.map(try members(depth)), at: place) }
        if take("[") { return PriceValue(.list(try elements(depth)), at: place) }
        if byte == UInt8(ascii: "\"") { return PriceValue(.text(try string()), at: place) }
        let start = at
        while let byte, !" \t\r\n,]}:\"".utf8.contains(byte) { at += 1 }
        let word = String(decoding: bytes[start..<at], as: UTF8.self)
        if word == "null" { return PriceValue(.empty, at: place) }
        let isNumber = word.utf8.first.map { $0 == UInt8(ascii: "-") || isDigit($0) } ?? false
        guard isNumber || word == "true" || word == "false" else {
            at = start
            throw wrong("no JSON value; it is a number, a text in quotes, null, a list or an object")
        }
        return PriceValue(.text(word), at: place)
    }

    private mutating func members(_ depth: Int) throws(PriceError) -> [PriceValue.Member] {
        var members: [PriceValue.Member] = []
        if take("}") { return members }
        repeat {
            skipSpace()
            guard byte == UInt8(ascii: "\"") else { throw wrong("a key in quotes is missing") }
            let name = try string()
            guard take(":") else { throw wrong("a colon is missing behind the key") }
            members.append(PriceValue.Member(name: name, value: try value(depth: depth + 1)))
        } while take(",")
        guard take("}") else { throw wrong("a comma or the end of the object is missing") }
        return members
    }

    private mutating func elements(_ depth: Int) throws(PriceError) -> [PriceValue] {
        var elements: [PriceValue] = []
        if take("]") { return elements }
        repeat { elements.append(try value(depth: depth + 1)) } while take(",")
        guard take("]") else { throw wrong("a comma or the end of the list is missing") }
        return elements
    }

    private mutating func string() throws(PriceError) -> String {
        at += 1
        var text: [UInt8] = []
        while let byte, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw wrong("a text ends on its line; the closing quote is missing") }
            at += 1
            if byte == UInt8(ascii: "\\") { text.append(contentsOf: try escape()) } else { text.append(byte) }
        }
        guard byte != nil else { throw wrong("the closing quote is missing") }
        at += 1
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func escape() throws(PriceError) -> [UInt8] {
        guard let byte else { throw wrong("the closing quote is missing") }
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"):
            let first = try codeUnit()
            guard 0xD800...0xDBFF ~= first else { return Array(String(decoding: [first], as: UTF16.self).utf8) }
            guard at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u") else {
                throw wrong("half of a surrogate pair")
            }
            at += 2
            return Array(String(decoding: [first, try codeUnit()], as: UTF16.self).utf8)
        default: throw wrong("no escape of JSON")
        }
    }

    private mutating func codeUnit() throws(PriceError) -> UInt16 {
        let digits = bytes[at..<min(at + 4, bytes.count)]
        guard digits.count == 4, digits.allSatisfy({ UInt8(ascii: "+") != $0 && UInt8(ascii: "-") != $0 }),
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw wrong("\\u wants four hexadecimal digits") }
        at += 4
        return unit
    }
}
