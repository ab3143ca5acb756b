/// `int(x)`, `string(x)` and the others (language definition, "Types and Conversions"), `type(x)` and `dyn(x)`.
extension StandardLibrary {
    static let conversions: [Function] = [
        conversion("bool", [.bool, .string], .bool) { value, _ in bool(value) },
        conversion("bytes", [.bytes, .string], .bytes) { value, _ in bytes(value) },
        conversion("double", [.double, .int, .uint, .string], .double) { double($0, &$1) },
        conversion("int", [.int, .uint, .double, .string, .timestamp], .int) { int($0, &$1) },
        conversion("uint", [.uint, .int, .double, .string], .uint) { uint($0, &$1) },
        conversion(
            "string",
            [.string, .bool, .int, .uint, .double, .bytes, .timestamp, .duration, .opaque("net.IP"), .opaque("net.CIDR")], .string
        ) { string($0, &$1) },
        conversion("duration", [.duration, .string], .duration) { duration($0, &$1) },
        conversion("timestamp", [.timestamp, .string, .int], .timestamp) { timestamp($0, &$1) },
        Function("type", .parameter("A"), returns: .type(.parameter("A"))) { value, _ in .type(value.typeName) },
        Function("dyn", .parameter("A"), returns: .dyn) { value, _ in value },
    ]

    private static func conversion(
        _ name: String, _ types: [ValueType], _ result: ValueType, _ body: @escaping @Sendable (Value, inout Arena) -> Value
    ) -> Function { Function(name, types.map { .init([$0], result) }, body: .one(body)) }

    // Numbers and times are short texts: what is longer is none, and is not looked at.
    private static let numberBytesMax = 400

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String? { bytes.count > numberBytesMax ? nil : Text.string(bytes) }

    private static func bool(_ value: Value) -> Value {
        switch value {
        case .bool: return value
        case .string(let bytes):
            switch text(bytes) {
            case "1", "t", "T", "true", "TRUE", "True": return .bool(true)
            case "0", "f", "F", "false", "FALSE", "False": return .bool(false)
            default: return .failure(.invalidText)
            }
        default: return .failure(.noSuchOverload)
        }
    }

    private static func bytes(_ value: Value) -> Value {
        switch value {
        case .bytes: value
        case .string(let text): .bytes(text)
        default: .failure(.noSuchOverload)
        }
    }

    private static func double(_ value: Value, _ arena: inout Arena) -> Value {
        switch value {
        case .double: value
        case .int(let int): .double(Double(int))
        case .uint(let uint): .double(Double(uint))
        case .string(let bytes): text(bytes).flatMap(Double.init).map { .double($0) } ?? .failure(.invalidText)
        default: .failure(.noSuchOverload)
        }
    }

    private static func int(_ value: Value, _ arena: inout Arena) -> Value {
        switch value {
        case .int: value
        case .uint(let uint): Int64(exactly: uint).map { .int($0) } ?? .failure(.outOfRange)
        // The ends of the range are excluded: their doubles may stand for values beyond them.
        case .double(let double): abs(double) < 0x1p63 ? .int(Int64(double)) : .failure(.outOfRange)
        case .string(let bytes): text(bytes).flatMap { Int64($0) }.map { .int($0) } ?? .failure(.invalidText)
        case .timestamp(let time): .int(time.seconds)
        default: .failure(.noSuchOverload)
        }
    }

    private static func uint(_ value: Value, _ arena: inout Arena) -> Value {
        switch value {
        case .uint: value
        case .int(let int): UInt64(exactly: int).map { .uint($0) } ?? .failure(.outOfRange)
        case .double(let double): double > -1 && double < 0x1p64 ? .uint(UInt64(double)) : .failure(.outOfRange)
        case .string(let bytes): text(bytes).flatMap { UInt64($0) }.map { .uint($0) } ?? .failure(.invalidText)
        default: .failure(.noSuchOverload)
        }
    }

    private static func string(_ value: Value, _ arena: inout Arena) -> Value {
        switch value {
        case .string: return value
        case .bool(let bool): return .string(bool ? "true" : "false")
        case .int(let int): return arena.string(String(int))
        case .uint(let uint): return arena.string(String(uint))
        case .double(let double): return arena.string(NumberText.shortest(double))
        case .bytes(let bytes):
            guard arena.spend(bytes: bytes.count) else { return .failure(.tooExpensive) }
            return Text.isValid(bytes) ? .string(bytes) : .failure(.invalidUTF8)
        case .timestamp(let time): return arena.string(Times.text(time))
        case .duration(let nanoseconds): return arena.string(Times.text(nanoseconds: nanoseconds))
        case .opaque(let object): return arena.string(object.takeUnretainedValue().text)
        default: return .failure(.noSuchOverload)
        }
    }

    private static func duration(_ value: Value, _ arena: inout Arena) -> Value {
        switch value {
        case .duration: value
        case .string(let bytes): text(bytes).flatMap(Times.duration(of:)).map { .duration(nanoseconds: $0) } ?? .failure(.outOfRange)
        default: .failure(.noSuchOverload)
        }
    }

    private static func timestamp(_ value: Value, _ arena: inout Arena) -> Value {
        switch value {
        case .timestamp: value
        case .int(let seconds): Timestamp(seconds: seconds, nanoseconds: 0).map { .timestamp($0) } ?? .failure(.outOfRange)
        case .string(let bytes): text(bytes).flatMap(Times.timestamp(of:)).map { .timestamp($0) } ?? .failure(.outOfRange)
        default: .failure(.noSuchOverload)
        }
    }
}

/// Numbers as text.
enum NumberText {
    /// The shortest decimal that reads back as the same double, a whole one without a point: `3.14`, `2`, `1e+30`.
    static func shortest(_ double: Double) -> String {
        if double.isNaN { return "NaN" }
        if double.isInfinite { return double < 0 ? "-Infinity" : "Infinity" }
        let text = "\(double)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}
