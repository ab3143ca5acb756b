/// JSON as it stands: numbers keep their digits, objects their order and their repeated keys. A parser of the tests' own, strict.
indirect enum JSON: Equatable {
    case null, bool(Bool), number(String), string(String), array([JSON]), object([Member])

    struct Member: Equatable {
        var key: String
        var value: JSON

        init(_ key: String, _ value: JSON) { (self.key, self.value) = (key, value) }
    }

    struct Malformed: Error {
        var at: Int
    }

    init(_ bytes: [UInt8]) throws {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw Malformed(at: -1) }
        var parser = JSONParser(text: Array(text.unicodeScalars))
        self = try parser.value()
        guard parser.at == parser.text.count else { throw Malformed(at: parser.at) }
    }

    subscript(key: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.key == key }?.value
    }
}

private struct JSONParser {
    let text: [Unicode.Scalar]
    var at = 0

    var next: Unicode.Scalar? { at < text.count ? text[at] : nil }

    mutating func take(_ expected: Unicode.Scalar) throws {
        guard next == expected else { throw JSON.Malformed(at: at) }
        at += 1
    }

    mutating func value() throws -> JSON {
        switch next {
        case "{":
            at += 1
            var members: [JSON.Member] = []
            while next != "}" {
                if !members.isEmpty { try take(",") }
                let key = try string()
                try take(":")
                members.append(JSON.Member(key, try value()))
            }
            at += 1
            return .object(members)
        case "[":
            at += 1
            var elements: [JSON] = []
            while next != "]" {
                if !elements.isEmpty { try take(",") }
                elements.append(try value())
            }
            at += 1
            return .array(elements)
        case "\"": return .string(try string())
        case "n": return try word("null", .null)
        case "t": return try word("true", .bool(true))
        case "f": return try word("false", .bool(false))
        default:
            let begin = at
            while let next, next.properties.isASCIIHexDigit || "+-.eE".unicodeScalars.contains(next) { at += 1 }
            let digits = String(String.UnicodeScalarView(text[begin..<at]))
            guard digits.wholeMatch(of: #/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/#) != nil else { throw JSON.Malformed(at: begin) }
            return .number(digits)
        }
    }

    mutating func word(_ word: String, _ value: JSON) throws -> JSON {
        for scalar in word.unicodeScalars { try take(scalar) }
        return value
    }

    mutating func string() throws -> String {
        try take("\"")
        var scalars = String.UnicodeScalarView()
        while let next, next != "\"" {
            at += 1
            guard next.value >= 0x20 else { throw JSON.Malformed(at: at) }
            guard next == "\\" else {
                scalars.append(next)
                continue
            }
            let escape = text[at]
            at += 1
            switch escape {
            case "\"", "\\", "/": scalars.append(escape)
            case "b": scalars.append("\u{8}")
            case "f": scalars.append("\u{c}")
            case "n": scalars.append("\n")
            case "r": scalars.append("\r")
            case "t": scalars.append("\t")
            case "u":
                let code = text[at..<at + 4].reduce(UInt32(0)) { $0 * 16 + UInt32(Character($1).hexDigitValue ?? 0) }
                guard let scalar = Unicode.Scalar(code) else { throw JSON.Malformed(at: at) }
                scalars.append(scalar)
                at += 4
            default: throw JSON.Malformed(at: at)
            }
        }
        try take("\"")
        return String(scalars)
    }
}
