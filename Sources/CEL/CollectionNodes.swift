/// `[a, ?b]`.
final class ListNode: Node {
    let elements: [Node]
    let optional: Set<Int>

    init(_ elements: [Node], optional: Set<Int>, offset: Int32) {
        (self.elements, self.optional) = (elements, optional)
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value {
        var values: [Value] = []
        values.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            let value = element.evaluate(&evaluation)
            if case .error = value { return value }
            guard optional.contains(index) else {
                values.append(value)
                continue
            }
            guard case .optional(let reference) = value else { return failure(.notOptional) }
            if let reference { values.append(reference.takeUnretainedValue().value) }
        }
        return located(evaluation.arena.list(values))
    }
}

/// `{k: v, ?k: v}`.
final class MapNode: Node {
    let keys: [Node]
    let values: [Node]
    let optional: Set<Int>

    init(_ keys: [Node], _ values: [Node], optional: Set<Int>, offset: Int32) {
        (self.keys, self.values, self.optional) = (keys, values, optional)
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value {
        var keys: [Value] = []
        var values: [Value] = []
        for index in self.keys.indices {
            let key = self.keys[index].evaluate(&evaluation)
            if case .error = key { return key }
            var value = self.values[index].evaluate(&evaluation)
            if case .error = value { return value }
            if optional.contains(index) {
                guard case .optional(let reference) = value else { return failure(.notOptional) }
                guard let reference else { continue }
                value = reference.takeUnretainedValue().value
            }
            keys.append(key)
            values.append(value)
        }
        return located(evaluation.arena.map(keys: keys, values: values))
    }
}

/// `cel.bind(name, value, body)`. A value that fails does so where the name is used.
final class BindNode: Node {
    let local: Int
    let value: Node
    let body: Node

    init(local: Int, _ value: Node, _ body: Node, offset: Int32) {
        (self.local, self.value, self.body) = (local, value, body)
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value {
        evaluation.locals[local] = value.evaluate(&evaluation)
        return body.evaluate(&evaluation)
    }
}
