/// At most so many requests, and so many bytes of their bodies, a second: two token buckets that hold what one second gives. A request may
/// overdraw the bytes, and the next ones wait until that is paid back, so that one body above the limit still goes.
struct RateLimit: Sendable, Equatable {
    private struct Bucket: Sendable, Equatable {
        let perSecond: Double
        var level: Double
        var filledAt: UInt64 = 0

        init?(perSecond: Double?) {
            guard let perSecond else { return nil }
            self.perSecond = perSecond
            level = max(1, perSecond)
        }

        mutating func spend(_ amount: Double, now: UInt64) {
            let gained = Double(now - min(filledAt, now)) / 1e9 * perSecond
            level = min(max(1, perSecond), level + gained) - amount
            filledAt = now
        }

        /// When the level has come back to `least` (monotonic nanoseconds); at once where it has.
        func opensAt(least: Double) -> UInt64 { level >= least ? 0 : filledAt + UInt64((least - level) / perSecond * 1e9) }
    }

    private var requests: Bucket?
    private var bytes: Bucket?

    /// Limits a second; nil is none.
    init(requests: Double?, bytes: Double?) {
        self.requests = Bucket(perSecond: requests)
        self.bytes = Bucket(perSecond: bytes)
    }

    mutating func spend(bytes spent: Int, now: UInt64) {
        requests?.spend(1, now: now)
        bytes?.spend(Double(spent), now: now)
    }

    /// Monotonic nanoseconds before which no request starts.
    var opensAt: UInt64 { max(requests?.opensAt(least: 1) ?? 0, bytes?.opensAt(least: 0) ?? 0) }
}

/// A limit that several destinations have a part in (`SharedRate`), on delivery's thread. Who has waited longest comes first.
final class SharedBucket {
    private var rate: RateLimit
    private var turn: Int64 = 0

    init(_ shared: SharedRate) { rate = RateLimit(requests: shared.requestsPerSecond, bytes: nil) }

    /// Monotonic nanoseconds before which no request starts.
    var opensAt: UInt64 { rate.opensAt }

    /// Counts a request. What comes back is greater each time: the caller's turn, by which it stands behind those with a smaller one.
    func spend(now: UInt64) -> Int64 {
        rate.spend(bytes: 0, now: now)
        turn += 1
        return turn
    }
}
