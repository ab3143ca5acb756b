/// The extension "strings". Positions count characters (code points), from 0.
extension StandardLibrary {
    static let strings: [Function] = [
        member("charAt", [.string, .int], .string) { arguments, arena in
            guard case .string(let text) = arguments[0], case .int(let index) = arguments[1] else { return .failure(.noSuchOverload) }
            guard let at = offset(index, text, &arena) else { return .failure(.indexOutOfRange) }
            return .string(at == text.count ? Text.slice(text, at, at) : Text.slice(text, at, at + Text.length(at: at, in: text)))
        },
        member("indexOf", [.string, .string], [.string, .string, .int], .int) { arguments, arena in
            guard case .string(let text) = arguments[0], case .string(let part) = arguments[1] else { return .failure(.noSuchOverload) }
            guard let from = position(arguments, 2, text, &arena, orElse: 0) else { return .failure(.indexOutOfRange) }
            guard arena.spend(bytes: text.count) else { return .failure(.tooExpensive) }
            return .int(Text.find(part, in: text, from: from).map { Int64(Text.characterCount(Text.slice(text, 0, $0))) } ?? -1)
        },
        member("lastIndexOf", [.string, .string], [.string, .string, .int], .int) { arguments, arena in
            guard case .string(let text) = arguments[0], case .string(let part) = arguments[1] else { return .failure(.noSuchOverload) }
            guard let before = position(arguments, 2, text, &arena, orElse: text.count) else { return .failure(.indexOutOfRange) }
            // Each place is tried, so the price is the product of the two.
            guard arena.spend(bytes: text.count * (1 + part.count)) else { return .failure(.tooExpensive) }
            return .int(Text.findLast(part, in: text, before: before).map { Int64(Text.characterCount(Text.slice(text, 0, $0))) } ?? -1)
        },
        member("substring", [.string, .int], [.string, .int, .int], .string) { arguments, arena in
            guard case .string(let text) = arguments[0] else { return .failure(.noSuchOverload) }
            guard let from = position(arguments, 1, text, &arena, orElse: 0),
                let to = position(arguments, 2, text, &arena, orElse: text.count),
                from <= to
            else { return .failure(.indexOutOfRange) }
            return .string(Text.slice(text, from, to))
        },
        member("lowerAscii", [.string], .string) { arguments, arena in
            mapped(arguments[0], &arena) { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") ? $0 + 32 : $0 }
        },
        member("upperAscii", [.string], .string) { arguments, arena in
            mapped(arguments[0], &arena) { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") ? $0 - 32 : $0 }
        },
        member("trim", [.string], .string) { arguments, arena in
            guard case .string(let text) = arguments[0] else { return .failure(.noSuchOverload) }
            return arena.spend(bytes: text.count) ? .string(trimmed(text)) : .failure(.tooExpensive)
        },
        member("reverse", [.string], .string) { arguments, arena in
            guard case .string(let text) = arguments[0] else { return .failure(.noSuchOverload) }
            return arena.string(capacity: text.count) { room in
                var at = 0
                while at < text.count {
                    let length = Text.length(at: at, in: text)
                    for index in 0..<length { room[text.count - at - length + index] = text[at + index] }
                    at += length
                }
                return text.count
            }
        },
        member("replace", [.string, .string, .string], [.string, .string, .string, .int], .string) { replace($0, &$1) },
        member("split", [.string, .string], [.string, .string, .int], .list(.string)) { split($0, &$1) },
        member("join", [.list(.string)], [.list(.string), .string], .string) { join($0, &$1) },
        Function("strings.quote", .string, returns: .string) { value, arena in
            guard case .string(let text) = value else { return .failure(.noSuchOverload) }
            return arena.string(capacity: 2 * text.count + 2) { quote(text, into: $0) }
        },
        Function(
            "format", [.init([.string, .list(.dyn)], .string, isMember: true)],
            body: .two { text, arguments, arena in
                guard case .string(let text) = text, case .list(let list) = arguments else { return .failure(.noSuchOverload) }
                return Formatter.format(text, list.takeUnretainedValue(), &arena)
            }),
    ]

    private static func member(
        _ name: String, _ signatures: [ValueType]..., returns result: ValueType, body: @escaping @Sendable ([Value], inout Arena) -> Value
    ) -> Function { Function(name, signatures.map { .init($0, result, isMember: true) }, body: .any(body)) }

    private static func member(
        _ name: String, _ signature: [ValueType], _ result: ValueType, _ body: @escaping @Sendable ([Value], inout Arena) -> Value
    ) -> Function { member(name, signature, returns: result, body: body) }

    private static func member(
        _ name: String, _ signature: [ValueType], _ other: [ValueType], _ result: ValueType,
        _ body: @escaping @Sendable ([Value], inout Arena) -> Value
    ) -> Function { member(name, signature, other, returns: result, body: body) }

    private static func offset(_ index: Int64, _ text: UnsafeRawBufferPointer, _ arena: inout Arena) -> Int? {
        arena.spend(bytes: text.count) ? Text.offset(ofCharacter: Int(index), in: text) : nil
    }

    /// Where the character stands whose number is an argument, in bytes; nil where there is none.
    private static func position(
        _ arguments: [Value], _ index: Int, _ text: UnsafeRawBufferPointer, _ arena: inout Arena, orElse: Int
    ) -> Int? {
        guard index < arguments.count else { return orElse }
        guard case .int(let number) = arguments[index] else { return nil }
        return offset(number, text, &arena)
    }

    private static func mapped(_ value: Value, _ arena: inout Arena, _ change: (UInt8) -> UInt8) -> Value {
        guard case .string(let text) = value else { return .failure(.noSuchOverload) }
        return arena.string(capacity: text.count) { room in
            for (index, byte) in text.enumerated() { room[index] = change(byte) }
            return text.count
        }
    }

    private static func trimmed(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var start = 0
        var end = text.count
        while start < end, let length = blank(text, at: start) { start += length }
        while end > start {
            var lead = end - 1
            while lead > start, text[lead] & 0xC0 == 0x80 { lead -= 1 }
            guard let length = blank(text, at: lead), lead + length == end else { break }
            end = lead
        }
        return Text.slice(text, start, end)
    }

    /// The length of the white space that begins here (Unicode's White_Space); nil where there is none.
    private static func blank(_ text: UnsafeRawBufferPointer, at: Int) -> Int? {
        let length = Text.length(at: at, in: text)
        guard length > 1 else { return text[at] == 32 || 9...13 ~= text[at] ? 1 : nil }
        guard at + length <= text.count, length < 4 else { return nil }
        let code = (1..<length).reduce(UInt32(text[at]) & (length == 2 ? 0x1F : 0x0F)) { $0 << 6 | UInt32(text[at + $1] & 0x3F) }
        switch code {
        case 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: return length
        default: return nil
        }
    }

    private static func replace(_ arguments: [Value], _ arena: inout Arena) -> Value {
        guard case .string(let text) = arguments[0], case .string(let old) = arguments[1], case .string(let new) = arguments[2] else {
            return .failure(.noSuchOverload)
        }
        var limit = Int64.max
        if arguments.count == 4 {
            guard case .int(let count) = arguments[3] else { return .failure(.noSuchOverload) }
            limit = count < 0 ? .max : count
        }
        guard arena.spend(bytes: text.count) else { return .failure(.tooExpensive) }
        var places: [Int] = []
        var from = 0
        while Int64(places.count) < limit, from <= text.count, let at = Text.find(old, in: text, from: from) {
            guard arena.spend(1) else { return .failure(.tooExpensive) }
            places.append(at)
            // An empty text stands before each character and at the end.
            from = old.isEmpty ? at + (at < text.count ? Text.length(at: at, in: text) : 1) : at + old.count
        }
        return arena.string(capacity: text.count + places.count * (new.count - old.count)) { room in
            var writer = Writer(room)
            var read = 0
            for place in places {
                writer.put(Text.slice(text, read, place))
                writer.put(new)
                read = place + old.count
            }
            writer.put(Text.slice(text, read, text.count))
            return writer.count
        }
    }

    private static func split(_ arguments: [Value], _ arena: inout Arena) -> Value {
        guard case .string(let text) = arguments[0], case .string(let separator) = arguments[1] else { return .failure(.noSuchOverload) }
        var limit = Int64.max
        if arguments.count == 3 {
            guard case .int(let count) = arguments[2] else { return .failure(.noSuchOverload) }
            limit = count < 0 ? .max : count
        }
        guard arena.spend(bytes: text.count) else { return .failure(.tooExpensive) }
        guard limit > 0 else { return arena.list([]) }
        var parts: [Value] = []
        var from = 0
        while Int64(parts.count) < limit - 1 {
            guard arena.spend(1) else { return .failure(.tooExpensive) }
            if separator.isEmpty {
                guard from < text.count else { break }
                let next = from + Text.length(at: from, in: text)
                guard next < text.count else { break }
                parts.append(.string(Text.slice(text, from, next)))
                from = next
            } else {
                guard let at = Text.find(separator, in: text, from: from) else { break }
                parts.append(.string(Text.slice(text, from, at)))
                from = at + separator.count
            }
        }
        if !(separator.isEmpty && text.isEmpty) { parts.append(.string(Text.slice(text, from, text.count))) }
        return arena.list(parts)
    }

    private static func join(_ arguments: [Value], _ arena: inout Arena) -> Value {
        guard case .list(let reference) = arguments[0] else { return .failure(.noSuchOverload) }
        var separator = UnsafeRawBufferPointer(start: nil, count: 0)
        if arguments.count == 2 {
            guard case .string(let text) = arguments[1] else { return .failure(.noSuchOverload) }
            separator = text
        }
        let list = reference.takeUnretainedValue()
        var parts: [UnsafeRawBufferPointer] = []
        var size = 0
        for index in 0..<list.count {
            guard arena.spend(1) else { return .failure(.tooExpensive) }
            guard case .string(let part) = list.element(at: index, in: &arena) else { return .failure(.noSuchOverload) }
            if index > 0 { parts.append(separator) }
            parts.append(part)
            size += part.count + (index > 0 ? separator.count : 0)
        }
        return arena.string(capacity: size) { room in
            var writer = Writer(room)
            for part in parts { writer.put(part) }
            return writer.count
        }
    }

    private static func quote(_ text: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer) -> Int {
        var written = 0
        func put(_ byte: UInt8) {
            room[written] = byte
            written += 1
        }
        put(UInt8(ascii: "\""))
        for byte in text {
            switch byte {
            case 7...13:
                put(UInt8(ascii: "\\"))
                put(Array("abtnvfr".utf8)[Int(byte) - 7])
            case UInt8(ascii: "\\"), UInt8(ascii: "\""):
                put(UInt8(ascii: "\\"))
                put(byte)
            default: put(byte)
            }
        }
        put(UInt8(ascii: "\""))
        return written
    }
}

/// Puts pieces one behind the other.
struct Writer {
    private let room: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ room: UnsafeMutableRawBufferPointer) { self.room = room }

    mutating func put(_ piece: UnsafeRawBufferPointer) {
        UnsafeMutableRawBufferPointer(rebasing: room[count...]).copyMemory(from: piece)
        count += piece.count
    }
}
