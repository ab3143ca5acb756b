/// What an expression sees and gives: a view of a few words that owns nothing, so evaluation neither allocates nor counts references.
///
/// Texts, lists and maps lie elsewhere: with the activation, in the program (its constants) or in the arena of the evaluation that made
/// them. A value holds as long as its owner; what must live longer is copied into an `OwnedValue`.
public enum Value {
    case null
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case double(Double)
    /// UTF-8, valid.
    case string(UnsafeRawBufferPointer)
    case bytes(UnsafeRawBufferPointer)
    case duration(nanoseconds: Int64)
    case timestamp(Timestamp)
    case list(Unmanaged<ListValue>)
    case map(Unmanaged<MapValue>)
    /// nil is `optional.none()`.
    case optional(Unmanaged<OptionalValue>?)
    /// The name of a type, as `type(x)` gives it.
    case type(UnsafeRawBufferPointer)
    case opaque(Unmanaged<OpaqueValue>)
    case error(EvaluationError)

    /// A failure of a kind; the expression's node adds the place.
    public static func failure(_ kind: EvaluationError.Kind) -> Value { .error(EvaluationError(kind)) }

    /// A text that lives as long as the process.
    public static func string(_ text: StaticString) -> Value { .string(bytes(of: text)) }

    static func bytes(of text: StaticString) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// The name of the value's type, as `type(x)` has it and errors tell it.
    public var typeName: UnsafeRawBufferPointer {
        switch self {
        case .null: Value.bytes(of: "null_type")
        case .bool: Value.bytes(of: "bool")
        case .int: Value.bytes(of: "int")
        case .uint: Value.bytes(of: "uint")
        case .double: Value.bytes(of: "double")
        case .string: Value.bytes(of: "string")
        case .bytes: Value.bytes(of: "bytes")
        case .duration: Value.bytes(of: "google.protobuf.Duration")
        case .timestamp: Value.bytes(of: "google.protobuf.Timestamp")
        case .list: Value.bytes(of: "list")
        case .map: Value.bytes(of: "map")
        case .optional: Value.bytes(of: "optional_type")
        case .type: Value.bytes(of: "type")
        case .opaque(let object): Value.bytes(of: object.takeUnretainedValue().typeName)
        case .error: Value.bytes(of: "error")
        }
    }

    var isError: Bool {
        if case .error = self { true } else { false }
    }
}

/// A point in time, as google.protobuf.Timestamp has it: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z.
public struct Timestamp: Sendable, Hashable, Comparable {
    /// Since 1970-01-01T00:00:00Z; negative before.
    public let seconds: Int64
    /// 0 to 999,999,999, always forwards.
    public let nanoseconds: Int32

    static let secondsRange: ClosedRange<Int64> = -62_135_596_800...253_402_300_799

    /// nil where the time lies outside of the years 1 to 9999 or the nanoseconds are not within a second.
    public init?(seconds: Int64, nanoseconds: Int32) {
        guard Timestamp.secondsRange.contains(seconds), 0..<1_000_000_000 ~= nanoseconds else { return nil }
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// A time as OTLP has it.
    public init(unixNanoseconds: UInt64) {
        seconds = Int64(unixNanoseconds / 1_000_000_000)
        nanoseconds = Int32(unixNanoseconds % 1_000_000_000)
    }

    /// Orders by time.
    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}
