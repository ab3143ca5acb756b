/// A route's `limit` on the way to one destination: a token bucket that holds what one second gives, by log time, so that a backlog is limited
/// as live traffic is.
struct SpanLimit: Sendable, Equatable {
    let perSecond: Double
    private var level: Double
    private var filledAt: UInt64 = 0

    init(perSecond: Double) {
        self.perSecond = perSecond
        level = max(1, perSecond)
    }

    /// Whether a span that was received then (Unix nanoseconds) goes on.
    mutating func take(at time: UInt64) -> Bool {
        if time > filledAt {
            // Of a first span there is no time before.
            if filledAt > 0 { level = min(max(1, perSecond), level + Double(time - filledAt) / 1e9 * perSecond) }
            filledAt = time
        }
        guard level >= 1 else { return false }
        level -= 1
        return true
    }
}
