/// A function that expressions can call: its signatures, and one body that tells its arguments' types apart where it has several.
public struct Function: Sendable {
    /// One signature. Letters (`.parameter("A")`) stand for any type, the same one wherever they stand.
    public struct Overload: Sendable, Equatable {
        /// The types of the arguments; of a member the target is the first.
        public let parameters: [ValueType]
        /// The type of the result.
        public let result: ValueType
        /// Called as `a.f(b)`, not as `f(a, b)`.
        public let isMember: Bool

        /// A signature.
        public init(_ parameters: [ValueType], _ result: ValueType, isMember: Bool = false) {
            (self.parameters, self.result, self.isMember) = (parameters, result, isMember)
        }
    }

    /// What is called. Arguments are never errors. A body that gets a type it does not take gives `.failure(.noSuchOverload)`: the checker
    /// lets `dyn` through. What it makes it makes in the arena, and it spends there for more than a few steps of work.
    public enum Body: Sendable {
        case none(@Sendable (inout Arena) -> Value)
        case one(@Sendable (Value, inout Arena) -> Value)
        case two(@Sendable (Value, Value, inout Arena) -> Value)
        case three(@Sendable (Value, Value, Value, inout Arena) -> Value)
        case any(@Sendable ([Value], inout Arena) -> Value)
    }

    /// The name, qualified where it has a namespace: `math.abs`.
    public let name: String
    /// The signatures.
    public let overloads: [Overload]
    /// What is called.
    public let body: Body
    /// Equal arguments always give equal results, so a call of constants is made once, when the program is compiled.
    public let isConstant: Bool

    /// A function with several signatures.
    public init(_ name: String, _ overloads: [Overload], isConstant: Bool = true, body: Body) {
        (self.name, self.overloads, self.isConstant, self.body) = (name, overloads, isConstant, body)
    }

    /// A function `name(a)` of one argument: `hash(x)`.
    public init(
        _ name: String, _ parameter: ValueType, returns result: ValueType, isConstant: Bool = true,
        body: @escaping @Sendable (Value, inout Arena) -> Value
    ) { self.init(name, [Overload([parameter], result)], isConstant: isConstant, body: .one(body)) }

    /// A function `name(a, b)` of two arguments: `glob(string, pattern)`.
    public init(
        _ name: String, _ first: ValueType, _ second: ValueType, returns result: ValueType, isConstant: Bool = true,
        body: @escaping @Sendable (Value, Value, inout Arena) -> Value
    ) { self.init(name, [Overload([first, second], result)], isConstant: isConstant, body: .two(body)) }
}

extension Function.Overload: CustomStringConvertible {
    /// The arguments' types: `(string, int)`.
    public var description: String { "(\(parameters.map(\.description).joined(separator: ", ")))" }
}
