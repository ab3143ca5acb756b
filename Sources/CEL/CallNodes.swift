/// A call of one argument.
final class UnaryCallNode: Node {
    let body: @Sendable (Value, inout Arena) -> Value
    let argument: Node

    init(_ body: @escaping @Sendable (Value, inout Arena) -> Value, _ argument: Node, offset: Int32) {
        (self.body, self.argument) = (body, argument)
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value {
        let a = argument.evaluate(&evaluation)
        if case .error = a { return a }
        return located(body(a, &evaluation.arena))
    }
}

/// A call of two arguments, and most operators.
final class BinaryCallNode: Node {
    let body: @Sendable (Value, Value, inout Arena) -> Value
    let first: Node
    let second: Node

    init(_ body: @escaping @Sendable (Value, Value, inout Arena) -> Value, _ first: Node, _ second: Node, offset: Int32) {
        (self.body, self.first, self.second) = (body, first, second)
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value {
        let a = first.evaluate(&evaluation)
        if case .error = a { return a }
        let b = second.evaluate(&evaluation)
        if case .error = b { return b }
        return located(body(a, b, &evaluation.arena))
    }
}

/// A call of any number of arguments, and one whose function is known only from the arguments' types.
final class CallNode: Node {
    let candidates: [Function]
    let arguments: [Node]
    let isMember: Bool

    init(_ candidates: [Function], _ arguments: [Node], isMember: Bool, offset: Int32) {
        (self.candidates, self.arguments, self.isMember) = (candidates, arguments, isMember)
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value {
        var values: [Value] = []
        values.reserveCapacity(arguments.count)
        for argument in arguments {
            let value = argument.evaluate(&evaluation)
            if case .error = value { return value }
            values.append(value)
        }
        guard let function = candidates.count == 1 ? candidates[0] : candidates.first(where: { $0.accepts(values, isMember: isMember) })
        else {
            return failure(.noSuchOverload)
        }
        return located(function.call(values, &evaluation.arena))
    }
}

extension Function {
    /// Whether one of the signatures takes values of these types, as far as values tell their types.
    func accepts(_ values: [Value], isMember: Bool) -> Bool {
        overloads.contains { overload in
            overload.isMember == isMember && overload.parameters.count == values.count
                && zip(overload.parameters, values).allSatisfy { $0.accepts($1) }
        }
    }

    func call(_ values: [Value], _ arena: inout Arena) -> Value {
        switch (body, values.count) {
        case (.none(let body), 0): body(&arena)
        case (.one(let body), 1): body(values[0], &arena)
        case (.two(let body), 2): body(values[0], values[1], &arena)
        case (.three(let body), 3): body(values[0], values[1], values[2], &arena)
        case (.any(let body), _): body(values, &arena)
        default: .failure(.noSuchOverload)
        }
    }
}

extension ValueType {
    /// Whether a value is of this type, its elements not looked at.
    func accepts(_ value: Value) -> Bool {
        switch (self, value) {
        case (.dyn, _), (.parameter, _), (.unknown, _), (.mistaken, _): true
        case (.null, .null), (.bool, .bool), (.int, .int), (.uint, .uint), (.double, .double), (.string, .string), (.bytes, .bytes): true
        case (.duration, .duration), (.timestamp, .timestamp), (.list, .list), (.map, .map), (.optional, .optional), (.type, .type): true
        case (.opaque(let name, _), .opaque): Text.string(value.typeName) == name
        default: false
        }
    }
}
