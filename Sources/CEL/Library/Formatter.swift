import Glibc

/// `"%s is %d".format([a, b])` (extension "strings").
enum Formatter {
    private static let depthMax = 50
    private static let precisionMax = 100

    static func format(_ text: UnsafeRawBufferPointer, _ arguments: ListValue, _ arena: inout Arena) -> Value {
        var out: [UInt8] = []
        var next = 0
        var at = 0
        while at < text.count {
            let byte = text[at]
            at += 1
            guard byte == UInt8(ascii: "%") else {
                out.append(byte)
                continue
            }
            guard at < text.count else { return .failure(.invalidFormat) }
            if text[at] == byte {
                out.append(byte)
                at += 1
                continue
            }
            guard let precision = precision(text, &at), at < text.count, next < arguments.count else { return .failure(.invalidFormat) }
            let argument = arguments.element(at: next, in: &arena)
            guard let piece = clause(text[at], precision, argument, &arena) else { return .failure(.invalidFormat) }
            guard arena.spend(1), arena.spend(bytes: piece.utf8.count) else { return .failure(.tooExpensive) }
            out += piece.utf8
            next += 1
            at += 1
        }
        return arena.string(capacity: out.count) {
            $0.copyBytes(from: out)
            return out.count
        }
    }

    /// The digits of `.3`, or 6 where there are none; nil where they are too many to mean anything.
    private static func precision(_ text: UnsafeRawBufferPointer, _ at: inout Int) -> Int? {
        guard text[at] == UInt8(ascii: ".") else { return 6 }
        at += 1
        var precision = 0
        let start = at
        while at < text.count, text[at].isDigit {
            precision = precision * 10 + Int(text[at] - UInt8(ascii: "0"))
            guard precision <= precisionMax else { return nil }
            at += 1
        }
        return at > start ? precision : nil
    }

    private static func clause(_ letter: UInt8, _ precision: Int, _ value: Value, _ arena: inout Arena) -> String? {
        switch letter {
        case UInt8(ascii: "s"): return text(value, &arena, depth: 0)
        case UInt8(ascii: "d"):
            switch value {
            case .int(let int): return String(int)
            case .uint(let uint): return String(uint)
            case .double(let double): return NumberText.shortest(double)
            default: return nil
            }
        case UInt8(ascii: "f"), UInt8(ascii: "e"): return real(letter, precision, value)
        case UInt8(ascii: "b"):
            if case .bool(let bool) = value { return bool ? "1" : "0" }
            return whole(value, radix: 2)
        case UInt8(ascii: "o"): return whole(value, radix: 8)
        case UInt8(ascii: "x"), UInt8(ascii: "X"):
            let isUpper = letter == UInt8(ascii: "X")
            guard case .string(let bytes) = value else {
                guard case .bytes(let bytes) = value else { return whole(value, radix: 16, isUpper: isUpper) }
                return hex(bytes, isUpper, &arena)
            }
            return hex(bytes, isUpper, &arena)
        default: return nil
        }
    }

    private static func whole(_ value: Value, radix: Int, isUpper: Bool = false) -> String? {
        switch value {
        case .int(let int): String(int, radix: radix, uppercase: isUpper)
        case .uint(let uint): String(uint, radix: radix, uppercase: isUpper)
        default: nil
        }
    }

    private static func hex(_ bytes: UnsafeRawBufferPointer, _ isUpper: Bool, _ arena: inout Arena) -> String? {
        guard arena.spend(bytes.count) else { return nil }
        let digits = Array((isUpper ? "0123456789ABCDEF" : "0123456789abcdef").utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func real(_ letter: UInt8, _ precision: Int, _ value: Value) -> String? {
        let double: Double
        switch value {
        case .double(let value): double = value
        case .int(let value): double = Double(value)
        case .uint(let value): double = Double(value)
        default: return nil
        }
        guard double.isFinite else { return NumberText.shortest(double) }
        // 1e308 has 309 digits before its point.
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 330 + precisionMax) { buffer in
            let written = withVaList([Int32(precision), double]) {
                vsnprintf(buffer.baseAddress, buffer.count, letter == UInt8(ascii: "e") ? "%.*e" : "%.*f", $0)
            }
            return String(decoding: buffer[..<max(0, Int(written))].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    /// What `%s` writes; entries of a map in the order of their keys' texts. nil where it is nested too deeply or too much.
    private static func text(_ value: Value, _ arena: inout Arena, depth: Int) -> String? {
        guard depth < depthMax, arena.spend(1) else { return nil }
        switch value {
        case .null: return "null"
        case .bool(let bool): return bool ? "true" : "false"
        case .int(let int): return String(int)
        case .uint(let uint): return String(uint)
        case .double(let double): return NumberText.shortest(double)
        case .string(let bytes), .bytes(let bytes), .type(let bytes): return arena.spend(bytes: bytes.count) ? Text.string(bytes) : nil
        case .duration(let nanoseconds): return Times.text(nanoseconds: nanoseconds)
        case .timestamp(let time): return Times.text(time)
        case .list(let reference):
            let list = reference.takeUnretainedValue()
            var parts: [String] = []
            for index in 0..<list.count {
                guard let part = text(list.element(at: index, in: &arena), &arena, depth: depth + 1) else { return nil }
                parts.append(part)
            }
            return "[\(parts.joined(separator: ", "))]"
        case .map(let reference):
            let map = reference.takeUnretainedValue()
            var entries: [(key: String, value: String)] = []
            for index in 0..<map.count {
                guard let key = text(map.key(at: index, in: &arena), &arena, depth: depth + 1),
                    let value = text(map.value(at: index, in: &arena), &arena, depth: depth + 1)
                else { return nil }
                entries.append((key, value))
            }
            entries.sort { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }
            return "{\(entries.map { "\($0.key): \($0.value)" }.joined(separator: ", "))}"
        case .opaque(let object): return object.takeUnretainedValue().text
        case .optional, .error: return nil
        }
    }
}
