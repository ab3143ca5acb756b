import Delivery
import Intake
import Pipeline
import Settings
import SpanModel

/// One span on its way through the rules, to see what becomes of it.
struct Trial {
    private let router: Router
    private let routed: RoutedSegment

    init(_ span: TrialSpan, _ rules: Rules) {
        router = Router(rules)
        routed = router.route(span.accepted(rules).view.segment)
    }

    /// The span as conditions see it.
    var seen: SpanView { SpanView(segment: routed.segment, index: 0) }

    /// What the routes make of it for a destination, as a trace of its own; nil where the configuration has none of that name.
    func decision(for destination: String) -> RouteDecision? {
        router.rules.place(of: destination).map { router.judgeAlone(seen, routed.decision(0, for: $0)) }
    }

    /// What becomes of a span that goes on.
    enum Form {
        /// As the destination gets it.
        case span(SpanView)
        /// The route's program leaves it out.
        case discarded
        /// A dead letter, since the route's program has no answer; why.
        case dead(String)
    }

    /// What the destination gets; the decision delivers. A route's program is started for it.
    func form(by decision: RouteDecision) -> Form {
        guard let program = router.rules.program(of: decision)?.program else { return .span(router.form(seen, by: decision)) }
        let question = router.question(seen, by: decision)
        switch program.tried(on: question) {
        case .span(let answer): return .span(router.form(seen, by: decision, answer: answer))
        case .discarded: return .discarded
        case .failed(_, let why) where !program.keepsOnError: return .dead(why)
        case .failed: return .span(router.form(seen, by: decision, answer: question))
        }
    }

    /// In a few words, with the route that decided.
    func words(_ decision: RouteDecision) -> String {
        let route = decision.route == nil ? "" : " by route \"\(router.rules.name(of: decision.route))\""
        return switch decision.kind {
        case .deliver, .deliverAtRate: "delivered\(route)"
        case .filtered: "filtered: no route that matches names it"
        case .dropped: "dropped\(route)"
        case .sampled: "sampled out\(route)"
        case .tail, .late: "sampled out with its trace\(route)"
        case .limited: "over the limit\(route)"
        case .discarded: "left out by the program of route \"\(router.rules.name(of: decision.route))\""
        }
    }
}

/// The `tests:` of a configuration, run: each span goes through the routes as if it had come in.
struct RuleTestRun {
    let settings: LoadedSettings
    let rules: Rules

    /// A paragraph for each test that fails.
    func failures() -> [String] {
        settings.rules.tests.enumerated().compactMap { index, test in
            let problems = problems(of: test, seed: UInt64(index) + 1)
            return problems.isEmpty ? nil : "\(test.place): \(test.name): fails\n" + problems.map { "    \($0)" }.joined(separator: "\n")
        }
    }

    private func problems(of test: RuleTest, seed: UInt64) -> [String] {
        do throws(Rejection) {
            let trial = Trial(try TrialSpan.native(Self.json(test), limits: IntakeLimits(settings.limits), seed: seed), rules)
            return test.expect.flatMap { problems(at: $0.destination, $0.expectation, trial) }
        } catch {
            return ["its span is no span: \(error.code)"]
        }
    }

    private func problems(at destination: String, _ expected: RuleTest.Expectation, _ trial: Trial) -> [String] {
        guard var decision = trial.decision(for: destination) else { return ["\(destination): is no destination"] }
        var arrives: SpanView?
        if decision.delivers {
            switch trial.form(by: decision) {
            case .span(let span): arrives = span
            case .discarded: decision = RouteDecision(.discarded, by: decision.route)
            case .dead(let why): return ["\(destination): expected \(expected.word), but it is a dead letter: \(why)"]
            }
        }
        switch (expected, decision.kind) {
        case (.delivered, .deliver), (.delivered, .deliverAtRate), (.filtered, .filtered), (.filtered, .dropped), (.dropped, .dropped),
            (.sampled, .sampled),
            (.sampled, .limited), (.sampled, .tail), (.filtered, .discarded), (.dropped, .discarded):
            return []
        case (.with(let members), .deliver), (.with(let members), .deliverAtRate):
            let differences = arrives.map { ExpectedMembers(members).differences(from: JSONValue($0)) } ?? []
            guard !differences.isEmpty else { return [] }
            return ["\(destination): \(trial.words(decision)), with a difference (- expected, + arrives)"]
                + differences.flatMap(\.lines).map { "  \($0)" }
        default: return ["\(destination): expected \(expected.word), but it is \(trial.words(decision))"]
        }
    }

    /// The test's span as a source would get it, with a name where it has none.
    private static func json(_ test: RuleTest) -> [UInt8] {
        var json = test.span.json
        func add(_ name: String, _ text: String) {
            json.removeLast()
            // Of a member that stands twice the last counts.
            json += (json == "{" ? "" : ",") + "\"\(name)\":\"\(text)\"}"
        }
        if test.span["name"] == nil, test.span["model"] == nil { add("name", "test") }
        // Without `random:` or an id of its own it is a trace that every rate above 0 keeps.
        if test.random != nil || test.span["trace_id"] == nil { add("trace_state", "ot=rv:\(randomness(test.random ?? 0))") }
        return Array(json.utf8)
    }

    /// The trace's number, which a rate keeps from its threshold on: what is at most the rate is kept.
    private static func randomness(_ random: Double) -> String {
        let whole = UInt64(1) << 56
        let digits = String(min(UInt64(((1 - random) * Double(whole)).rounded()), whole - 1), radix: 16)
        return String(repeating: "0", count: 14 - digits.count) + digits
    }
}

extension RuleTest.Expectation {
    fileprivate var word: String {
        switch self {
        case .delivered, .with: "delivered"
        case .filtered: "filtered"
        case .sampled: "sampled"
        case .dropped: "dropped"
        }
    }
}

extension JSONValue {
    /// A span in the native form.
    init(_ view: SpanView) {
        var bytes: [UInt8] = []
        appendNativeJSON(view, to: &bytes)
        // What tracefwd prints is JSON.
        self = (try? JSONValue(bytes)) ?? .null
    }
}
