import Pipeline
import SpanModel

/// What the rules make of one span, for a person.
struct Explanation {
    private let span: TrialSpan
    private let trial: Trial
    private let matches: [Router.Match]
    private let destinations: [String]

    init(_ span: TrialSpan, _ rules: Rules, _ destinations: [String]) {
        self.span = span
        self.destinations = destinations
        trial = Trial(span, rules)
        matches = Router(rules).explain(trial.seen)
    }

    var text: String {
        let blocks = [[span.title]] + (matches.isEmpty ? [] : [routes]) + destinations.map(fate)
        return blocks.map { $0.joined(separator: "\n") }.joined(separator: "\n\n")
    }

    private var routes: [String] {
        let width = matches.map(\.route.count).max() ?? 0
        return ["routes, in the order of reading"]
            + matches.map { match in
                let name = match.route.padding(toLength: width, withPad: " ", startingAt: 0)
                let condition = match.condition.map { "  \($0.split(whereSeparator: \.isWhitespace).joined(separator: " "))" } ?? ""
                return "  \(name)  \(Self.words(match.answer))\(condition)"
            }
    }

    private static func words(_ answer: Router.Match.Answer) -> String {
        switch answer {
        case .matches: "matches"
        case .doesNotMatch: "does not match"
        case .fails(let why): "does not match, its condition fails: \(why)."
        case .notRead(let before): "is not read, \(before) is final"
        }
    }

    /// Who decides for a destination, and where the span changes on the way, how.
    private func fate(_ destination: String) -> [String] {
        guard let decision = trial.decision(for: destination) else { return [] }
        let head = "\(destination): \(trial.words(decision))"
        guard decision.delivers else { return [head] }
        switch trial.form(by: decision) {
        case .span(let arrives):
            let changes = JSONDifference.all(from: JSONValue(span.view), to: JSONValue(arrives))
            return [head] + (changes.isEmpty ? ["  as it came in"] : changes.flatMap(\.lines).map { "  \($0)" })
        case .discarded: return ["\(destination): \(trial.words(RouteDecision(.discarded, by: decision.route)))"]
        case .dead(let why): return ["\(destination): a dead letter: \(why)"]
        }
    }
}
