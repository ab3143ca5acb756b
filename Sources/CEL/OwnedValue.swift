/// A value that owns what it holds: for results that outlive their evaluation, for tests and for printing.
public indirect enum OwnedValue: Hashable, Sendable, CustomStringConvertible {
    case null
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case double(Double)
    case string(String)
    case bytes([UInt8])
    case duration(nanoseconds: Int64)
    case timestamp(Timestamp)
    case list([OwnedValue])
    case map([OwnedValue: OwnedValue])
    /// nil is `optional.none()`.
    case optional(OwnedValue?)
    /// A type, by its name.
    case type(String)
    /// A value of a type of the host's, as its text.
    case opaque(String)

    // Deeper values than this come from no configuration, and a copy must not run out of stack.
    private static let depthMax = 200

    /// Copies a value; an error or a value nested too deeply is thrown.
    public init(_ value: Value, in arena: inout Arena) throws(EvaluationError) { self = try OwnedValue.copy(value, &arena, depth: 0) }

    private static func copy(_ value: Value, _ arena: inout Arena, depth: Int) throws(EvaluationError) -> OwnedValue {
        guard depth < depthMax else { throw EvaluationError(.tooDeep) }
        guard arena.spend(1) else { throw EvaluationError(.tooExpensive) }
        switch value {
        case .null: return .null
        case .bool(let bool): return .bool(bool)
        case .int(let int): return .int(int)
        case .uint(let uint): return .uint(uint)
        case .double(let double): return .double(double)
        case .string(let text): return .string(Text.string(text))
        case .bytes(let bytes): return .bytes(Array(bytes))
        case .duration(let nanoseconds): return .duration(nanoseconds: nanoseconds)
        case .timestamp(let time): return .timestamp(time)
        case .list(let reference):
            let list = reference.takeUnretainedValue()
            var elements: [OwnedValue] = []
            for index in 0..<list.count { elements.append(try copy(list.element(at: index, in: &arena), &arena, depth: depth + 1)) }
            return .list(elements)
        case .map(let reference):
            let map = reference.takeUnretainedValue()
            var entries: [OwnedValue: OwnedValue] = [:]
            for index in 0..<map.count {
                let key = try copy(map.key(at: index, in: &arena), &arena, depth: depth + 1)
                entries[key] = try copy(map.value(at: index, in: &arena), &arena, depth: depth + 1)
            }
            return .map(entries)
        case .optional(let reference):
            guard let reference else { return .optional(nil) }
            return .optional(try copy(reference.takeUnretainedValue().value, &arena, depth: depth + 1))
        case .type(let name): return .type(Text.string(name))
        case .opaque(let reference): return .opaque(reference.takeUnretainedValue().text)
        case .error(let error): throw error
        }
    }

    /// The value as a view, made in the arena. A value of a type of the host's cannot be made from its text.
    public func view(in arena: inout Arena) -> Value {
        switch self {
        case .null: return .null
        case .bool(let bool): return .bool(bool)
        case .int(let int): return .int(int)
        case .uint(let uint): return .uint(uint)
        case .double(let double): return .double(double)
        case .string(let text): return arena.string(text)
        case .bytes(let bytes):
            return arena.bytes(capacity: bytes.count) {
                $0.copyBytes(from: bytes)
                return bytes.count
            }
        case .duration(let nanoseconds): return .duration(nanoseconds: nanoseconds)
        case .timestamp(let time): return .timestamp(time)
        case .list(let elements):
            var views: [Value] = []
            for element in elements { views.append(element.view(in: &arena)) }
            return arena.list(views)
        case .map(let entries):
            var keys: [Value] = []
            var values: [Value] = []
            for (key, value) in entries {
                keys.append(key.view(in: &arena))
                values.append(value.view(in: &arena))
            }
            return arena.map(keys: keys, values: values)
        case .optional(let value): return value.map { arena.optional($0.view(in: &arena)) } ?? .optional(nil)
        case .type(let name):
            guard case .string(let bytes) = arena.string(name) else { return .failure(.tooExpensive) }
            return .type(bytes)
        case .opaque: return .failure(.noSuchOverload)
        }
    }

    /// The value as an expression would write it, as far as it can: `{"a": [1, 2u, 0.5]}`. Keys stand in the order of their texts.
    public var description: String {
        switch self {
        case .null: "null"
        case .bool(let bool): "\(bool)"
        case .int(let int): "\(int)"
        case .uint(let uint): "\(uint)u"
        case .double(let double): "\(double)"
        case .string(let text): OwnedValue.quoted(text)
        case .bytes(let bytes): "b\"\(bytes.map { OwnedValue.escaped($0) }.joined())\""
        case .duration(let nanoseconds): "duration(\"\(Times.text(nanoseconds: nanoseconds))\")"
        case .timestamp(let time): "timestamp(\"\(Times.text(time))\")"
        case .list(let elements): "[\(elements.map(\.description).joined(separator: ", "))]"
        case .map(let entries): "{\(entries.map { "\($0): \($1)" }.sorted().joined(separator: ", "))}"
        case .optional(let value): value.map { "optional.of(\($0))" } ?? "optional.none()"
        case .type(let name): name
        case .opaque(let text): text
        }
    }

    private static func quoted(_ text: String) -> String {
        let inner = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case "\n": "\\n"
            case "\t": "\\t"
            case "\r": "\\r"
            default: scalar.value < 0x20 ? escaped(UInt8(scalar.value)) : String(Character(scalar))
            }
        }
        return "\"\(inner.joined())\""
    }

    private static func escaped(_ byte: UInt8) -> String {
        guard byte < 0x20 || byte > 0x7E || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else {
            return String(UnicodeScalar(byte))
        }
        return "\\x\(byte < 16 ? "0" : "")\(String(byte, radix: 16))"
    }
}
