/// What was wrong with a spool's file, and what was done about it: a person must know.
public struct SpoolRepair: Sendable, Equatable {
    /// What was found, in words.
    public var reason: String
    /// Where the damaged file lies now; nil where there was none to keep.
    public var setAside: String?
    /// Spans that were read and go on in the fresh file.
    public var spansKept: Int64 = 0
    /// Ids whose spans are gone; each destination that had not settled them counts them as `lost`. Where nothing
    /// else is known, all that were ever given out.
    public var lost: [ClosedRange<Int64>] = []
    /// Dead letters that are gone, counted as purged, reason `damaged`.
    public var lettersLost: Int64 = 0
    /// Destinations whose books did not agree with their cursor and were made to, with the difference.
    public var adjusted: [String: Int64] = [:]
    /// Cursors could not be read: those destinations begin again with the oldest span.
    public var cursorsLost = false
    /// Their names, where at least those could be read.
    public var restarted: [String] = []

    /// A repair that has lost nothing yet.
    public init(reason: String) { self.reason = reason }

    /// Number of ids whose spans are gone.
    public var spansLost: Int64 { lost.reduce(0) { $0 + Int64($1.count) } }

    /// The same, with more that is gone.
    func losing(_ ids: ClosedRange<Int64>) -> SpoolRepair {
        var more = self
        more.lost.append(ids)
        return more
    }

    /// One sentence for `status` and the journal.
    public var sentence: String {
        var parts = ["the spool was damaged (\(reason))"]
        if let setAside { parts.append("the old file is \(setAside), \(spansKept) spans of it go on") }
        let ranges = lost.prefix(3).map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound) to \($0.upperBound)" }
        parts.append(
            lost.isEmpty
                ? "no span is known to be lost"
                : "\(spansLost) spans are gone, lost where they were not delivered yet: ids \(ranges.joined(separator: ", "))"
                    + (lost.count > 3 ? ", ..." : ""))
        if lettersLost > 0 { parts.append("\(lettersLost) dead letters are gone") }
        if cursorsLost {
            let whose = restarted.isEmpty ? "each destination" : restarted.joined(separator: ", ")
            parts.append("cursors are gone: \(whose) gets all that is there again, with the same ids")
        }
        for (name, spans) in adjusted.sorted(by: { $0.key < $1.key }) { parts.append("the books of \(name) were off by \(spans)") }
        return parts.joined(separator: "; ")
    }
}
