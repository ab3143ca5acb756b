/// Finding an element by its index, key or field (language definition, "Field Selection").
enum Lookup {
    /// The element, nil where there is none, or an error where the container has no such elements. An optional is looked into.
    static func find(_ key: Value, in container: Value, _ arena: inout Arena) -> Value? {
        switch container {
        case .map(let reference): return reference.takeUnretainedValue().value(for: key, in: &arena)
        case .list(let reference):
            guard let index = index(key) else { return .failure(.invalidIndex) }
            let list = reference.takeUnretainedValue()
            return 0..<list.count ~= index ? list.element(at: index, in: &arena) : nil
        case .optional(let reference): return reference.flatMap { find(key, in: $0.takeUnretainedValue().value, &arena) }
        case .error: return container
        default: return .failure(.noSuchField)
        }
    }

    private static func index(_ key: Value) -> Int? {
        switch key {
        case .int(let int): Int(int)
        case .uint(let uint): Int(exactly: uint) ?? Int.max
        case .double(let double): Int(exactly: double)
        default: nil
        }
    }

    /// The element wrapped for optional chaining.
    static func optional(_ found: Value?, _ arena: inout Arena) -> Value {
        switch found {
        case nil: .optional(nil)
        case .error(let error): .error(error)
        case .some(let value): arena.optional(value)
        }
    }
}

/// `e.f` and `e[k]`, and with `isOptional` `e.?f` and `e[?k]`.
final class LookupNode: Node {
    let container: Node
    let key: Node
    let isOptional: Bool

    init(_ container: Node, _ key: Node, isOptional: Bool, offset: Int32) {
        (self.container, self.key, self.isOptional) = (container, key, isOptional)
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value {
        let container = container.evaluate(&evaluation)
        if case .error = container { return container }
        let key = key.evaluate(&evaluation)
        if case .error = key { return key }
        let found = Lookup.find(key, in: container, &evaluation.arena)
        if isOptional { return located(Lookup.optional(found, &evaluation.arena)) }
        switch container {
        case .optional: return located(Lookup.optional(found, &evaluation.arena))
        case .list: return found.map(located) ?? failure(.indexOutOfRange)
        default: return found.map(located) ?? failure(.noSuchKey)
        }
    }
}

/// `has(e.f)`.
final class HasNode: ConditionNode {
    let container: Node
    let key: Value

    init(_ container: Node, _ key: Value, offset: Int32) {
        (self.container, self.key) = (container, key)
        super.init(offset: offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        let container = container.evaluate(&evaluation)
        if case .list = container { return fail(.noSuchField, &evaluation) }
        let found = Lookup.find(key, in: container, &evaluation.arena)
        guard case .error(let error) = found else { return Truth(found != nil) }
        evaluation.failure = error.located(at: offset)
        return .failed
    }
}
