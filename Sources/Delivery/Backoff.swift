/// The wait before the next attempt: full jitter under a doubling cap (Brooker, "Exponential Backoff And Jitter", 2015), and never less than
/// half of `base`, so that a lucky draw does not hammer a platform that has just failed.
/// `attempt` is 1 for the first retry. `retryAfter` is what the platform asked for (RFC 9110, 10.2.3); it wins, up to an hour.
func backoff(attempt: Int, base: Duration, cap: Duration, retryAfter: Duration?, using random: inout some RandomNumberGenerator) -> Duration
{
    precondition(attempt >= 1)
    if let retryAfter { return max(.zero, min(retryAfter, .seconds(3600))) }
    let ceiling = min(base * (1 << min(attempt - 1, 20)), cap)
    return max(ceiling * Double.random(in: 0..<1, using: &random), min(base, cap) / 2)
}

/// The wait after a 429 of a platform that never says how long: it doubles with every 429 in a row, and nothing is drawn from it, since what
/// ends it is a window of the platform's.
public struct ThrottleWait: Sendable, Equatable {
    /// After the first.
    public var base: Duration
    /// Never longer.
    public var cap: Duration

    /// A wait from `base` to `cap`.
    public init(base: Duration, cap: Duration) { (self.base, self.cap) = (base, cap) }

    /// The wait after `count` of them in a row.
    func wait(after count: Int) -> Duration { min(base * (1 << min(max(count, 1) - 1, 20)), cap) }
}

/// How often in a row a destination has been told 429, and until when that holds.
struct Throttle: Sendable, Equatable {
    let wait: ThrottleWait
    private var count = 0
    /// Monotonic nanoseconds.
    private var until: UInt64 = 0

    init(_ wait: ThrottleWait) { self.wait = wait }

    /// It was told so now: what is left of the wait. Requests that were under way with the first say nothing new.
    mutating func refused(now: UInt64) -> Duration {
        if now >= until {
            count += 1
            until = now + wait.wait(after: count).nanosecondsClamped
        }
        return .nanoseconds(Int64(until - now))
    }

    /// A request was taken.
    mutating func answered() { count = 0 }
}

/// When a destination is asked again though nothing has succeeded: opened by failures in a row, tried by one batch, closed by a success.
struct CircuitBreaker: Sendable, Equatable {
    /// What may be sent now.
    enum State: Sendable, Equatable {
        /// Everything.
        case closed
        /// Nothing before this time (monotonic nanoseconds).
        case open(until: UInt64)
        /// One batch, which is on its way.
        case probing
    }

    let failuresMax: Int
    private(set) var state = State.closed
    private(set) var failuresInRow = 0
    /// Times that it opened without a success between: the attempt of its backoff.
    private(set) var openings = 0

    init(failuresMax: Int) { self.failuresMax = failuresMax }

    /// Whether a batch may start now; when it is time for a probe this is the permission for it.
    mutating func permits(now: UInt64) -> Bool {
        switch state {
        case .closed: return true
        case .probing: return false
        case .open(let until):
            guard now >= until else { return false }
            state = .probing
            return true
        }
    }

    /// A batch failed. `wait` is asked for the time to stay open. True where this opened it.
    mutating func failed(now: UInt64, wait: (_ attempt: Int) -> Duration) -> Bool {
        failuresInRow += 1
        guard state == .probing || (state == .closed && failuresInRow >= failuresMax) else { return false }
        let first = state == .closed
        openings += 1
        state = .open(until: now &+ wait(openings).nanosecondsClamped)
        return first
    }

    /// A batch was answered. True where this closed it.
    mutating func succeeded() -> Bool {
        let wasOpen = state != .closed
        (state, failuresInRow, openings) = (.closed, 0, 0)
        return wasOpen
    }

    /// The probe ended without an answer to learn from (it was halved, or put back): the next one may start.
    mutating func probeInconclusive(now: UInt64) {
        if state == .probing { state = .open(until: now) }
    }

    /// When a probe may start; nil where nothing holds batches back or one is under way.
    var opensAt: UInt64? { if case .open(let until) = state { until } else { nil } }
}

/// How many requests may be under way at once: grows by one for each round of successes, halves when the platform asks for less, and gives a
/// little back when answers become slow (additive increase, multiplicative decrease).
struct Concurrency: Sendable, Equatable {
    let workers: Int
    private var level: Double
    /// The best answer time seen, forgotten slowly, nanoseconds.
    private var best: Double = .infinity

    init(workers: Int) {
        self.workers = max(1, workers)
        level = Double(max(1, min(workers, 2)))
    }

    var limit: Int { max(1, Int(level)) }

    mutating func succeeded(latency: UInt64) {
        let latency = Double(latency)
        best = min(best * 1.01, latency)
        // Four times the best and 100 ms above it: not noise, but a platform that queues.
        if latency > best * 4 + 100_000_000 { level = max(1, level * 0.9) } else { level = min(Double(workers), level + 1 / level) }
    }

    mutating func throttled() { level = max(1, level / 2) }
}
