/// What a macro goes over and the names it binds. Each turn is paid for with the size of the macro's body, so that nested macros end in
/// time.
struct Loop {
    let range: Node
    let locals: [Int]
    let stepsPerTurn: Int
    let offset: Int32

    /// Runs `turn` for each element until it returns false; an error where the range is none or the budget is out.
    func run(_ evaluation: inout Evaluation, _ turn: (inout Evaluation) -> Bool) -> EvaluationError? {
        switch range.evaluate(&evaluation) {
        case .list(let reference):
            let list = reference.takeUnretainedValue()
            for index in 0..<list.count {
                guard evaluation.arena.spend(stepsPerTurn) else { break }
                let element = list.element(at: index, in: &evaluation.arena)
                bind(locals.count == 1 ? element : .int(Int64(index)), element, &evaluation)
                guard turn(&evaluation) else { break }
            }
        case .map(let reference):
            let map = reference.takeUnretainedValue()
            for index in 0..<map.count {
                guard evaluation.arena.spend(stepsPerTurn) else { break }
                let key = map.key(at: index, in: &evaluation.arena)
                bind(key, locals.count == 1 ? .null : map.value(at: index, in: &evaluation.arena), &evaluation)
                guard turn(&evaluation) else { break }
            }
        case .error(let error): return error
        default: return EvaluationError(.noSuchOverload, offset: offset)
        }
        return evaluation.arena.isExhausted ? EvaluationError(.tooExpensive, offset: offset) : nil
    }

    private func bind(_ first: Value, _ second: Value, _ evaluation: inout Evaluation) {
        evaluation.locals[locals[0]] = first
        if locals.count == 2 { evaluation.locals[locals[1]] = second }
    }
}

/// `all` and `exists`: the first element that decides ends them, and then errors of others do not count.
final class QuantifierNode: ConditionNode {
    let loop: Loop
    let condition: Node
    // What one element decides alone: `all` is no with the first no, `exists` yes with the first yes.
    let deciding: Truth

    init(_ loop: Loop, _ condition: Node, isAll: Bool) {
        (self.loop, self.condition, deciding) = (loop, condition, isAll ? .no : .yes)
        super.init(offset: loop.offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        var decided = false
        var failure: EvaluationError?
        let stopped = loop.run(&evaluation) { evaluation in
            let truth = condition.test(&evaluation)
            decided = truth == deciding
            if truth == .failed, failure == nil { failure = evaluation.failure }
            return !decided
        }
        if let error = stopped ?? (decided ? nil : failure) {
            evaluation.failure = error
            return .failed
        }
        return decided ? deciding : deciding == .no ? .yes : .no
    }
}

/// `exists_one`: looks at every element, and fails with the first that does.
final class ExistsOneNode: ConditionNode {
    let loop: Loop
    let condition: Node

    init(_ loop: Loop, _ condition: Node) {
        (self.loop, self.condition) = (loop, condition)
        super.init(offset: loop.offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        var count = 0
        var failure: EvaluationError?
        let stopped = loop.run(&evaluation) { evaluation in
            switch condition.test(&evaluation) {
            case .yes: count += 1
            case .no: break
            case .failed: failure = evaluation.failure
            }
            return failure == nil
        }
        if let error = stopped ?? failure {
            evaluation.failure = error
            return .failed
        }
        return Truth(count == 1)
    }
}

/// `map`, `filter`, `transformList`, `transformMap`, `transformMapEntry`.
final class TransformNode: Node {
    enum Shape { case list, map, mapEntry }
    let shape: Shape
    let loop: Loop
    let condition: Node?
    /// nil gives the element itself.
    let result: Node?

    init(_ shape: Shape, _ loop: Loop, _ condition: Node?, _ result: Node?) {
        (self.shape, self.loop, self.condition, self.result) = (shape, loop, condition, result)
        super.init(offset: loop.offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value {
        var keys: [Value] = []
        var values: [Value] = []
        var failure: EvaluationError?
        let stopped = loop.run(&evaluation) { evaluation in
            // The result may use the names again, so the key is taken before it runs.
            let key = evaluation.locals[loop.locals[0]]
            switch condition?.test(&evaluation) ?? .yes {
            case .no: return true
            case .failed: failure = evaluation.failure
            case .yes:
                let value = result?.evaluate(&evaluation) ?? key
                if case .error(let error) = value { failure = error } else { failure = add(value, key, &keys, &values, &evaluation) }
            }
            return failure == nil
        }
        if let error = stopped ?? failure { return .error(error) }
        return located(shape == .list ? evaluation.arena.list(values) : evaluation.arena.map(keys: keys, values: values))
    }

    private func add(
        _ value: Value, _ key: Value, _ keys: inout [Value], _ values: inout [Value], _ evaluation: inout Evaluation
    ) -> EvaluationError? {
        guard shape == .mapEntry else {
            if shape == .map { keys.append(key) }
            values.append(value)
            return nil
        }
        guard case .map(let reference) = value else { return EvaluationError(.noSuchOverload, offset: offset) }
        let map = reference.takeUnretainedValue()
        guard evaluation.arena.spend(map.count) else { return EvaluationError(.tooExpensive, offset: offset) }
        for index in 0..<map.count {
            keys.append(map.key(at: index, in: &evaluation.arena))
            values.append(map.value(at: index, in: &evaluation.arena))
        }
        return nil
    }
}

/// `optMap` and `optFlatMap`.
final class OptionalMapNode: Node {
    let operand: Node
    let local: Int
    let result: Node
    let isFlat: Bool

    init(_ operand: Node, local: Int, _ result: Node, isFlat: Bool, offset: Int32) {
        (self.operand, self.local, self.result, self.isFlat) = (operand, local, result, isFlat)
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value {
        let value = operand.evaluate(&evaluation)
        if case .error = value { return value }
        guard case .optional(let reference) = value else { return failure(.noSuchOverload) }
        guard let reference else { return value }
        evaluation.locals[local] = reference.takeUnretainedValue().value
        let mapped = result.evaluate(&evaluation)
        if case .error = mapped { return mapped }
        guard isFlat else { return located(evaluation.arena.optional(mapped)) }
        guard case .optional = mapped else { return failure(.noSuchOverload) }
        return mapped
    }
}
