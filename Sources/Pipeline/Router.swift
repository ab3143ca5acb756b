import CEL
import Redaction
public import SpanModel

/// What one thread needs to apply the rules: it owns the memory that evaluations use again and again.
public final class Router {
    /// A failure of a condition, a rate or a transformation.
    public struct Failure: Sendable, Equatable {
        /// The route's name.
        public let route: String
        /// How often, since the last call of `takeFailures`.
        public var count = 0
        /// The first one since then in words, without a value of the span's.
        public var detail = ""
    }

    /// The rules that hold now.
    public let rules: Rules
    let activation: SpanActivation
    /// What was counted since the start, but for what is in `failures`.
    private var counted: RuleCounters
    /// By route, as a condition that fails may do so for every span.
    private var failures: [Failure]
    private var newModels: [String] = []
    private let workspace = RedactionWorkspace()
    private var enrichment: Enrichment?
    private let steps: [Step]
    /// For destinations that read the same segments at about the same time: one that lags has its own pass.
    private var cache = RoutedSegments(bytesMax: 4 << 20)

    /// A router of its own for a thread. What the one before it has counted goes on.
    public init(_ rules: Rules, after before: Router? = nil) {
        self.rules = rules
        activation = SpanActivation(rules.host)
        enrichment = rules.prices.map { Enrichment($0) }
        steps = rules.routes.indices.map { Step(rules.routes[$0], index: $0) }
        counted = before?.counters ?? RuleCounters()
        failures = rules.routes.indices.map { Failure(route: rules.name(of: $0)) }
    }

    /// A segment with what the routes make of its spans; several destinations that read the same one share the work.
    public func route(_ segment: Segment) -> RoutedSegment {
        if let known = cache[segment.firstID] { return known }
        let routed = decide(segment)
        cache.insert(routed)
        return routed
    }

    /// A span as a destination gets it, which the route of this decision sends there. `view` is of a routed segment. Where the route has a
    /// program, `question` comes first, and `answer` is what it made of that.
    public func form(_ view: SpanView, by decision: RouteDecision, answer: SpanView? = nil) -> SpanView {
        guard let index = decision.route, rules.routes[index].changesSpans, var draft = SpanDraft(answer ?? view) else { return view }
        let route = rules.routes[index]
        activation.withSpan(view) { llm in
            if answer == nil { begin(&draft, by: route, index, llm.span, decision) }
            guard let transformation = route.transformation else { return }
            var counts = [Int](repeating: 0, count: transformation.redaction?.count ?? 0)
            transformation.finish(&draft, activation, workspace: workspace, counts: &counts) { failed(index, $0, $1) }
            for (rule, count) in counts.enumerated() where count > 0 {
                let key = RuleCounters.Redacted(route: route.name, entity: transformation.redaction?.name(of: rule) ?? "")
                counted.redactions[key, default: 0] += Int64(count)
            }
        }
        return draft.view()
    }

    /// A span as the program of its route gets it: marked, and with the steps before the program taken.
    public func question(_ view: SpanView, by decision: RouteDecision) -> SpanView {
        guard let index = decision.route, var draft = SpanDraft(view) else { return view }
        activation.withSpan(view) { begin(&draft, by: rules.routes[index], index, $0.span, decision) }
        return draft.view()
    }

    private func begin(_ draft: inout SpanDraft, by route: Route, _ index: Int, _ span: SpanFields, _ decision: RouteDecision) {
        if let sampler = route.sampler, sampler.marks { mark(&draft, by: sampler, span, decision) }
        route.transformation?.prepare(&draft, activation) { failed(index, $0, $1) }
    }

    // MARK: Whole traces

    /// Adds a span to the sums of its trace; `view` is of a routed segment. `route` decides on the trace.
    public func add(_ view: SpanView, to sums: inout TraceSums, for route: Int) {
        guard let sampler = rules.routes[route].sampler else { return }
        view.withLLM { sums.add($0, randomness: sampler.randomness(of: $0.span)) }
    }

    /// The verdict over a trace by the route that decides on it.
    public func judge(_ sums: TraceSums, by route: Int) -> TraceVerdict {
        guard let tail = rules.routes[route].sampler?.tail else { return .kept }
        return tail.judge(sums) { failed(route, $0, $1) }
    }

    /// Whether the conditions over traces keep a span that came after its trace was left out: it is judged as a trace of its own.
    public func keepsLate(_ view: SpanView, by route: Int) -> Bool {
        guard let tail = rules.routes[route].sampler?.tail else { return true }
        return tail.keeps(alone(view, for: route)) { failed(route, $0, $1) }
    }

    /// The decision over a span whose trace it is alone: in tests of the configuration, and where a trace has been forgotten.
    public func judgeAlone(_ view: SpanView, _ decision: RouteDecision) -> RouteDecision {
        guard decision.delivers, let route = decision.route, rules.routes[route].sampler?.tail != nil else { return decision }
        return RouteDecision(trace: judge(alone(view, for: route), by: route), by: route)
    }

