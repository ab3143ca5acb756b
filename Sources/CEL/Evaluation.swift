/// One run of a program: where its variables are, what its macros bind, what it may still spend.
struct Evaluation: ~Copyable {
    let activation: any Activation
    /// What macros bind, by numbers that the compiler gave out.
    var locals: UnsafeMutableBufferPointer<Value>
    var arena: Arena
    /// Why the last `test` failed.
    var failure = EvaluationError(.noSuchOverload)

    @inline(__always)
    init(_ activation: any Activation, _ locals: UnsafeMutableBufferPointer<Value>, budget: Int) {
        self.activation = activation
        self.locals = locals
        arena = Arena(budget: budget)
    }
}

/// What a condition says. A byte, so it travels in a register; why it failed stands in the evaluation.
enum Truth: UInt8 {
    case no, yes, failed

    init(_ bool: Bool) { self = bool ? .yes : .no }
}

/// A piece of a compiled program. Programs are trees of these: a node calls its children, values stay in registers, and nothing is counted
/// or allocated on the way.
class Node {
    /// Where it stands in the expression, for errors.
    let offset: Int32
    init(offset: Int32) { self.offset = offset }

    func evaluate(_ evaluation: inout Evaluation) -> Value { fatalError("a node without a meaning") }

    /// The value as a condition.
    func test(_ evaluation: inout Evaluation) -> Truth {
        switch evaluate(&evaluation) {
        case .bool(let bool): return Truth(bool)
        case .error(let error): evaluation.failure = error
        default: evaluation.failure = EvaluationError(.noSuchOverload, offset: offset)
        }
        return .failed
    }

    /// The value where it is known without running.
    var constant: Value? { nil }

    final func failure(_ kind: EvaluationError.Kind) -> Value { .error(EvaluationError(kind, offset: offset)) }

    final func located(_ value: Value) -> Value {
        if case .error(let error) = value { .error(error.located(at: offset)) } else { value }
    }
}

/// A node whose natural result is a condition.
class ConditionNode: Node {
    override final func evaluate(_ evaluation: inout Evaluation) -> Value {
        switch test(&evaluation) {
        case .no: .bool(false)
        case .yes: .bool(true)
        case .failed: .error(evaluation.failure)
        }
    }

    /// The value of an operand, or nil where it failed; why stands in the evaluation then.
    @inline(__always)
    final func value(of operand: Node, _ evaluation: inout Evaluation) -> Value? {
        let value = operand.evaluate(&evaluation)
        guard case .error(let error) = value else { return value }
        evaluation.failure = error
        return nil
    }

    final func fail(_ kind: EvaluationError.Kind, _ evaluation: inout Evaluation) -> Truth {
        evaluation.failure = EvaluationError(kind, offset: offset)
        return .failed
    }
}

final class ConstantNode: Node {
    let value: Value
    init(_ value: Value, offset: Int32) {
        self.value = value
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value { value }
    override var constant: Value? { value }
}

final class VariableNode: Node {
    let slot: Int
    init(slot: Int, offset: Int32) {
        self.slot = slot
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value {
        located(evaluation.activation.value(of: slot, in: &evaluation.arena))
    }
}

final class LocalNode: Node {
    let index: Int
    init(index: Int, offset: Int32) {
        self.index = index
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value { evaluation.locals[index] }
}

/// A definition: another program's tree, run where its name stands. It is paid for each time, because definitions may use each other.
final class DefinitionNode: Node {
    let program: Program
    init(_ program: Program, offset: Int32) {
        self.program = program
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value {
        guard evaluation.arena.spend(program.steps) else { return failure(.tooExpensive) }
        let value = program.root.evaluate(&evaluation)
        // Offsets inside of the definition mean nothing in this expression.
        return if case .error(let error) = value { failure(error.kind) } else { value }
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        let isPaid = evaluation.arena.spend(program.steps)
        let truth = isPaid ? program.root.test(&evaluation) : .failed
        if truth == .failed { evaluation.failure = EvaluationError(isPaid ? evaluation.failure.kind : .tooExpensive, offset: offset) }
        return truth
    }
}
