/// `&&`: false if either side is, even where the other one fails (language definition, "Logical Operators").
final class AndNode: ConditionNode {
    let left: Node
    let right: Node
    init(_ left: Node, _ right: Node, offset: Int32) {
        (self.left, self.right) = (left, right)
        super.init(offset: offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        switch left.test(&evaluation) {
        case .no: return .no
        case .yes: return right.test(&evaluation)
        case .failed:
            let failure = evaluation.failure
            if right.test(&evaluation) == .no { return .no }
            evaluation.failure = failure
            return .failed
        }
    }
}

/// `||`: true if either side is, even where the other one fails.
final class OrNode: ConditionNode {
    let left: Node
    let right: Node
    init(_ left: Node, _ right: Node, offset: Int32) {
        (self.left, self.right) = (left, right)
        super.init(offset: offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        switch left.test(&evaluation) {
        case .yes: return .yes
        case .no: return right.test(&evaluation)
        case .failed:
            let failure = evaluation.failure
            if right.test(&evaluation) == .yes { return .yes }
            evaluation.failure = failure
            return .failed
        }
    }
}

final class NotNode: ConditionNode {
    let operand: Node
    init(_ operand: Node, offset: Int32) {
        self.operand = operand
        super.init(offset: offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        switch operand.test(&evaluation) {
        case .yes: .no
        case .no: .yes
        case .failed: .failed
        }
    }
}

/// `c ? a : b`; only the branch taken is run.
final class ConditionalNode: Node {
    let condition: Node
    let yes: Node
    let no: Node
    init(_ condition: Node, _ yes: Node, _ no: Node, offset: Int32) {
        (self.condition, self.yes, self.no) = (condition, yes, no)
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value {
        switch condition.test(&evaluation) {
        case .yes: yes.evaluate(&evaluation)
        case .no: no.evaluate(&evaluation)
        case .failed: .error(evaluation.failure)
        }
    }
}

/// An expression that fails whenever it is run: what only an unchecked program can have.
final class FailureNode: Node {
    let kind: EvaluationError.Kind
    init(_ kind: EvaluationError.Kind, offset: Int32) {
        self.kind = kind
        super.init(offset: offset)
    }

    override func evaluate(_ evaluation: inout Evaluation) -> Value { failure(kind) }
}
