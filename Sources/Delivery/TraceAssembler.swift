import Pipeline
import SpanModel
import Spool

/// Tail sampling of one route on the way to one destination, as a value: what the open traces of the log add up to, and what became of the
/// decided ones. Its clock is log time, so its decisions are a function of the log; it knows no spans, only their sums.
///
/// The log is read in its order, each id once: `advance` to the time of a row, then `add` its span. A trace is decided `grace` after its root
/// was seen, at the latest `wait` after its first span; what comes later is late.
struct TraceAssembler {
    /// A trace that is not decided.
    private struct Open {
        var sums = TraceSums()
        /// Which one it is: a trace that was forgotten may open again.
        var number: UInt64
    }

    /// A trace and when something happens to it: an entry is good while the trace is open under that number.
    private struct Due {
        var trace: TraceID
        var number: UInt64
        var at: UInt64
    }

    /// What became of a trace.
    struct Decision: Equatable {
        var verdict: TraceVerdict
        /// The last id of the log that had been seen then: spans behind it are late.
        var through: Int64
        /// Log time.
        var at: UInt64
    }

    /// Decisions that are remembered at most, whatever `remember` says.
    static let decisionsMax = 1_000_000

    let limits: TraceLimits
    /// Log time: of the newest row that was seen, or later where the log ends.
    private(set) var now: UInt64 = 0
    /// Traces that were decided before their time because too many were open.
    private(set) var early: Int64 = 0
    private var open: [TraceID: Open] = [:]
    private var opened: UInt64 = 0
    /// Both ascending, since the log's time never runs backwards.
    private var byFirst = Queue<Due>()
    private var byRoot = Queue<Due>()
    private var decisions: [TraceID: Decision] = [:]
    private var decided = Queue<TraceID>()
    private var forgotten: [TraceID] = []

    init(limits: TraceLimits) { self.limits = limits }

    var openCount: Int { open.count }
    var decisionCount: Int { decisions.count }

    func isOpen(_ trace: TraceID) -> Bool { open[trace] != nil }
    func decision(on trace: TraceID) -> Decision? { decisions[trace] }

    /// When the next trace is decided though nothing comes, in log time; nil where none is open.
    var nextDue: UInt64? { [byFirst.first?.at, byRoot.first?.at].compactMap(\.self).min() }

    /// Decides on what is due at this log time. `seen` is the last id of the log that was added; `then` is told of each decision.
    mutating func advance(to time: UInt64, seen: Int64, judge: (TraceSums) -> TraceVerdict, then: (TraceID, Decision) -> Void) {
        now = max(now, time)
        while let due = nextDue, due <= now {
            let isFirst = byFirst.first?.at == due
            guard let next = isFirst ? byFirst.popFirst() : byRoot.popFirst() else { return }
            decide(next, at: due, seen: seen, judge: judge, then: then)
        }
    }

    /// Adds the span of the next id, which was received at `time`; nothing where its trace is decided. `add` puts it into the sums.
    mutating func add(
        _ trace: TraceID, seen: Int64, receivedAt time: UInt64, judge: (TraceSums) -> TraceVerdict, then: (TraceID, Decision) -> Void,
        add: (inout TraceSums) -> Void
    ) {
        guard decisions[trace] == nil else { return }
        // While a wall clock that was set back holds the log's stamps still, what comes counts from when it is seen.
        let begin = now > time &+ Self.heldBack ? now : time
        if open[trace] == nil {
            while open.count >= limits.tracesMax, let oldest = byFirst.popFirst() {
                if open[oldest.trace]?.number == oldest.number { early += 1 }
                decide(oldest, at: now, seen: seen, judge: judge, then: then)
            }
            opened += 1
            byFirst.append(Due(trace: trace, number: opened, at: begin &+ limits.wait))
        }
        var one = open.removeValue(forKey: trace) ?? Open(number: opened)
        let hadRoot = one.sums.hasRoot
        add(&one.sums)
        if one.sums.hasRoot, !hadRoot { byRoot.append(Due(trace: trace, number: one.number, at: begin &+ limits.grace)) }
        open[trace] = one
    }

    private mutating func decide(
        _ due: Due, at time: UInt64, seen: Int64, judge: (TraceSums) -> TraceVerdict, then: (TraceID, Decision) -> Void
    ) {
        guard let trace = open[due.trace], trace.number == due.number else { return }
        open.removeValue(forKey: due.trace)
        let decision = Decision(verdict: judge(trace.sums), through: seen, at: time)
        remember(decision, on: due.trace)
        then(due.trace, decision)
    }

    private static let heldBack: UInt64 = 5_000_000_000

    // MARK: Memory

    /// Takes a decision over that was made before; the oldest first.
    mutating func remember(_ decision: Decision, on trace: TraceID) {
        if decisions.updateValue(decision, forKey: trace) == nil { decided.append(trace) }
        while decisions.count > Self.decisionsMax, let oldest = decided.popFirst() { forget(oldest) }
    }

    /// Forgets decisions that are older than `remember` and whose spans are settled. Returns those that were forgotten since the last call.
    mutating func forget(settled position: Int64) -> [TraceID] {
        while let oldest = decided.first, let decision = decisions[oldest], decision.at &+ limits.remember < now,
            decision.through <= position
        {
            _ = decided.popFirst()
            forget(oldest)
        }
        defer { forgotten = [] }
        return forgotten
    }

    private mutating func forget(_ trace: TraceID) {
        decisions[trace] = nil
        forgotten.append(trace)
    }

    /// Takes over what another one has decided, in the same order.
    mutating func takeOver(_ other: TraceAssembler) { (decisions, decided, early) = (other.decisions, other.decided, other.early) }

    /// Begins to read the log anew, behind an id that was seen before: what is decided stays so.
    mutating func rewind() {
        (open, byFirst, byRoot, now) = ([:], Queue(), Queue(), 0)
    }
}

/// A queue in an array: what was taken from its front is let go now and then.
private struct Queue<Element> {
    private var elements: [Element] = []
    private var head = 0

    var first: Element? { head < elements.count ? elements[head] : nil }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard let element = first else { return nil }
        head += 1
        if head > 1024, head > elements.count / 2 {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }
}
