import CEL
import SpanModel

/// Sampling of whole traces (contract `rules`, section 2, "Tail sampling"), compiled.
struct TailSampler: Sendable {
    /// Conditions over a trace that keep it.
    let keep: [Program]
    /// The share of the other traces that is kept, consistent by trace as head sampling is.
    let rate: Double
    let limits: TraceLimits
    /// What the conditions were compiled in.
    let environment: Environment

    /// The verdict over a trace; `fails` hears of conditions that fail: those are false.
    func judge(_ sums: TraceSums, fails: (Program, EvaluationError) -> Void) -> TraceVerdict {
        if keeps(sums, fails: fails) { return .kept }
        return sums.randomness >= threshold ? .keptByRate : .dropped
    }

    /// Whether a condition keeps it, whatever the rate.
    func keeps(_ sums: TraceSums, fails: (Program, EvaluationError) -> Void) -> Bool {
        guard !keep.isEmpty else { return false }
        let trace = Bindings(sums.values, in: environment)
        return keep.contains { condition in
            do throws(EvaluationError) {
                return try condition.test(trace)
            } catch {
                fails(condition, error)
                return false
            }
        }
    }

    /// As in `Sampler`.
    var threshold: UInt64 { Sampler.threshold(of: rate) }
}

/// When a trace is decided, and how long that holds.
public struct TraceLimits: Sendable, Equatable {
    /// Nanoseconds after its first span, at the latest.
    public var wait: UInt64
    /// Nanoseconds after its root was seen.
    public var grace: UInt64
    /// Nanoseconds that the decision holds for late spans.
    public var remember: UInt64
    /// Open traces at most.
    public var tracesMax: Int

    /// Limits, all times in nanoseconds.
    public init(wait: UInt64, grace: UInt64, remember: UInt64, tracesMax: Int) {
        (self.wait, self.grace, self.remember, self.tracesMax) = (wait, grace, remember, tracesMax)
    }
}

/// What becomes of a trace. The raw values are stored.
public enum TraceVerdict: Int64, Sendable {
    case dropped = 0
    /// One of the share that is kept whatever it is.
    case keptByRate = 1
    /// A condition keeps it.
    case kept = 2
}
