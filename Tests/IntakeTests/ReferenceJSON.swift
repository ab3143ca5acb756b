/// JSON as it stands in a line: members in order, numbers as text.
indirect enum JSON {
    case null
    case bool(Bool)
    case number(String)
    case string(Name)
    case array([JSON])
    case object([(key: Name, value: JSON)])
}

/// The reason code for a line that is no JSON.
struct NotJSON: Error { var code: String }

/// RFC 8259 by its grammar, one rule a function, without any regard to speed.
struct ReferenceJSON {
    private let bytes: [UInt8]
    private var at = 0
    private var depth = 0
    private let depthMax: Int

    static func read(_ bytes: [UInt8], depthMax: Int = 64) throws -> JSON {
        var reader = ReferenceJSON(bytes: bytes, depthMax: depthMax)
        reader.space()
        let value = try reader.value()
        reader.space()
        if reader.at < bytes.count { throw reader.wrong() }
        return value
    }

    private init(bytes: [UInt8], depthMax: Int) {
        self.bytes = bytes
        self.depthMax = depthMax
    }

    private var here: UInt8? { at < bytes.count ? bytes[at] : nil }

    private func wrong() -> NotJSON {
        guard let here, here >= 0x80 else { return NotJSON(code: "invalid_json") }
        return NotJSON(code: characterLength() == nil ? "invalid_utf8" : "invalid_json")
    }

    /// Bytes of the character at `at`, by the standard library's own check.
    private func characterLength() -> Int? {
        (1...4).first { at + $0 <= bytes.count && String(validating: bytes[at..<at + $0], as: UTF8.self) != nil }
    }

    private mutating func space() {
        while let here, [0x20, 0x09, 0x0a, 0x0d].contains(here) { at += 1 }
    }

    private mutating func expect(_ text: String) throws {
        for byte in text.utf8 {
            if here != byte { throw wrong() }
            at += 1
        }
    }

    private mutating func value() throws -> JSON {
        switch here.map({ Character(UnicodeScalar($0)) }) {
        case "{": return .object(try object())
        case "[": return .array(try array())
        case "\"": return .string(try string())
        case "t":
            try expect("true")
            return .bool(true)
        case "f":
            try expect("false")
            return .bool(false)
        case "n":
            try expect("null")
            return .null
        default: return .number(try number())
        }
    }

    private mutating func enter() throws {
        at += 1
        depth += 1
        if depth > depthMax { throw NotJSON(code: "too_deep") }
        space()
    }

    private mutating func object() throws -> [(key: Name, value: JSON)] {
        var members: [(key: Name, value: JSON)] = []
        try enter()
        if here == UInt8(ascii: "}") {
            at += 1
            depth -= 1
            return []
        }
        while true {
            if here != UInt8(ascii: "\"") { throw wrong() }
            let key = try string()
            space()
            try expect(":")
            space()
            members.append((key, try value()))
            space()
            if here == UInt8(ascii: "}") { break }
            try expect(",")
            space()
        }
        at += 1
        depth -= 1
        return members
    }

    private mutating func array() throws -> [JSON] {
        var elements: [JSON] = []
        try enter()
        if here == UInt8(ascii: "]") {
            at += 1
            depth -= 1
            return []
        }
        while true {
            elements.append(try value())
            space()
            if here == UInt8(ascii: "]") { break }
            try expect(",")
            space()
        }
        at += 1
        depth -= 1
        return elements
    }

    private mutating func string() throws -> Name {
        var result: [UInt8] = []
        at += 1
        while true {
            guard let byte = here else { throw NotJSON(code: "invalid_json") }
            switch byte {
            case UInt8(ascii: "\""):
                at += 1
                return Name(result)
            case UInt8(ascii: "\\"):
                at += 1
                result += try escape()
            case 0..<0x20: throw NotJSON(code: "invalid_json")
            case 0..<0x80:
                result.append(byte)
                at += 1
            default:
                guard let length = characterLength() else { throw NotJSON(code: "invalid_utf8") }
                result += bytes[at..<at + length]
                at += length
            }
        }
    }

    private mutating func escape() throws -> [UInt8] {
        guard let kind = here else { throw NotJSON(code: "invalid_json") }
        at += 1
        if let plain: UInt8 = [0x22: 0x22, 0x5c: 0x5c, 0x2f: 0x2f, 0x62: 8, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9][kind] { return [plain] }
        guard kind == UInt8(ascii: "u") else { throw NotJSON(code: "invalid_json") }
        var units = [try unit()]
        if units[0] >> 10 == 0x36 {  // the first half of a pair
            guard at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u") else {
                throw NotJSON(code: "invalid_json")
            }
            at += 2
            units.append(try unit())
        }
        guard let text = String(validating: units, as: UTF16.self) else { throw NotJSON(code: "invalid_json") }
        return Array(text.utf8)
    }

    private mutating func unit() throws -> UInt16 {
        guard at + 4 <= bytes.count, bytes[at..<at + 4].allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }),
            let value = UInt16(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
        else { throw NotJSON(code: "invalid_json") }
        at += 4
        return value
    }

    private mutating func number() throws -> String {
        let start = at
        func isDigit(_ byte: UInt8?) -> Bool { byte.map { (0x30...0x39).contains($0) } ?? false }
        if here == UInt8(ascii: "-") { at += 1 }
        if !isDigit(here) { throw wrong() }
        if here == UInt8(ascii: "0") { at += 1 } else { while isDigit(here) { at += 1 } }
        if here == UInt8(ascii: ".") {
            at += 1
            if !isDigit(here) { throw wrong() }
            while isDigit(here) { at += 1 }
        }
        if here == UInt8(ascii: "e") || here == UInt8(ascii: "E") {
            at += 1
            if here == UInt8(ascii: "+") || here == UInt8(ascii: "-") { at += 1 }
            if !isDigit(here) { throw wrong() }
            while isDigit(here) { at += 1 }
        }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }
}
