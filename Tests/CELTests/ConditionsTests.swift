import Testing

@testable import CEL

@Suite("Conditions one after the other") struct ConditionsTests {
    @Test("say what each says alone, whatever the one before it made, bound, spent or failed of")
    func alone() throws {
        let environment = Shop.environment
        let sources = [
            "root", "status == 'error'", "tags.exists(t, t + 'x' == service + 'x')", "1 / (size(status) - size(status)) > 0", "!root",
            "[1, 2, 3].map(x, x * 2).filter(x, x > 2).size() == 2", "cost_usd > 0.1 || root", "status.startsWith('err')",
            "text.contains('o')", "model.endsWith('x') || ['a'].map(x, x + model)[7] == ''", "service in ['shop', 'search']",
        ]
        let programs = try sources.map { try environment.compile($0, returning: .bool) }
        let activation = Bindings(Shop.values, in: environment)
        var conditions = Conditions(activation)
        for _ in 0..<3 {
            for (source, program) in zip(sources, programs) {
                let alone = Result { () throws(EvaluationError) in try program.test(activation) }
                let inTurn = Result { () throws(EvaluationError) in try conditions.test(program) }
                #expect(alone == inTurn, "\(source)")
            }
            // One that has nothing left to spend leaves the next its own budget.
            let poor = Result { () throws(EvaluationError) in try conditions.test(programs[2], budget: 1) }
            #expect(poor == .failure(EvaluationError(.tooExpensive)))
        }
    }

    @Test(
        "with a constant part a text test is what it is with one that is known only when it runs",
        arguments: ["startsWith", "endsWith", "contains"], ["", "s", "shop", "hop", "shopping", "x"])
    func parts(test: String, part: String) throws {
        let environment = Shop.environment
        let activation = Bindings(Shop.values, in: environment)
        let constant = try environment.compile("service.\(test)('\(part)')")
        let variable = try environment.compile("service.\(test)(root ? '\(part)' : '\(part)')")
        #expect(constant.root is TextPartNode && !(variable.root is TextPartNode))
        #expect(try constant.test(activation) == variable.test(activation))
        // Of a value that is no text neither knows an answer.
        let errors = try ["'\(part)'", "(root ? '\(part)' : '')"].map { part in
            let program = try environment.compile("(root ? dyn(1) : dyn('')).\(test)(\(part))")
            return Result { () throws(EvaluationError) in try program.test(activation) }
        }
        #expect(errors[0] == errors[1])
    }
}