    private func alone(_ view: SpanView, for route: Int) -> TraceSums {
        var sums = TraceSums()
        add(view, to: &sums, for: route)
        return sums
    }

    /// A dead letter's span as conditions see it, and the decision by which it goes: of the route that would send it to its destination now,
    /// whatever that one's rate. Nil where none would.
    public func replayed(_ view: SpanView, for destination: Int) -> (view: SpanView, decision: RouteDecision)? {
        let routed = decide(view.segment)
        let decision = routed.decision(view.index, for: destination)
        switch decision.kind {
        case .deliver, .deliverAtRate, .sampled, .limited, .tail, .late, .discarded:
            return (SpanView(segment: routed.segment, index: view.index), decision)
        case .filtered, .dropped: return nil
        }
    }

    // MARK: Programs

    /// A route's program was started.
    public func programStarted(_ route: String) { counted.programStarts[route, default: 0] += 1 }

    /// A route's program had no answer for a span.
    public func programFailed(_ route: String, reason: String) {
        counted.programFailures[RuleCounters.ProgramFailure(route: route, reason: reason), default: 0] += 1
    }

    /// What is kept says at which rate, so that a platform can weigh its counts.
    private func mark(_ draft: inout SpanDraft, by sampler: Sampler, _ span: SpanFields, _ decision: RouteDecision) {
        guard let route = decision.route, case .kept(var rate, var threshold, let keep) = self.decision(of: sampler, span, route) else {
            return
        }
        if let tail = sampler.tail, decision.kind == .deliverAtRate, tail.threshold > threshold {
            (rate, threshold) = (tail.rate, tail.threshold)
        }
        // A threshold that is higher already is never lowered: the smaller probability is the whole one.
        if let before = TraceState.threshold(in: span.traceState), before > threshold {
            (rate, threshold) = (Sampler.probability(of: before), before)
        }
        draft.traceState = TraceState.setting(threshold: threshold, in: span.traceState)
        draft.set(Array("tracefwd.sampling.rate".utf8), AnyValueBytes.double(rate))
        let reason: String? = sampler.tail != nil && decision.kind == .deliver ? "tail" : keep.map { "keep[\($0)]" }
        if let reason { draft.set(Array("tracefwd.sampling.reason".utf8), AnyValueBytes.string(reason)) }
    }

    /// Models without a price that were met for the first time since the last call.
    public func takeNewModels() -> [String] {
        defer { newModels = [] }
        return newModels
    }

    /// What failed since the last call, by route.
    public func takeFailures() -> [Failure] {
        counted = counters
        let found = failures.filter { $0.count > 0 }
        for index in failures.indices { (failures[index].count, failures[index].detail) = (0, "") }
        return found.sorted { $0.route < $1.route }
    }

    /// What was counted since the start.
    public var counters: RuleCounters {
        var counters = counted
        for one in failures where one.count > 0 { counters.conditionErrors[one.route, default: 0] += Int64(one.count) }
        return counters
    }

    /// One pass over each span: its cost, which conditions see too, and the routes that match.
    private func decide(_ stored: Segment) -> RoutedSegment {
        let words = rules.words
        let hasRoutes = !rules.routes.isEmpty
        var matched = [UInt64](repeating: 0, count: hasRoutes ? stored.entries.count * words : 0)
        var sampledOut = matched
        var conditions = Conditions(activation)
        var segment = stored
        if enrichment != nil {
            segment = stored.adding(Enrichment.attribute) { index, entry, llm in
                let cost = enrichment?.cost(of: llm)
                if hasRoutes { decide(llm, entry, cost, at: index * words, &matched, &sampledOut, &conditions) }
                return cost
            }
        } else if hasRoutes {
            stored.forEachLLM { index, entry, llm in
                decide(llm, entry, nil, at: index * words, &matched, &sampledOut, &conditions)
            }
        }
        if let news = enrichment?.takeNews() {
            counted.unknownModels += news.unknownModels
            newModels += news.newModels.prefix(max(0, 20 - newModels.count))
        }
        return RoutedSegment(rules, segment, matched: matched, sampledOut: sampledOut)
    }

    /// Sets the bits of the routes that match a span, in the words from `base` on.
    private func decide(
        _ llm: LLMFields, _ entry: SpanEntry, _ addedCost: Double?, at base: Int, _ matched: inout [UInt64], _ sampledOut: inout [UInt64],
        _ conditions: inout Conditions
    ) {
        activation.with(llm, entry, addedCost: addedCost) {
            var isMatched = false
            steps.withUnsafeBufferPointer { steps in
                for step in steps {
                    let holds = step.condition.map { test($0, step, &conditions) } ?? (step.isAlways || !isMatched)
                    guard holds else { continue }
                    isMatched = true
                    matched[base + step.word] |= step.bit
                    if step.hasSampler, let sampler = rules.routes[step.index].sampler, decision(of: sampler, llm.span, step.index) == .out
                    {
                        sampledOut[base + step.word] |= step.bit
                    }
                    if step.isFinal { break }
                }
            }
        }
    }

