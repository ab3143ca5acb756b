/// `&&` and `||`: a side that decides is enough, even where the other one fails (language definition, "Logical Operators").
final class JunctionNode: ConditionNode {
    let left: Node
    let right: Node
    // What one side decides alone: a no ends `&&`, a yes ends `||`.
    let deciding: Truth

    init(_ left: Node, _ right: Node, isAnd: Bool, offset: Int32) {
        (self.left, self.right, deciding) = (left, right, isAnd ? .no : .yes)
        super.init(offset: offset)
    }

    override func test(_ evaluation: inout Evaluation) -> Truth {
        let first = left.test(&evaluation)
        if first == deciding { return first }
        guard first == .failed else { return right.test(&evaluation) }
        let failure = evaluation.failure
        if right.test(&evaluation) == deciding { return deciding }
        evaluation.failure = failure
        return .failed
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
