/// A type as the checker knows it: finer than what `type(x)` says, with the types of elements, keys and values.
public indirect enum ValueType: Hashable, Sendable, CustomStringConvertible {
    /// Any type, known only when the expression runs.
    case dyn
    case null
    case bool
    case int
    case uint
    case double
    case string
    case bytes
    case duration
    case timestamp
    case list(ValueType)
    case map(ValueType, ValueType)
    case optional(ValueType)
    /// The type of a type: what `type(1)` and `int` are.
    case type(ValueType)
    /// A type of the host's, by its name and parameters.
    case opaque(String, [ValueType] = [])
    /// A letter in a signature: `list(A)`. Each use of the function has its own.
    case parameter(String)
    /// A parameter of one use, while the checker finds out what it is.
    case unknown(Int)
    /// What had a mistake; fits everywhere, so that a mistake is told once.
    case mistaken

    /// The type as the specification writes it: `map(string, list(int))`.
    public var description: String {
        switch self {
        case .dyn: "dyn"
        case .null: "null_type"
        case .bool: "bool"
        case .int: "int"
        case .uint: "uint"
        case .double: "double"
        case .string: "string"
        case .bytes: "bytes"
        case .duration: "duration"
        case .timestamp: "timestamp"
        case .list(let element): "list(\(element))"
        case .map(let key, let value): "map(\(key), \(value))"
        case .optional(let value): "optional(\(value))"
        case .type(let type): "type(\(type))"
        case .opaque(let name, let parameters):
            parameters.isEmpty ? name : "\(name)(\(parameters.map(\.description).joined(separator: ", ")))"
        case .parameter(let name): name
        case .unknown: "dyn"
        case .mistaken: "error"
        }
    }
}