    private func test(_ condition: Unmanaged<Program>, _ step: Step, _ conditions: inout Conditions) -> Bool {
        condition._withUnsafeGuaranteedRef { condition in
            do throws(EvaluationError) {
                return try conditions.test(condition)
            } catch {
                failed(step.index, condition, error)
                return false
            }
        }
    }

    private func decision(of sampler: Sampler, _ span: SpanFields, _ route: Int) -> Sampler.Decision {
        sampler.decide(activation, randomness: sampler.randomness(of: span)) { failed(route, $0, $1) }
    }

    private func failed(_ route: Int, _ program: Program, _ error: EvaluationError) {
        if failures[route].count == 0 { failures[route].detail = "\(program.source): \(error)" }
        failures[route].count += 1
    }
}

/// A route as `decide` reads it for every span: no part of it is counted, and the rules, which the router keeps, own the condition.
private struct Step {
    let index: Int
    /// Nil where it has none: it holds always, or where none before it did.
    let condition: Unmanaged<Program>?
    let isAlways: Bool
    let hasSampler: Bool
    let isFinal: Bool
    /// Its bit among those of all routes.
    let word: Int
    let bit: UInt64

    init(_ route: Route, index: Int) {
        self.index = index
        condition = if case .when(let program) = route.selection { .passUnretained(program) } else { nil }
        (isAlways, hasSampler, isFinal) = (route.isUnconditional, route.sampler != nil, route.isFinal)
        (word, bit) = (index / 64, 1 << UInt64(index % 64))
    }
}

/// What the rules count, since the start.
public struct RuleCounters: Sendable, Equatable {
    /// Nothing counted yet.
    public init() {}

    /// Conditions, rates and values that failed, by route.
    public var conditionErrors: [String: Int64] = [:]
    /// Values that were replaced, by route and entity; `pattern` for a rule's own pattern.
    public var redactions: [Redacted: Int64] = [:]

    /// A counter of `redactions`.
    public struct Redacted: Sendable, Hashable {
        /// The route's name.
        public var route: String
        /// What was looked for.
        public var entity: String
    }

    /// Spans that name a model whose price nobody knows.
    public var unknownModels: Int64 = 0

    /// How often the program of a route was started.
    public var programStarts: [String: Int64] = [:]
    /// Spans for which a route's program had no answer.
    public var programFailures: [ProgramFailure: Int64] = [:]

    /// A counter of `programFailures`.
    public struct ProgramFailure: Sendable, Hashable {
        /// The route's name.
        public var route: String
        /// A code as in the ledger.
        public var reason: String
    }
}

/// A segment and what the routes make of its spans.
public final class RoutedSegment {
    /// As destinations see it: a cost is in it where one can be told.
    public let segment: Segment
    let rules: Rules
    private let matched: [UInt64]
    private let sampledOut: [UInt64]

    init(_ rules: Rules, _ segment: Segment, matched: [UInt64], sampledOut: [UInt64]) {
        (self.rules, self.segment, self.matched, self.sampledOut) = (rules, segment, matched, sampledOut)
    }

    /// What becomes of the span at this place of the segment on the way to a destination.
    public func decision(_ index: Int, for destination: Int) -> RouteDecision {
        if let constant = rules.constant(for: destination) { return constant }
        if rules.words == 1 { return rules.decision(matched[index], sampledOut[index], for: destination) }
        let range = index * rules.words..<(index + 1) * rules.words
        return matched.withUnsafeBufferPointer { matched in
            sampledOut.withUnsafeBufferPointer { sampledOut in
                rules.decision(.init(rebasing: matched[range]), .init(rebasing: sampledOut[range]), for: destination)
            }
        }
    }

    /// What it holds in memory.
    var cost: Int {
        segment.payload.count + segment.entries.count * MemoryLayout<SpanEntry>.stride + (matched.count + sampledOut.count) * 8 + 512
    }
}

/// Segments that several destinations want, bounded in bytes. Two generations, as in the spool's cache: what nobody used while the young one
/// filled up is let go.
struct RoutedSegments {
    private var young: [Int64: RoutedSegment] = [:]
    private var old: [Int64: RoutedSegment] = [:]
    private var youngBytes = 0
    private let bytesMax: Int

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    subscript(firstID: Int64) -> RoutedSegment? {
        mutating get {
            if let known = young[firstID] { return known }
            guard let known = old.removeValue(forKey: firstID) else { return nil }
            insert(known)
            return known
        }
    }

    mutating func insert(_ routed: RoutedSegment) {
        if youngBytes + routed.cost > bytesMax / 2 {
            old = young
            young = [:]
            youngBytes = 0
        }
        if young.updateValue(routed, forKey: routed.segment.firstID) == nil { youngBytes += routed.cost }
    }
}
