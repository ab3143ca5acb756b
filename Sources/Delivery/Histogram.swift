/// Answer times in buckets of fixed bounds, as Prometheus wants them.
public struct Histogram: Sendable, Equatable {
    /// Upper bounds, seconds.
    public static let bounds: [Double] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

    /// Count for each bound, and one more for what is above all; not cumulative.
    public private(set) var counts = [Int64](repeating: 0, count: bounds.count + 1)
    /// Sum of all values, seconds.
    public private(set) var sum: Double = 0

    /// An empty histogram.
    public init() {}

    /// Number of values.
    public var count: Int64 { counts.reduce(0, +) }

    mutating func add(nanoseconds: UInt64) {
        let seconds = Double(nanoseconds) / 1e9
        counts[Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count] += 1
        sum += seconds
    }

    /// The bound below which this share of the values lies, seconds; 0 where there are none.
    public func quantile(_ share: Double) -> Double {
        let target = Double(count) * share
        var seen: Int64 = 0
        for (bound, count) in zip(Self.bounds + [.infinity], counts) {
            seen += count
            if count > 0, Double(seen) >= target { return bound }
        }
        return 0
    }

    /// What was added since an earlier state.
    public func since(_ earlier: Histogram) -> Histogram {
        var difference = self
        for index in counts.indices { difference.counts[index] -= earlier.counts[index] }
        difference.sum -= earlier.sum
        return difference
    }
}
