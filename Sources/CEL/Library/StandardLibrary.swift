/// The functions that every environment has (language definition, "Standard Definitions", and the extensions). Operators are functions with
/// names that no expression can write.
enum StandardLibrary {
    /// By name.
    static let functions = Dictionary(
        grouping: operators + arithmetic + conversions + text + times + strings + math + encoders + optionals + network, by: \.name)

    /// The names of types, each a value: `type(x) == int`.
    static let types: [String: (ValueType, StaticString)] = [
        "null_type": (.null, "null_type"), "bool": (.bool, "bool"), "int": (.int, "int"), "uint": (.uint, "uint"),
        "double": (.double, "double"),
        "string": (.string, "string"), "bytes": (.bytes, "bytes"), "list": (.list(.dyn), "list"), "map": (.map(.dyn, .dyn), "map"),
        "type": (.type(.dyn), "type"), "optional_type": (.optional(.dyn), "optional_type"),
        "google.protobuf.Duration": (.duration, "google.protobuf.Duration"),
        "google.protobuf.Timestamp": (.timestamp, "google.protobuf.Timestamp"), "net.IP": (.opaque("net.IP"), "net.IP"),
        "net.CIDR": (.opaque("net.CIDR"), "net.CIDR"),
    ]

    private static let a = ValueType.parameter("A")
    private static let b = ValueType.parameter("B")

    // The compiler builds nodes of their own for these; only their types stand here.
    private static let operators: [Function] = {
        let ordered: [ValueType] = [.bool, .int, .uint, .double, .string, .bytes, .duration, .timestamp]
        let numbers: [ValueType] = [.int, .uint, .double]
        // Equality is for one type, so that a mistake shows; order is for numbers of any type.
        let order =
            ordered.map { Function.Overload([$0, $0], .bool) }
            + numbers.flatMap { left in numbers.filter { $0 != left }.map { Function.Overload([left, $0], .bool) } }
        return [
            special(Operator.conditional, [.init([.bool, a, a], a)]), special(Operator.and, [.init([.bool, .bool], .bool)]),
            special(Operator.or, [.init([.bool, .bool], .bool)]), special(Operator.not, [.init([.bool], .bool)]),
            special("_==_", [.init([a, a], .bool)]), special("_!=_", [.init([a, a], .bool)]), special("_<_", order), special("_<=_", order),
            special("_>_", order), special("_>=_", order),
            special(Operator.isIn, [.init([a, .list(a)], .bool), .init([a, .map(a, b)], .bool)]),
            special(
                Operator.index,
                [
                    .init([.list(a), .int], a), .init([.map(a, b), a], b), .init([.optional(.list(a)), .int], .optional(a)),
                    .init([.optional(.map(a, b)), a], .optional(b)),
                ]),
            special(
                Operator.optionalIndex,
                [
                    .init([.list(a), .int], .optional(a)), .init([.map(a, b), a], .optional(b)),
                    .init([.optional(.list(a)), .int], .optional(a)), .init([.optional(.map(a, b)), a], .optional(b)),
                ]),
        ]
    }()

    private static func special(_ name: String, _ overloads: [Function.Overload]) -> Function {
        Function(name, overloads, body: .any { _, _ in .failure(.noSuchOverload) })
    }
}
