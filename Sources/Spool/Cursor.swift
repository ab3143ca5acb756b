/// How far one consumer of the log is: every id up to `position` is settled, and the ranges in `settled` beyond it are too. A value: it
/// decides nothing and touches nothing, so that the books can be checked against it at any moment.
public struct Cursor: Sendable, Equatable {
    /// Ids up to and including this one are settled.
    public private(set) var position: Int64
    /// Settled ids beyond `position`: disjoint, ascending, never adjacent to each other or to `position`.
    public private(set) var settled: [ClosedRange<Int64>]

    /// A cursor that has settled all ids up to `position`, and nothing beyond.
    public init(position: Int64) {
        self.position = position
        self.settled = []
    }

    /// Marks ids as settled. They must not have been settled before: a span has one fate (books that count twice are worse than a crash).
    public mutating func settle(_ range: ClosedRange<Int64>) {
        precondition(range.lowerBound > position, "ids \(range) settled twice: the cursor stands at \(position)")
        let at = settled.firstIndex { $0.upperBound >= range.lowerBound } ?? settled.count
        precondition(at == settled.count || settled[at].lowerBound > range.upperBound, "ids \(range) settled twice")
        var merged = range
        var replaced = at..<at
        if at > 0, settled[at - 1].upperBound + 1 == range.lowerBound {
            merged = settled[at - 1].lowerBound...merged.upperBound
            replaced = at - 1..<replaced.upperBound
        }
        if at < settled.count, settled[at].lowerBound == range.upperBound + 1 {
            merged = merged.lowerBound...settled[at].upperBound
            replaced = replaced.lowerBound..<at + 1
        }
        settled.replaceSubrange(replaced, with: [merged])
        if let first = settled.first, first.lowerBound == position + 1 {
            position = first.upperBound
            settled.removeFirst()
        }
    }

    /// Number of ids settled beyond `position`.
    public var settledBeyond: Int64 { settled.reduce(0) { $0 + Int64($1.count) } }

    /// The parts of `range` that are not settled yet, ascending.
    public func unsettled(in range: ClosedRange<Int64>) -> [ClosedRange<Int64>] {
        var open: [ClosedRange<Int64>] = []
        var next = max(range.lowerBound, position + 1)
        for done in settled where done.upperBound >= next && done.lowerBound <= range.upperBound {
            if done.lowerBound > next { open.append(next...done.lowerBound - 1) }
            next = done.upperBound + 1
        }
        if next <= range.upperBound { open.append(next...range.upperBound) }
        return open
    }
}

extension Cursor {
    /// The stored form of `settled`: pairs of numbers, `first-last` separated by commas; readable with sqlite3.
    var settledText: String { settled.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",") }

    /// Reads the stored form; nil where it is damaged.
    init?(position: Int64, settledText: String) {
        self.init(position: position)
        for pair in settledText.split(separator: ",") {
            let bounds = pair.split(separator: "-").compactMap { Int64($0) }
            let before = settled.last?.upperBound ?? position
            guard bounds.count == 2, bounds[0] <= bounds[1], bounds[0] > before, bounds[0] - 1 > before, bounds[1] < .max else {
                return nil
            }
            settled.append(bounds[0]...bounds[1])
        }
        // What would be written otherwise than it was read is not ours: a stray sign, comma or letter.
        guard self.settledText == settledText else { return nil }
    }
}
