import Pipeline
import SpanModel

/// The programs of the routes, kept running, and what they are asked on behalf of batches. It belongs to delivery's thread.
final class ExecPrograms {
    /// A batch whose spans wait for answers.
    final class Preparation {
        /// The spans as the routes see them, and the decisions by which they go on.
        let spans: [(view: SpanView, decision: RouteDecision)]
        /// As they are stored.
        let stored: [SpanView]
        /// Those that decided.
        let rules: Rules
        /// What the programs were given; nil for a span that goes through none.
        let questions: [SpanView?]
        fileprivate(set) var answers: [ExecAnswer?]
        fileprivate var missing: Int

        fileprivate init(
            _ spans: [(view: SpanView, decision: RouteDecision)], stored: [SpanView], questions: [SpanView?], _ rules: Rules
        ) {
            (self.spans, self.stored, self.questions, self.rules) = (spans, stored, questions, rules)
            answers = questions.map { _ in nil }
            missing = questions.count { $0 != nil }
        }
    }

    private struct Question {
        let batch: UInt64
        let preparation: Preparation
        let offsets: [Int]
    }

    private var runners: [Rules.RouteProgram: ExecRunner] = [:]
    private var questions: [UInt64: Question] = [:]
    private var nextToken: UInt64 = 1
    private let news: @Sendable (Rules.RouteProgram, ExecNews) -> Void

    /// `news` is called on the runners' threads.
    init(news: @escaping @Sendable (Rules.RouteProgram, ExecNews) -> Void) { self.news = news }

    /// Starts those of the rules that do not run, and ends those that the rules no longer have.
    func apply(_ rules: Rules) {
        let programs = rules.programs
        for (program, runner) in runners where !programs.contains(program) {
            runner.stop()
            runners[program] = nil
        }
        for program in programs where runners[program] == nil {
            runners[program] = ExecRunner(program.program, route: program.route) { [news] in news(program, $0) }
        }
    }

    /// Asks for all spans of a batch that go through a program; `answered` gives the batch's token back when all answers are there.
    func prepare(
        _ batch: UInt64, _ spans: [(view: SpanView, decision: RouteDecision)], stored: [SpanView], by router: Router
    ) -> Preparation {
        var offsets: [Rules.RouteProgram: [Int]] = [:]
        for (offset, span) in spans.enumerated() {
            if let program = router.rules.program(of: span.decision) { offsets[program, default: []].append(offset) }
        }
        let asked = Set(offsets.values.joined())
        let preparation = Preparation(
            spans, stored: stored,
            questions: spans.indices.map { asked.contains($0) ? router.question(spans[$0].view, by: spans[$0].decision) : nil },
            router.rules)
        for (program, offsets) in offsets {
            questions[nextToken] = Question(batch: batch, preparation: preparation, offsets: offsets)
            runners[program]?.ask(nextToken, offsets.compactMap { preparation.questions[$0] })
            nextToken += 1
        }
        return preparation
    }

    /// Takes answers; the token of the batch that has all of its answers by them.
    func answered(_ token: UInt64, _ answers: [ExecAnswer]) -> UInt64? {
        guard let question = questions.removeValue(forKey: token) else { return nil }
        for (offset, answer) in zip(question.offsets, answers) { question.preparation.answers[offset] = answer }
        question.preparation.missing -= question.offsets.count
        return question.preparation.missing == 0 ? question.batch : nil
    }

    /// Why spans wait for a program that does not run; nil where none does.
    func trouble(of preparation: Preparation) -> String? {
        for (offset, span) in preparation.spans.enumerated()
        where preparation.questions[offset] != nil && preparation.answers[offset] == nil {
            guard let program = preparation.rules.program(of: span.decision), let trouble = runners[program]?.trouble else { continue }
            return "exec of route \(program.route): \(trouble)"
        }
        return nil
    }

    /// Ends all of them, and waits a moment for that.
    func stop() {
        for runner in runners.values { runner.stop() }
        for runner in runners.values { runner.wait(.seconds(2)) }
    }
}
