/// Rejected spans, or what else a sender loses, as a value: the first of a source and reason is told at once, then at most one line every
/// 10 s says how many came. `now` is the monotonic clock, in nanoseconds.
public struct Rejections: Sendable {
    /// What to tell: one line each.
    public struct Report: Sendable, Equatable {
        /// The source's name.
        public let source: String
        /// The reason code.
        public let reason: String
        /// Spans since the last report.
        public let spans: Int
        /// The time they came in; nil for the first.
        public let within: Duration?
    }

    private struct Key: Hashable {
        let source: String
        let reason: String
    }

    private struct Tally {
        var since: UInt64
        var spans = 0
    }

    static let interval: UInt64 = 10_000_000_000
    /// A peer can make reasons up (`bad_type:<member>`); further ones are told as `other`.
    static let keysMax = 256
    private var tallies: [Key: Tally] = [:]
    /// When `due` has something to tell next; nil: not before another one comes.
    public private(set) var nextDue: UInt64?

    /// None yet.
    public init() {}

    /// Counts; gives a report where it is the first in a while.
    public mutating func rejected(spans: Int, source: String, reason: String, now: UInt64) -> Report? {
        var key = Key(source: source, reason: reason)
        func isOpen(_ tally: Tally) -> Bool { tally.spans > 0 || now < tally.since + Self.interval }
        if tallies[key] == nil, tallies.count >= Self.keysMax { tallies = tallies.filter { isOpen($0.value) } }
        if tallies[key] == nil, tallies.count >= Self.keysMax { key = Key(source: source, reason: "other") }
        if let tally = tallies[key], isOpen(tally) {
            tallies[key]?.spans += spans
            nextDue = min(nextDue ?? .max, tally.since + Self.interval)
            return nil
        }
        tallies[key] = Tally(since: now)
        return Report(source: key.source, reason: key.reason, spans: spans, within: nil)
    }

    /// The reports whose 10 s are over, or all that is left at the very end.
    public mutating func due(now: UInt64, all: Bool = false) -> [Report] {
        var reports: [Report] = []
        for (key, tally) in tallies where all || now >= tally.since + Self.interval {
            // Silent for a whole interval: the next one is a first one again.
            tallies[key] = tally.spans > 0 ? Tally(since: now) : nil
            guard tally.spans > 0 else { continue }
            let within = Duration.nanoseconds(now - tally.since)
            reports.append(Report(source: key.source, reason: key.reason, spans: tally.spans, within: within))
        }
        nextDue = tallies.values.filter { $0.spans > 0 }.map { $0.since + Self.interval }.min()
        return reports.sorted { ($0.source, $0.reason) < ($1.source, $1.reason) }
    }
}
