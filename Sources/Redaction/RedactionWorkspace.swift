/// Memory that a thread keeps from text to text, so that a text in which nothing is found costs none. One for each thread.
public final class RedactionWorkspace {
    var matches: [Match] = []
    var edits: [Edit] = []
    /// What is open in a JSON document, for all levels.
    var open: [UInt8] = []
    /// Decoded strings, one for each level.
    var decoded: [[UInt8]] = []
    /// Bytes that were looked at for the last text, beyond the candidates' loop. For tests of linear time.
    var work = 0
    /// Larger buffers are given back after each text.
    static let keptBytesMax = 1 << 20

    /// An empty workspace.
    public init() {}

    /// Gives back what an unusually large text needed.
    func shrink() {
        if matches.capacity * MemoryLayout<Match>.stride > Self.keptBytesMax { matches = [] }
        if edits.capacity * MemoryLayout<Edit>.stride > Self.keptBytesMax { edits = [] }
        if open.capacity > Self.keptBytesMax { open = [] }
        for level in decoded.indices where decoded[level].capacity > Self.keptBytesMax { decoded[level] = [] }
    }
}

/// A change of a text: [start, end) gives way to what `rule` writes.
struct Edit: BitwiseCopyable {
    var start: Int
    var end: Int
    /// Negative: a quotation mark is put in, for a number that becomes a string.
    let rule: Int
    /// Of the value, where the rule wants one.
    let hash: UInt32
    /// How many JSON strings lie around the place.
    let level: Int
}
