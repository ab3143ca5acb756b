/// What was wrong with a spool's file, and what was done about it: a person must know.
public struct SpoolRepair: Sendable, Equatable {
    /// What was found, in words.
    public var reason: String
    /// Where the damaged file lies now; nil where there was none to keep.
    public var setAside: String?
    /// Spans that were read and go on in the fresh file.
    public var spansKept: Int64 = 0
    /// Ids whose spans are gone; each destination that had not settled them counts them as `lost`.
    public var lost: [ClosedRange<Int64>] = []
    /// Dead letters that are gone, counted as purged, reason `damaged`.
    public var lettersLost: Int64 = 0
    /// Destinations whose books did not agree with their cursor and were made to, with the difference.
    public var adjusted: [String: Int64] = [:]
    /// The cursors could not be read: every destination begins again with the oldest span.
    public var cursorsLost = false

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
                : "\(spansLost) spans are lost: ids \(ranges.joined(separator: ", "))\(lost.count > 3 ? ", ..." : "")")
        if lettersLost > 0 { parts.append("\(lettersLost) dead letters are gone") }
        if cursorsLost { parts.append("the cursors are gone: each destination gets all of it again, with the same ids") }
        for (name, spans) in adjusted.sorted(by: { $0.key < $1.key }) { parts.append("the books of \(name) were off by \(spans)") }
        return parts.joined(separator: "; ")
    }
}
