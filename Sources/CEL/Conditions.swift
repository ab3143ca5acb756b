/// Runs one condition after the other over one activation. As `Program.test` for each of them; what a run needs is made once for all, and
/// neither a program nor the activation is counted by a run.
public struct Conditions: ~Copyable {
    private var evaluation: Evaluation

    /// Over the variables of this activation, which may change between two runs.
    public init(_ activation: any Activation) {
        evaluation = Evaluation(activation, UnsafeMutableBufferPointer(start: nil, count: 0), budget: 0)
    }

    /// Runs a condition. An error of the run is thrown; whether that counts as false is for the caller.
    public mutating func test(_ program: Program, budget: Int = Limits.budget) throws(EvaluationError) -> Bool {
        evaluation.arena.restart(budget: budget - program.steps)
        guard program.localCount > 0 else { return try test(program.root) }
        return try program.withLocals { locals throws(EvaluationError) in
            evaluation.locals = locals
            return try test(program.root)
        }
    }

    @inline(__always)
    private mutating func test(_ root: Node) throws(EvaluationError) -> Bool {
        let truth = root.test(&evaluation)
        if evaluation.arena.isExhausted { throw EvaluationError(.tooExpensive) }
        if truth == .failed { throw evaluation.failure }
        return truth == .yes
    }
}
