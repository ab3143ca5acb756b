/// A checked and compiled expression. Any number of threads may run one at once.
public final class Program: @unchecked Sendable {
    // Why sharing is safe although the parts are not Sendable: the tree and the constants in its arena are made before anyone else sees
    // them and only read afterwards; what a run changes (locals, an arena of its own) lies on its own stack.

    /// What it was compiled from.
    public let source: String
    /// The type of its result, as far as the checker could tell.
    public let type: ValueType
    /// The slots that a run may read, ascending. No other slot is ever asked for.
    public let variables: [Int]
    let root: Node
    /// How many nodes there are: what a run without macros costs at most.
    let steps: Int
    let localCount: Int
    // Owns what the constants in the tree point to.
    private let constants: Arena

    init(source: String, type: ValueType, variables: [Int], root: Node, steps: Int, localCount: Int, constants: consuming Arena) {
        (self.source, self.type, self.variables, self.root) = (source, type, variables, root)
        (self.steps, self.localCount) = (steps, localCount)
        self.constants = constants
    }

    /// Runs a condition. An error of the run is thrown; whether that counts as false is for the caller.
    public func test(_ activation: any Activation, budget: Int = Limits.budget) throws(EvaluationError) -> Bool {
        var conditions = Conditions(activation)
        return try conditions.test(self, budget: budget)
    }

    /// Runs the program and shows its result to `body`: the value and what it points to hold until that returns. An error of the run is
    /// thrown.
    public func evaluate<Result>(
        _ activation: any Activation, budget: Int = Limits.budget, _ body: (Value, inout Arena) throws(EvaluationError) -> Result
    ) throws(EvaluationError) -> Result {
        try withLocals { locals throws(EvaluationError) in
            var evaluation = Evaluation(activation, locals, budget: budget - steps)
            let value = root.evaluate(&evaluation)
            if evaluation.arena.isExhausted { throw EvaluationError(.tooExpensive) }
            if case .error(let error) = value { throw error }
            return try body(value, &evaluation.arena)
        }
    }

    /// Runs the program and copies its result.
    public func result(_ activation: any Activation, budget: Int = Limits.budget) throws(EvaluationError) -> OwnedValue {
        try evaluate(activation, budget: budget) { value, arena throws(EvaluationError) in try OwnedValue(value, in: &arena) }
    }

    /// An error of a run with its line and column in the source, to be shown to a person.
    public func place(of error: EvaluationError) -> CompileError {
        let offset = max(0, Int(error.offset))
        return CompileError(error.description, at: offset..<offset + 1, in: Array(source.utf8))
    }

    // On the stack, as far as it has room.
    func withLocals<Result>(
        _ body: (UnsafeMutableBufferPointer<Value>) throws(EvaluationError) -> Result
    ) throws(EvaluationError) -> Result {
        try withUnsafeTemporaryAllocation(of: Value.self, capacity: localCount) { locals throws(EvaluationError) in
            locals.initialize(repeating: .null)
            return try body(locals)
        }
    }
}
